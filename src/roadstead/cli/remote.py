"""The admin API of a running server, over HTTP or HTTPS."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import click

from roadstead.cli.administration import FIRST_REFUSAL, Answer, Sink
from roadstead.cli.logins import Login
from roadstead.cli.terminal import say
from roadstead.errors import Unavailable

# Longest that a server may keep a command waiting, in seconds.
PATIENCE = 60.0
_PIECE = 64 * 1024
_SCHEMES = ("http", "https")


def server_address(text: str) -> str:
    """`https://registry.example.com[:PORT]` from what a person types.  Without a scheme: HTTPS, but on loopback."""
    address = text if "://" in text else f"{'http' if _is_loopback(_host(f'//{text}')) else 'https'}://{text}"
    parts = urlsplit(address)
    try:
        good = parts.scheme in _SCHEMES and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.username or parts.query or parts.fragment or parts.path not in {"", "/"}:
        raise click.UsageError(
            f"{text!r} is no address of a server. Write https://registry.example.com, with a port if need be."
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Remote:
    """Sends requests to one server as one account.  Follows no redirect: a password goes nowhere else."""

    def __init__(self, server: str, login: Login | None, *, ca_file: Path | None = None) -> None:
        self._server = server
        self._authorization = _basic(login)
        parts = urlsplit(server)
        host = parts.hostname or ""
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                host, parts.port, timeout=PATIENCE, context=_context(ca_file)
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=PATIENCE)
            if login is not None and not _is_loopback(host):
                say(f"Warning: {server} is plain HTTP. Whoever is on the way can read the password.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, sink: Sink | None = None
    ) -> Answer:
        # The length is always said: some proxies refuse a POST or PUT without it.
        sent = {**headers, **self._authorization, "Content-Length": str(len(body))}
        try:
            self._connection.request(method, target, body, sent)
            response = self._connection.getresponse()
            read = b""
            if sink is None or response.status >= FIRST_REFUSAL:
                read = response.read()
            else:
                while piece := response.read(_PIECE):
                    sink(piece)
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"the certificate of {self._server} is not trusted: {error.verify_message}",
                remedy="name the authority that signed it with --ca-file",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(
                f"{self._server} does not answer: {reason}", remedy="check the address, and that it runs"
            ) from None
        if 300 <= response.status < 400:
            raise Unavailable(
                f"{self._server} redirects to {response.headers.get('Location', 'elsewhere')}",
                remedy="use the address that it redirects to with --server",
            )
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, read)


def _basic(login: Login | None) -> dict[str, str]:
    if login is None:
        return {}
    proof = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return {"Authorization": f"Basic {proof}"}


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except ssl.SSLError:
        raise click.UsageError(f"{ca_file} holds no certificate in PEM form.") from None
