"""One request to `/v2` and the answer to it, as values.  No framework: this is the hot path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from roadstead.errors import RequestInvalid, RoadsteadError, TooLarge
from roadstead.identity.principals import ANONYMOUS, Principal
from roadstead.oci.names import RepositoryName
from roadstead.oci.query import Query, parse_query

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

# Parameters that mean one thing: a second value is refused, so that no two readers can disagree.
_SINGLE = ("digest", "digest-algorithm", "mount", "from", "origin", "n", "last", "artifactType", "ns")


class ClientGone(RoadsteadError):
    """The client went away before its body was whole.  There is nobody left to answer."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Bytes that the operating system can send by itself."""

    path: str
    offset: int
    count: int


@dataclass(slots=True)
class Reply:
    """An answer.  `length` is the Content-Length, which a HEAD keeps while its body is dropped."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes | FileSlice | AsyncIterator[bytes] = b""
    length: int | None = None


class Call:
    """One request: its parts are parsed when they are asked for."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.headers: list[Header] = scope["headers"]
        self.principal: Principal = ANONYMOUS
        # Set by the dispatcher from the path.
        self.name: RepositoryName = None  # type: ignore[assignment]  # every route with a name sets it first
        self.parameter: str = ""

    @cached_property
    def query(self) -> Query:
        return parse_query(self.scope["query_string"], single=_SINGLE)

    @property
    def client(self) -> str:
        """The client's address; a Unix socket's peer has none."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def header(self, name: bytes) -> str | None:
        """The value of a header that may come once; `name` in lower case."""
        found = [value for key, value in self.headers if key == name]
        if not found:
            return None
        if len(found) > 1:
            raise RequestInvalid(f"the header {name.decode()} came twice", remedy="send it once")
        return found[0].decode("latin-1")

    def header_lines(self, name: bytes) -> list[str]:
        """Every line of a header that may be repeated."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    @property
    def content_length(self) -> int | None:
        """What the client says it will send.  Framing has been checked by the server already."""
        value = self.header(b"content-length")
        return int(value) if value is not None and value.isdecimal() and len(value) <= 19 else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.  Raises `ClientGone` when it will never be whole."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone("the client closed the connection before the end of the body")
            body = message.get("body", b"")
            more = message.get("more_body", False)
            if body:
                yield body

    async def body(self, limit: int, too_large: type[TooLarge] = TooLarge, what: str = "body") -> bytes:
        """The whole body, refused as soon as it is known to exceed `limit` bytes."""
        refusal = too_large(
            f"the {what} is larger than {limit} bytes, the most this registry accepts",
            remedy="make it smaller, or have an administrator raise the limit",
            limit=limit,
        )
        declared = self.content_length
        if declared is not None and declared > limit:
            raise refusal
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise refusal
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)
