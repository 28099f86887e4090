"""One request and its response: what the app receives and sends."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from roadstead.errors import RoadsteadError
from roadstead.server import sendfile
from roadstead.server.framing import error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roadstead.server.protocol import GuardedProtocol

    App = Callable[
        [dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
    ]

log = structlog.stdlib.get_logger("roadstead.server")

SENDFILE = "roadstead.sendfile"
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s" % (status, status.phrase.encode()) for status in HTTPStatus}
# The response headers that say how the message ends.
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class ClientDisconnected(OSError):
    """Raised by `send` once nobody listens any more (ASGI 2.4); an app lets it pass."""


class Exchange:
    """The ASGI side of one request.  The protocol feeds it; the app drains it.

    Body bytes wait in `_chunks` as the network brought them and are joined once, when the app asks.
    """

    __slots__ = (
        "_buffered",
        "_chunked",
        "_chunks",
        "_file",
        "_head",
        "_left",
        "_need",
        "_wake",
        "awaits_continue",
        "disconnected",
        "keep_alive",
        "more_body",
        "protocol",
        "response_complete",
        "response_started",
        "scope",
    )  # fmt: skip

    def __init__(
        self, protocol: GuardedProtocol, scope: dict[str, Any], *, keep_alive: bool, awaits_continue: bool
    ) -> None:
        self.protocol = protocol
        self.scope = scope
        self.keep_alive = keep_alive
        # The client holds the body back until we answer `100 Continue`.
        self.awaits_continue = awaits_continue
        self.disconnected = False
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self._chunks: list[bytes] | None = []
        self._buffered = 0
        # Wake the app when so much is buffered.
        self._need = 0
        self._wake: asyncio.Event | None = None
        self._chunked = False
        self._left = 0
        # The head waits for the first of the body, for one packet instead of two, but not beyond this turn.
        self._head = b""
        self._file: sendfile.FileSender | None = None

    # ── fed by the protocol ─────────────────────────────────────────────────────────────────────────────

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body.  False: that is enough until the app has read some."""
        if self._chunks is None:
            return True
        self._chunks.append(data)
        self._buffered += len(data)
        if self._wake is not None and self._buffered >= self._need:
            self._wake.set()
        return self._buffered < self.protocol.limits.body_high_water

    def end_body(self) -> None:
        self.more_body = False
        if self._wake is not None:
            self._wake.set()

    def lost(self) -> None:
        """Nobody listens any more."""
        if not self.response_complete:
            self.disconnected = True
        self._chunks = None
        if self._wake is not None:
            self._wake.set()
        if self._file is not None:
            self._file.lost()

    # ── called by the app ───────────────────────────────────────────────────────────────────────────────

    async def run(self, app: App) -> None:
        """Call the app, and see to it that the client gets an answer or an end."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self.protocol.cut(self)
            raise
        except Exception:
            if self.disconnected:
                return
            log.exception("http.app_failed", method=self.scope["method"], path=self.scope["path"])
            await self._give_up()
        else:
            if not self.response_complete and not self.disconnected:
                log.error("http.app_unfinished", method=self.scope["method"], path=self.scope["path"])
                await self._give_up()

    async def _give_up(self) -> None:
        if self.response_started:
            # Only a broken connection can still say that the response is broken.
            self.protocol.cut(self)
            return
        body = error_body(RoadsteadError("something went wrong here; the server's log has the details"))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except ClientDisconnected:
            return

    async def receive(self) -> dict[str, Any]:
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._chunks is None:
            # Everything was delivered: the only news left is the client's going away, or our own last word.
            self.protocol.listen()
            await self._until(lambda: self.disconnected or self.response_complete)
            return {"type": "http.disconnect"}
        if self.more_body:
            self.protocol.want_body(self)
            await self._gather()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        more = self.more_body
        self._chunks = [] if more else None
        self._buffered = 0
        if more:
            # The next message may gather while the app is busy with this one.
            self.protocol.want_body(self)
        return {"type": "http.request", "body": body, "more_body": more}

    async def _gather(self) -> None:
        """Wait for a worthwhile piece: each message costs the app a trip to a thread."""
        limits = self.protocol.limits
        self._need = limits.body_message
        if self._buffered >= self._need:
            return
        timer = self.protocol.loop.call_later(limits.body_gather, self._take_less)
        try:
            await self._until(
                lambda: (
                    self._buffered >= self._need
                    or not self.more_body
                    or self.disconnected
                    or self.response_complete
                )
            )
        finally:
            timer.cancel()

    def _take_less(self) -> None:
        self._need = 1
        if self._buffered and self._wake is not None:
            self._wake.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        wake = self._wake
        if wake is None:
            wake = self._wake = asyncio.Event()
        while not condition():
            wake.clear()
            await wake.wait()

    async def send(self, message: dict[str, Any]) -> None:
        flow = self.protocol.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            raise ClientDisconnected("the client is gone")
        kind = message["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {kind}")
            self._start(message["status"], message.get("headers", ()))
        elif self.response_complete:
            raise RuntimeError(f"{kind} was sent after the response was complete")
        elif kind == "http.response.body":
            self._body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == SENDFILE and self.protocol.offers_sendfile:
            await self._send_file(message["path"], message["offset"], message["count"])
        else:
            raise RuntimeError(f"expected http.response.body, got {kind}")

    def _start(self, status: int, headers: Any) -> None:
        length: int | None = None
        chunked = told_close = False
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        for name, value in self.protocol.server_state.default_headers:
            lines.append(name + b": " + value)
        for name, value in headers:
            lower = name.lower()
            if lower in _FRAMING:
                if lower == b"content-length":
                    length = int(value)
                elif lower == b"connection":
                    told_close = told_close or b"close" in value.lower()
                else:
                    chunked = True
            lines.append(lower + b": " + value)
        self.keep_alive = self.keep_alive and not told_close and self.protocol.may_keep_alive(self)
        if not self.keep_alive and not told_close:
            lines.append(b"connection: close")
        bodiless = self.scope["method"] == "HEAD" or status in {204, 304} or status < 200
        if length is None and not chunked and not bodiless:
            chunked = True
            if self.scope["http_version"] == "1.0":
                # HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
                chunked = False
                length = -1
            else:
                lines.append(b"transfer-encoding: chunked")
        head = b"\r\n".join(lines)
        # A line break inside a header would be the start of another header (RFC 9110 §5.5).
        if not head.count(b"\r") == head.count(b"\n") == len(lines) - 1 or b"\0" in head:
            raise RuntimeError("a response header holds a line break or NUL")
        self.response_started = True
        self.awaits_continue = False
        self._chunked = chunked and not bodiless
        self._left = 0 if bodiless or length is None else length
        self._head = head + b"\r\n\r\n"
        self.protocol.loop.call_soon(self._flush_head)

    def _flush_head(self) -> None:
        if self._head and not self.disconnected:
            self.protocol.transport.write(self._head)
        self._head = b""

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if not head:
            self.protocol.transport.write(data)
        elif len(data) <= sendfile.SMALL:
            self.protocol.transport.write(head + data)
        else:
            self.protocol.transport.writelines((head, data))

    def _body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            pass
        elif self._chunked:
            pieces = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
            if not more:
                pieces.append(b"0\r\n\r\n")
            if pieces:
                self._write(b"".join(pieces))
        elif body:
            if self._left >= 0:
                if len(body) > self._left:
                    raise RuntimeError("the response body is longer than its Content-Length")
                self._left -= len(body)
            self._write(body)
        if not more:
            if self._left > 0:
                raise RuntimeError("the response body is shorter than its Content-Length")
            self._complete()

    def _complete(self) -> None:
        self._flush_head()
        self.response_complete = True
        self._chunks = None
        if self._wake is not None:
            self._wake.set()
        self.protocol.on_response_complete(self)

    async def _send_file(self, path: str, offset: int, count: int) -> None:
        if self.scope["method"] == "HEAD":
            self._complete()
            return
        if self._chunked or count != self._left:
            raise RuntimeError("a file must be exactly the rest of the response's Content-Length")
        try:
            if count <= sendfile.SMALL:
                data = await sendfile.in_thread(sendfile.read, path, offset, count)
                if not self.disconnected:
                    self._write(data)
            else:
                await self._stream_file(path, offset, count)
        except ConnectionError as error:
            self.protocol.cut(self)
            raise ClientDisconnected("the client is gone") from error
        except OSError as error:
            log.error("sendfile.failed", path=path, reason=str(error))  # noqa: TRY400 - no trace needed
            self.protocol.cut(self)
            raise ClientDisconnected("the file could not be sent") from error
        if self.disconnected:
            raise ClientDisconnected("the client is gone")
        self._left = 0
        self._complete()

    async def _stream_file(self, path: str, offset: int, count: int) -> None:
        protocol = self.protocol
        self._flush_head()
        await protocol.flush()
        if self.disconnected:
            raise ClientDisconnected("the client is gone")
        self._file = sendfile.FileSender(protocol.fileno(), timeout=protocol.limits.write_timeout)
        try:
            await self._file.send(path, offset, count)
        finally:
            self._file = None
