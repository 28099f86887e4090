"""Whom we believe about where a request came from."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from roadstead.errors import Invalid
from roadstead.server.hosts import is_host

App = Callable[[Any, Any, Any], Awaitable[None]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = list[tuple[bytes, bytes]]

# Headers by which proxies speak of the client.  Nobody else may send them, and the app never sees them.
_PROXY_HEADERS = frozenset({
    b"forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"x-remote-user",
    b"remote-user", b"x-remote-groups", b"x-original-url", b"x-original-host", b"x-rewrite-url", b"x-scheme",
})  # fmt: skip


@lru_cache(maxsize=4096)
def _spoken_by_proxies(name: bytes) -> bool:
    # Servers behind CGI cannot tell `_` from `-`; a name that only looks like one of ours goes too.
    name = name.replace(b"_", b"-")
    return name.startswith(b"x-forwarded") or name in _PROXY_HEADERS


def _address(text: str) -> Address | None:
    """An address as X-Forwarded-For spells it: perhaps in brackets, perhaps with a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


class TrustedProxies:
    """Pure ASGI.  Client, scheme and Host are a proxy's word only if the connection comes from a trusted one.

    `trusted` holds addresses, networks, and `unix` for peers on the Unix socket.
    """

    def __init__(self, app: App, trusted: Sequence[str]) -> None:
        self._app = app
        self._unix = "unix" in trusted
        try:
            self._networks = tuple(
                ipaddress.ip_network(text, strict=False) for text in trusted if text != "unix"
            )
        except ValueError as error:
            raise Invalid(
                f"http.trusted_proxies holds something that is not an address or network: {error}",
                remedy="write addresses such as 10.0.0.7, networks such as 10.0.0.0/8, or unix",
            ) from None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers: Headers = scope["headers"]
            for name, _ in headers:
                if _spoken_by_proxies(name):
                    self._settle(scope, headers)
                    break
        await self._app(scope, receive, send)

    def _settle(self, scope: MutableMapping[str, Any], headers: Headers) -> None:
        # In place of the list, not in it: the connection keeps the original.
        scope["headers"] = [header for header in headers if not _spoken_by_proxies(header[0])]
        client = scope.get("client")
        if not (self._unix if client is None else self._trusts(_address(client[0]))):
            return
        self._take_client(scope, headers)
        scheme = _last(headers, b"x-forwarded-proto").lower()
        if scheme in {"http", "https"}:
            scope["scheme"] = scheme
        host = _last(headers, b"x-forwarded-host").encode("latin-1")
        if is_host(host):
            kept = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [(b"host", host), *kept]

    def _take_client(self, scope: MutableMapping[str, Any], headers: Headers) -> None:
        """The rightmost address that is not a trusted proxy's: what stands left of it, the client may have made up."""
        hops = _values(headers, b"x-forwarded-for")
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return
            scope["client"] = (str(address), 0)
            if not self._trusts(address):
                return

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _values(headers: Headers, wanted: bytes) -> list[str]:
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [part.strip() for part in ",".join(lines).split(",")] if lines else []


def _last(headers: Headers, wanted: bytes) -> str:
    values = _values(headers, wanted)
    return values[-1] if values else ""
