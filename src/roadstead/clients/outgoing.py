"""The one client by which the server asks others.

Every address is judged when it is connected to, after the name was looked up: what the name meant a moment before
does not matter, nor how the address was spelt.  A refused address, one that does not answer and one that answers
nonsense are the same error, so that nobody explores a network by our words.

It sends no credentials but those it is given for the request, follows no redirects, keeps no cookies, and reads no
more than the caller allows.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from aiohttp.typedefs import LooseHeaders

from roadstead.clients.addresses import AddressPolicy
from roadstead.config.settings import OutgoingSettings
from roadstead.errors import RequestInvalid, Unavailable
from roadstead.oci.excerpts import excerpt

log = structlog.get_logger()

LONGEST_URL = 2048
_AGENT = "roadstead"
_CHUNK = 16 * 1024


class Unreachable(Unavailable):
    """Whatever the reason: the log has it."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"no usable answer from {_host(url)}",
            remedy="check the address, and what this registry may connect to (`outgoing` in its settings)",
        )


class Fetched(NamedTuple):
    status: int
    # Names in lower case.
    headers: Mapping[str, str]
    body: bytes


class _AddressRefused(OSError):
    """The address policy does not admit it."""


def check_url(url: str, *, schemes: tuple[str, ...] = ("https",)) -> str:
    """A URL that we may be told to ask.  Raises `RequestInvalid`."""
    rule = f"{excerpt(url)} is not an address that this registry asks: {' or '.join(schemes)}://host/path"
    refused = RequestInvalid(rule, remedy="write it without a name, a password, a fragment or spaces")
    if len(url) > LONGEST_URL or not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise refused
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        raise refused from None
    if not usable or parts.username is not None or parts.password is not None or "#" in url:
        raise refused
    return url


class Outgoing:
    """One for each process.  Opened in a running event loop, closed at its end."""

    def __init__(self, settings: OutgoingSettings, *, resolver: AbstractResolver | None = None) -> None:
        self._policy = AddressPolicy(allow=settings.allow, deny=settings.deny)
        self._proxy = settings.proxy or None
        self._timeout = aiohttp.ClientTimeout(
            total=settings.timeout, sock_connect=settings.connect_timeout, sock_read=settings.timeout
        )
        self._tls = _trust(settings)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, url: str, *, limit: int, accept: str = "application/json", schemes: tuple[str, ...] = ("https",)
    ) -> Fetched:
        """What is there, at most `limit` bytes of it.  A redirect is an answer like any other.

        Raises `RequestInvalid` for a URL that cannot be asked, and `Unreachable` for everything else.
        """
        check_url(url, schemes=schemes)
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": _AGENT}
        try:
            return await self._get(url, headers, limit)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            log.warning("outgoing.failed", host=_host(url), reason=f"{type(error).__name__}: {error}"[:300])
            raise Unreachable(url) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _get(self, url: str, headers: LooseHeaders, limit: int) -> Fetched:
        if self._proxy is not None:
            # Names are the proxy's to look up.  What is no name is judged here.
            self._check_literal(url)
        answer = await self._open().get(url, headers=headers, allow_redirects=False, proxy=self._proxy)
        async with answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise ValueError("the answer is compressed, which was not asked for")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > limit:
                    answer.close()
                    raise ValueError(f"the answer is longer than {limit} bytes")
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Fetched(answer.status, found, bytes(body))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=self._resolver,
                use_dns_cache=False,
                limit=32,
                limit_per_host=8,
                # The proxy is the operator's choice, wherever it is.
                socket_factory=None if self._proxy else self._socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, found: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        """Called with each address just before it is connected to."""
        family, kind, protocol, _, address = found
        if not self._policy.admits(str(address[0])):
            raise _AddressRefused(f"the address {address[0]} is not allowed")
        return socket.socket(family, kind, protocol)

    def _check_literal(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if (":" in host or host[-1:].isdigit()) and not self._policy.admits(host):
            raise _AddressRefused(f"the address {host} is not allowed")


def _trust(settings: OutgoingSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca is not None:
        context.load_verify_locations(cafile=settings.ca)
    return context


def _host(url: str) -> str:
    try:
        return excerpt(urlsplit(url).hostname or "")
    except ValueError:
        return "that address"
