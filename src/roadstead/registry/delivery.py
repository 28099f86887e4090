"""Sending a reply: bytes, a file that the system sends by itself, or pieces as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from roadstead.errors import RoadsteadError
from roadstead.registry.calls import Call, FileSlice, Reply, Send
from roadstead.registry.dialect import refusal

_BODILESS = frozenset({204, 304})


async def deliver(reply: Reply, call: Call, send: Send) -> None:
    body = reply.body
    length = reply.length
    if length is None and isinstance(body, bytes) and reply.status not in _BODILESS:
        length = len(body)
    if length is not None:
        reply.headers.append((b"content-length", b"%d" % length))
    start = {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
    if call.method == "HEAD" or isinstance(body, bytes):
        await send(start)
        await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})
    elif isinstance(body, FileSlice):
        await send(start)
        await send(
            {"type": "roadstead.sendfile", "path": body.path, "offset": body.offset, "count": body.count}
        )
    else:
        await _stream(reply, start, call, send)


async def _stream(reply: Reply, start: dict[str, object], call: Call, send: Send) -> None:
    pieces = cast("AsyncGenerator[bytes, None]", reply.body)
    async with aclosing(pieces):
        try:
            # The first piece before the head: what is not there can still be said.
            first = await anext(pieces, b"")
        except RoadsteadError as error:
            await deliver(refusal(error), call, send)
            return
        await send(start)
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
