"""Host names that requests bring, and the address that answers may send clients to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from roadstead.config.settings import Settings
from roadstead.errors import RequestInvalid

# RFC 3986 §3.2, narrowed to what real hosts use: a name or IPv4 address, or an IPv6 address in brackets.
_HOST = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")


@lru_cache(maxsize=1024)
def is_host(value: bytes) -> bool:
    """True for `host` or `host:port`, with no user, path, space or empty part."""
    match = _HOST.fullmatch(value)
    return match is not None and (match[1] is None or int(match[1]) <= 65535)


@lru_cache(maxsize=256)
def _authority(url: str) -> str:
    return urlsplit(url).netloc.lower()


def host_of(scope: Mapping[str, Any]) -> str | None:
    """The request's Host in lower case, when there is exactly one and it is well formed."""
    values = [value for name, value in scope["headers"] if name == b"host"]
    if len(values) != 1 or not is_host(values[0]):
        return None
    return bytes(values[0]).decode("ascii").lower()


def external_base(scope: Mapping[str, Any], settings: Settings) -> str:
    """The base of the addresses we hand out in `Location` and in the token realm, without a slash at its end.

    A configured address wins: the one whose host the client used, else the first.  Only when none is configured
    is the client's own Host believed, and then only after its grammar was checked.
    """
    host = host_of(scope)
    if settings.external_urls:
        for url in settings.external_urls:
            if _authority(url) == host:
                return url.rstrip("/")
        return settings.external_urls[0].rstrip("/")
    if host is None:
        server = scope.get("server")
        if not server or server[1] is None:
            raise RequestInvalid(
                "the request names no host, and external_urls is not set",
                remedy="send a Host header, or set external_urls in the configuration",
            )
        name = f"[{server[0]}]" if ":" in server[0] else server[0]
        host = f"{name}:{server[1]}"
    return f"{scope['scheme']}://{host}"
