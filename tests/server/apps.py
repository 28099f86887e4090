"""Small apps for servers under test.  Importable, because workers are spawned."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from roadstead.config.settings import Settings


async def reply(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"%d" % len(body)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def read(receive: Any) -> tuple[bytes, bool]:
    """The whole body, and whether it was whole."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), False
        body += message["body"]
        if not message["more_body"]:
            return bytes(body), True


class Echo:
    """Tells what it sees.  The path chooses a behaviour."""

    def __init__(self) -> None:
        # What apps saw of requests that nobody answered.
        self.seen: list[str] = []
        self.calls = 0
        self.gate = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        self.calls += 1
        path = scope["path"]
        handler = getattr(self, "do_" + path.strip("/").partition("/")[0].replace("-", "_"), self.do_echo)
        await handler(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def do_echo(self, scope: Any, receive: Any, send: Any) -> None:
        body, whole = await read(receive)
        if not whole:
            self.seen.append("disconnect")
            return
        await reply(send, 200, self._report(scope, body))

    def _report(self, scope: Any, body: bytes) -> bytes:
        return json.dumps(
            {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "scheme": scope["scheme"],
                "client": scope["client"],
                "headers": [
                    [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
                ],
                "body": body.decode("latin-1") if len(body) < 4096 else "",
                "length": len(body),
                "pid": os.getpid(),
            }
        ).encode()

    async def do_unread(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers without reading."""
        await reply(send, 401, b"no")

    async def do_late(self, scope: Any, receive: Any, send: Any) -> None:
        """Waits before it reads."""
        await asyncio.sleep(0.6)
        await self.do_echo(scope, receive, send)

    async def do_begun(self, scope: Any, receive: Any, send: Any) -> None:
        """Begins its answer, then reads."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        _, whole = await read(receive)
        self.seen.append("whole" if whole else "disconnect")
        await send({"type": "http.response.body", "body": b"ok"})

    async def do_headers_after_body(self, scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await self.do_echo({**scope}, _ended, send)

    async def do_big(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends for ever."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        except OSError as error:
            self.seen.append(type(error).__name__)
            raise

    async def do_wait(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers when the gate opens, or never if the client goes first."""
        opened = asyncio.ensure_future(self.gate.wait())
        gone = asyncio.ensure_future(_gone(receive))
        await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.seen.append("disconnect")
            opened.cancel()
            return
        gone.cancel()
        await reply(send, 200, b"waited")

    async def do_fault(self, scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the secret reason")

    async def do_slow(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1.0)
        await reply(send, 200, b"slow")

    async def do_hang(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def do_file(self, scope: Any, receive: Any, send: Any) -> None:
        """`/file/OFFSET/COUNT/PATH…`, by the kernel where it is offered."""
        _, _, offset, count, path = scope["path"].split("/", 4)
        if "roadstead.sendfile" not in scope["extensions"]:
            with open("/" + path, "rb") as file:  # noqa: ASYNC230, PTH123 - a test's
                file.seek(int(offset))
                await reply(send, 200, file.read(int(count)), (b"x-by", b"app"))
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", count.encode()), (b"x-by", b"kernel")],
            }
        )
        message = {
            "type": "roadstead.sendfile",
            "path": "/" + path,
            "offset": int(offset),
            "count": int(count),
        }
        try:
            await send(message)
        except OSError as error:
            self.seen.append(type(error).__name__)
            raise


async def _ended() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def echo_factory(settings: Settings) -> Echo:
    return Echo()


def failing_factory(settings: Settings) -> Echo:
    raise ValueError("this app cannot start")
