"""The server's certificate, read and judged before anything listens."""

from __future__ import annotations

import ssl

from roadstead.config.settings import TlsSettings
from roadstead.errors import Invalid

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# For TLS 1.2: forward secrecy and authenticated encryption only.  TLS 1.3 has no other.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class CertificateInvalid(Invalid):
    """The files under `tls` cannot serve."""


def server_context(tls: TlsSettings) -> ssl.SSLContext | None:
    """None when no certificate is configured.  Raises CertificateInvalid, in words that name the file."""
    if tls.certificate is None:
        return None
    for name, path in (("certificate", tls.certificate), ("key", tls.key), ("client_ca", tls.client_ca)):
        if path is None:
            continue
        try:
            path.read_bytes()
        except OSError as error:
            raise CertificateInvalid(
                f"tls.{name} cannot be read: {path}: {error.strerror}",
                remedy="check the path and that this user may read the file",
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.minimum_version]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, tls)
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            raise CertificateInvalid(
                f"tls.client_ca holds no certificate: {tls.client_ca}",
                remedy="it must be a PEM file with the authorities of the client certificates",
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_certificate(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Read the certificate and key into the context; connections made from now on see them."""
    assert tls.certificate is not None  # noqa: S101 - for the type checker: only called when it is set
    try:
        # A key with a passphrase would make OpenSSL ask at the terminal; an empty one fails instead.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or str(error)
        raise CertificateInvalid(
            f"the certificate and key cannot be used: {tls.certificate}, {tls.key or 'key in the same file'}: "
            f"{reason}",
            remedy="the certificate's PEM file begins with the server's own; the key must be its key, unencrypted",
        ) from error
