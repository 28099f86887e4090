"""A caller of ASGI applications that can hold a body back, vanish in the middle of it, and see every message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
Body = bytes | Iterable[bytes] | AsyncIterator[bytes]

HOST = b"registry.example"


class Vanished(Exception):
    """Raised by a body: the client closes the connection here."""


@dataclass
class Answer:
    """What came back.  `status` is 0 when nothing did."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    messages: list[Message] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        found = self.get(name)
        assert found is not None, f"no {name} in {self}"
        return found

    def get(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in self.json["errors"]]


async def request(
    app: App,
    method: str,
    target: str | bytes,
    body: Body = b"",
    headers: Sequence[tuple[str, str]] = (),
    *,
    client: str = "192.0.2.7",
    extensions: MutableMapping[str, Any] | None = None,
) -> Answer:
    """One request.  A body that is bytes has a Content-Length; one in pieces has none, as if chunked."""
    raw = target if isinstance(target, bytes) else target.encode()
    path, _, query = raw.partition(b"?")
    sent = [(b"host", HOST), *((name.lower().encode(), value.encode("latin-1")) for name, value in headers)]
    if isinstance(body, bytes) and (body or method in {"POST", "PUT", "PATCH"}):
        sent.append((b"content-length", str(len(body)).encode()))
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": sent,
        "client": (client, 40_000),
        "server": ("127.0.0.1", 5000),
        "extensions": extensions or {},
    }
    answer = Answer()
    pieces = aiter(_pieces(body))
    ended = False

    async def receive() -> Message:
        nonlocal ended
        if ended:
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(pieces), "more_body": True}
        except StopAsyncIteration:
            ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except Vanished:
            ended = True
            return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [(name.decode(), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    if method == "HEAD" and not path.startswith(b"/v2/"):
        # A framework leaves it to the server to drop this; the registry itself never sends it.
        answer.body = b""
    check(answer, method)
    return answer


def check(answer: Answer, method: str) -> None:
    """What is true of every answer: the length told is the length sent, and no header twice that may not be."""
    if not answer.status or any(m["type"] == "roadstead.sendfile" for m in answer.messages):
        return
    length = answer.get("content-length")
    if method == "HEAD" or answer.status in {204, 304}:
        assert answer.body == b"", answer
    elif length is not None:
        assert int(length) == len(answer.body), answer
    # What is not built says so; who cannot answer now says when to come back.
    later = answer.status == 503 and answer.get("retry-after")
    assert answer.status < 500 or answer.status == 501 or later, answer
    assert not answer.messages[-1].get("more_body", False)


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        if body:
            yield body
    elif isinstance(body, AsyncIterator):
        async for piece in body:
            yield piece
    else:
        for piece in body:
            yield piece
