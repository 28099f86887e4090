"""What a certificate says, for `roadstead check`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from roadstead.errors import Invalid


def read(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file: the server's own."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except ValueError:
        raise Invalid(f"{path} holds no certificate in PEM form", remedy="Name a PEM file.") from None


def days_left(certificate: x509.Certificate) -> float:
    return (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


def has_begun(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc <= datetime.now(UTC)


def names(certificate: x509.Certificate) -> Sequence[str]:
    """The hosts that clients will believe this certificate for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    hosts = extension.value.get_values_for_type(x509.DNSName)
    return [*hosts, *(str(address) for address in extension.value.get_values_for_type(x509.IPAddress))]


def not_covered(certificate: x509.Certificate, urls: Sequence[str]) -> Sequence[str]:
    """The hosts of `urls` with https that the certificate does not name."""
    known = {name.lower() for name in names(certificate)}
    hosts = [urlsplit(url).hostname or "" for url in urls if url.startswith("https://")]
    return [host for host in hosts if host not in known and f"*.{host.partition('.')[2]}" not in known]
