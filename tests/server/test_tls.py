"""TLS, with and without client certificates."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
from tests.server.apps import echo_factory
from tests.server.conftest import Certificates
from tests.server.serving import serving, until

from roadstead.config.settings import Settings, TlsSettings
from roadstead.server.run import serve
from roadstead.server.tls import CertificateInvalid, server_context

ASK = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority)


def test_requests_come_over_tls(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key)
    with serving(tmp_path, tls=tls) as server:
        client = server.connect(context=trusting(certificates))
        client.send(ASK)
        assert client.response().seen["scheme"] == "https"
        client.send(b"GET /file/0/5" + str(certificates.server).encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().headers["x-by"] == "app"


def test_a_large_body_comes_over_tls(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key)
    with serving(tmp_path, tls=tls) as server:
        client = server.connect(context=trusting(certificates))
        client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
        assert client.response().seen["length"] == 5_000_000


def test_a_client_that_takes_nothing_over_tls_is_cut(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key)
    with serving(tmp_path, tls=tls) as server:
        client = server.connect(context=trusting(certificates), receive_buffer=4096)
        client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: server.app.seen == ["ClientDisconnected"])


def test_a_handshake_has_a_deadline(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key)
    with serving(tmp_path, tls=tls) as server:
        assert server.connect().ended(), "a client that says nothing is not waited for"


def test_handshakes_under_way_are_limited(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key)
    limits = {"max_connections": 2, "header_timeout": 60.0}
    with serving(tmp_path, tls=tls, limits=limits) as server:
        silent = [server.connect() for _ in range(3)]
        assert silent[2].ended()
        for client in silent:
            client.close()

        def answered() -> bool:
            # The server notices in a moment that they have gone.
            with contextlib.suppress(OSError):
                known = server.connect(context=trusting(certificates))
                known.send(ASK)
                return known.response().status == 200
            return False

        assert until(answered)


def test_a_client_certificate_can_be_demanded(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(
        certificate=certificates.server, key=certificates.server_key, client_ca=certificates.authority
    )
    with serving(tmp_path, tls=tls) as server:
        context = trusting(certificates)
        stranger = server.connect(context=context)
        with pytest.raises((EOFError, OSError)):  # noqa: PT012 - either may be the first to notice
            stranger.send(ASK)
            stranger.response()
        context.load_cert_chain(certificates.client, certificates.client_key)
        known = server.connect(context=context)
        known.send(ASK)
        assert known.response().status == 200


def test_an_old_tls_version_is_refused(tmp_path: Path, certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key, minimum_version="1.3")
    with serving(tmp_path, tls=tls) as server:
        context = trusting(certificates)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            server.connect(context=context)


def test_a_missing_certificate_stops_the_server_before_it_listens(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, port=0, tls=TlsSettings(certificate=tmp_path / "absent.pem"))
    with pytest.raises(CertificateInvalid, match=r"tls\.certificate cannot be read: .*absent\.pem"):
        serve(settings, echo_factory)


def test_a_key_of_another_certificate_is_refused(certificates: Certificates) -> None:
    tls = TlsSettings(certificate=certificates.server, key=certificates.client_key)
    with pytest.raises(CertificateInvalid, match="KEY_VALUES_MISMATCH"):
        server_context(tls)


def test_a_file_that_is_no_certificate_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(CertificateInvalid, match=r"nonsense\.pem"):
        server_context(TlsSettings(certificate=nonsense, key=certificates.server_key))
    tls = TlsSettings(certificate=certificates.server, key=certificates.server_key, client_ca=nonsense)
    with pytest.raises(CertificateInvalid, match=r"tls\.client_ca"):
        server_context(tls)
