"""One connection: uvicorn's httptools protocol with limits, deadlines and strict framing.

The event loop calls `data_received` and friends, the parser calls the `on_…` of `parsing.py`, an `Exchange`
calls the rest.  Of uvicorn's class remain the constructor and what uvicorn's server asks of a connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from roadstead.server import framing
from roadstead.server.deadlines import Deadlines, Phase
from roadstead.server.exchange import Exchange
from roadstead.server.framing import Refused
from roadstead.server.limits import Limits
from roadstead.server.parsing import Parsing

log = structlog.stdlib.get_logger("roadstead.server")

# The first bytes of a TLS handshake, from a client that should have said http://.
_TLS_HELLO = b"\x16\x03"
# How long a stopping server waits for the first bytes of a connection that it has just accepted, in seconds.
_LAST_CHANCE = 0.5


class GuardedProtocol(Parsing):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = getattr(config, "limits", None) or Limits()
        self.deadlines = Deadlines(self)

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = get_local_addr(transport)
        self.client = get_remote_addr(transport)
        encrypted = transport.get_extra_info("sslcontext") is not None
        self.scheme = "https" if encrypted else "http"
        self.offers_sendfile = not encrypted and transport.get_extra_info("socket") is not None
        if len(self.connections) > self.limits.max_connections:
            self.refuse(framing.too_many_connections(self.limits.max_connections))
        else:
            self.deadlines.enter(Phase.FIRST, self.limits.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.deadlines.stop()
        self.deaf = True
        for exchange in self._unfinished():
            exchange.lost()
        self.waiting.clear()
        self.answering = None
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()
        self.parser = None  # type: ignore[assignment]  # breaks the circle with the parser

    def eof_received(self) -> None:
        """The client sends no more: its request can never become whole."""
        if self.deadlines.phase is Phase.BODY and not self.deaf:
            self.fail_body(framing.bad_request("the connection ended before the request's body did"))

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        self.deadlines.writing_stopped()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        self.deadlines.writing_went_on()

    def shutdown(self) -> None:
        """The server stops: finish what was begun, and nothing else."""
        self.last = True
        phase = self.deadlines.phase
        if phase is Phase.FIRST:
            # Accepted, perhaps with a request that we have not read yet: nobody else can answer it now.
            self.deadlines.enter(Phase.FIRST, min(_LAST_CHANCE, self.limits.header_timeout))
        elif self.answering is None and phase is not Phase.HEAD:
            self.close()
        for exchange in self._unfinished():
            exchange.keep_alive = False

    def close(self) -> None:
        self.deaf = True
        if not self.transport.is_closing():
            self.transport.close()
            self.deadlines.closing()

    def cut(self, exchange: Exchange) -> None:
        """End the connection in the middle of a response."""
        exchange.lost()
        self.deaf = True
        self.transport.abort()

    def _unfinished(self) -> list[Exchange]:
        return self.waiting if self.answering is None else [self.answering, *self.waiting]

    # ── bytes in ────────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        if self.direct and not self.deaf:
            data = self.past_the_parser(data)
        if self.deaf:
            self._discard(len(data))
            return
        if not data:
            return
        heads, was_in_head, was_in_body, body_bytes = self.heads, self.in_head, self.in_body, self.body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            if not self.deaf:
                self._refuse_parse(error, data)
            return
        fresh = self.heads - heads
        if self.chunked and not self.in_head and fresh + was_in_body == 1:
            # Only when all these bytes were one message's.
            of_body = self.body_bytes if fresh else self.body_bytes - body_bytes
            self._count_framing(len(data) - of_body - (self.head_bytes if fresh else 0))
        if not self.deaf:
            self._set_deadline(
                len(data), fresh=fresh > 0, was_in_head=was_in_head, was_in_body=bool(was_in_body)
            )

    def _set_deadline(self, count: int, *, fresh: bool, was_in_head: bool, was_in_body: bool) -> None:
        """The read ended: if in the middle of something, the client has so long for the rest."""
        phase = self.deadlines.phase
        if phase is Phase.BODY or phase is Phase.DRAIN:
            if fresh:
                self.body_begins()
        elif was_in_body and not self.in_head:
            # The end of a body whose request was answered already.  No head has begun.
            return
        elif self.in_head or phase is Phase.FIRST or phase is Phase.IDLE:
            self._count_head(count, same=not fresh and (was_in_head or not self.in_head))

    def _count_head(self, count: int, *, same: bool) -> None:
        """The read ended in the middle of a head.  The parser keeps an unfinished line, so count it here."""
        if self.deadlines.phase is not Phase.HEAD:
            self.deadlines.enter(Phase.HEAD, self.limits.header_timeout)
        if not same:
            # Some of these bytes were an earlier request's; the parser's callbacks count what is of this one.
            self.head_fed = 0
            return
        self.head_fed += count
        if self.head_fed > self.limits.max_header_bytes:
            self.refuse(framing.head_too_large(self.limits.max_header_bytes))

    def _count_framing(self, count: int) -> None:
        """Chunk sizes, extensions and trailers are cheap to send: no more of them than of body."""
        self.framing_bytes += count
        if self.framing_bytes > self.limits.max_header_bytes + self.body_bytes:
            self.fail_body(framing.bad_request("the chunked body has more framing than content"))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """The parser stopped for a change of protocol, which we never make: go on after the head."""
        self.parser = httptools.HttpRequestParser(self)
        self.upgrading = False
        if self.deadlines.phase is Phase.BODY:
            self.body_begins()
        if rest:
            self.data_received(rest)

    def _refuse_parse(self, error: httptools.HttpParserError, data: bytes) -> None:
        if self.in_body:
            self.fail_body(
                self.stop or framing.bad_request(f"the request's body is not well formed: {error}")
            )
        elif self.stop is not None:
            self.refuse(self.stop)
        elif data.startswith(_TLS_HELLO):
            self.refuse(
                framing.bad_request("this port speaks plain HTTP", "use http://, or set tls.certificate")
            )
        elif isinstance(error, httptools.HttpParserInvalidMethodError):
            self.refuse(framing.method_refused(None))
        else:
            self.refuse(framing.bad_request(f"the request is not well formed HTTP/1.1: {error}"))

    def _discard(self, count: int) -> None:
        self.discarded += count
        if self.discarded > self.limits.drain_bytes:
            if self.deadlines.phase is Phase.LINGER:
                self.close()
            else:
                self.pause_reading()

    def pause_reading(self) -> None:
        if not self.flow.read_paused:
            self.deadlines.reading_stopped()
            self.flow.pause_reading()

    def resume_reading(self) -> None:
        if self.flow.read_paused:
            self.deadlines.reading_went_on()
            self.flow.resume_reading()

    # ── for the exchange ────────────────────────────────────────────────────────────────────────────────

    def want_body(self, exchange: Exchange) -> None:
        """The app reads on."""
        if exchange.awaits_continue:
            exchange.awaits_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.deadlines.reading_went_on()
        self.resume_reading()

    def listen(self) -> None:
        """The app wants to hear of the client's going away: only reading tells."""
        if not self.waiting:
            self.resume_reading()

    def may_keep_alive(self, exchange: Exchange) -> bool:
        """False when the rest of the body is more than we care to throw away, or may never come."""
        if not exchange.more_body:
            return True
        return not exchange.awaits_continue and self.body_left() <= self.limits.drain_bytes

    def on_response_complete(self, exchange: Exchange) -> None:  # type: ignore[override]  # ours knows which
        self.server_state.total_requests += 1
        self.answering = None
        if self.transport.is_closing():
            return
        if exchange.more_body:
            self.discarded = 0
            if exchange.keep_alive:
                self.resume_reading()
                self.deadlines.enter(Phase.DRAIN, self.limits.drain_seconds)
            else:
                self.linger(self.limits.drain_seconds)
        elif exchange.keep_alive:
            self.next_request()
        elif self.discarded:
            self.linger(self.limits.linger_seconds)
        else:
            self.close()

    def next_request(self) -> None:
        if self.waiting:
            self.begin(self.waiting.pop(0))
        elif self.refused is not None:
            self._write_refusal(self.refused)
            return
        elif self.deadlines.phase is Phase.DONE:
            self.deadlines.enter(Phase.IDLE, self.limits.keep_alive_timeout)
        if not self.waiting:
            self.resume_reading()

    async def flush(self) -> None:
        """Return when the transport holds nothing any more, so that others may write to its socket."""
        transport = self.transport
        if transport.is_closing() or not transport.get_write_buffer_size():
            return
        transport.set_write_buffer_limits(high=0)
        if self.flow.write_paused:
            await self.flow.drain()
        if not transport.is_closing():
            transport.set_write_buffer_limits()

    def fileno(self) -> int:
        return int(self.transport.get_extra_info("socket").fileno())

    # ── bad ends ────────────────────────────────────────────────────────────────────────────────────────

    def refuse(self, refused: Refused) -> None:
        """Answer a request that never became one, in its turn, and end the connection."""
        self.deaf = True
        self.refused = refused
        if self.answering is None:
            self._write_refusal(refused)

    def fail_body(self, refused: Refused) -> None:
        """The request being read can never be whole.  Its app learns that the client is gone."""
        self.deaf = True
        exchange = self.reading
        if exchange is None or exchange.response_complete:
            self.linger(self.limits.linger_seconds)
            return
        exchange.lost()
        if exchange is not self.answering:
            self.waiting.remove(exchange)
            self.refused = refused
        elif exchange.response_started:
            self.close()
        else:
            self._write_refusal(refused)

    def _write_refusal(self, refused: Refused) -> None:
        log.info("http.refused", status=refused.status, reason=refused.error.message, client=self.client)
        if not self.transport.is_closing():
            self.transport.write(framing.refusal(refused, self.server_state.default_headers))
            self.linger(self.limits.linger_seconds)

    def linger(self, seconds: float) -> None:
        """Say that no more comes, and go on reading for a while.

        To close with unread bytes would reset the connection, and the client might never see our answer.
        """
        self.deaf = True
        self.answering = None
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()
        self.deadlines.enter(Phase.LINGER, seconds)

    def read_late(self, phase: Phase) -> None:
        if phase is Phase.HEAD:
            limit = self.limits.header_timeout
            self.refuse(
                framing.too_slow(
                    f"the request's head did not arrive within {limit:g} seconds", "send it faster"
                )
            )
        elif phase is Phase.BODY:
            rate, grace = self.limits.min_body_rate, self.limits.body_grace
            self.fail_body(
                framing.too_slow(
                    f"the request's body came slower than {rate} bytes a second for {grace:g} seconds",
                    "send it faster, or lower http.min_body_rate",
                )
            )
        elif phase is Phase.DRAIN:
            self.linger(self.limits.linger_seconds)
        else:
            self.close()

    def write_late(self) -> None:
        log.info("http.client_stalled", client=self.client, seconds=self.limits.write_timeout)
        self.transport.abort()
