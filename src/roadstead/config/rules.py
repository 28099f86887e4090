"""Rules that a setting's value must keep, beyond its type.  Each returns the value or says why not.

The words of a `ValueError` continue a sentence that begins with the setting's name.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from pydantic import SecretStr

_PROJECT = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_HEADER_WORD = re.compile(r"[A-Za-z0-9._~:/-]{1,255}")
_SYSLOG = re.compile(r"(?:udp|tcp|tls)://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_DATABASES = ("sqlite:///", "postgresql://")


def proxy(text: str) -> str:
    """An IP address, a network in CIDR notation, or `unix` for whoever comes through the Unix socket."""
    if text == "unix":
        return text
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be an IP address, a network such as 10.0.0.0/8, or unix") from None
    return text


def network(text: str) -> str:
    """An IP address, or a network in CIDR notation."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("must be an IP address, or a network such as 10.0.0.0/8") from None


def forward_proxy(text: str) -> str:
    """`http://host:port`, or nothing."""
    if not text:
        return text
    rule = "must look like http://proxy.example.com:3128, without a path, a name or a password"
    if not text.startswith("http://"):
        raise ValueError(rule)
    try:
        return external_url(text)
    except ValueError:
        raise ValueError(rule) from None


def external_url(text: str) -> str:
    """`http(s)://host[:port]`, without a final slash."""
    rule = "must look like https://registry.example.com or http://host:port, without a path"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(rule) from None
    extras = (parts.username, parts.password, parts.query, parts.fragment)
    if not usable or any(extras) or parts.path not in {"", "/"} or re.search(r"[\s\x00-\x1f\\]", text):
        raise ValueError(rule)
    return text.rstrip("/")


def database_url(secret: SecretStr) -> SecretStr:
    """A database we can speak to; its password stays out of the message."""
    url = secret.get_secret_value()
    if url and not url.startswith(_DATABASES):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return secret


def project_name(text: str) -> str:
    if not _PROJECT.fullmatch(text) or len(text) > 255:
        raise ValueError("must be a project name: lower-case letters and digits, joined by . _ or -")
    return text


def header_word(text: str) -> str:
    """Text that stands in a quoted part of a header without escapes."""
    if not _HEADER_WORD.fullmatch(text):
        raise ValueError("must be 1 to 255 letters, digits or . _ ~ : / -")
    return text


def audit_destination(text: str) -> str:
    """Where audit entries go as well; empty is nowhere."""
    syslog = _SYSLOG.fullmatch(text)
    known = text in {"", "stdout"} or (text.startswith("file:///") and len(text) > len("file:///"))
    if not known and (syslog is None or not 1 <= int(syslog[1]) <= 65_535):
        raise ValueError("must be stdout, file:///PATH, or tcp://, tls:// or udp:// with HOST:PORT")
    return text
