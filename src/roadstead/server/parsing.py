"""What the parser tells of a connection, turned into exchanges and their bodies."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from roadstead.server import framing
from roadstead.server.deadlines import Deadlines, Phase
from roadstead.server.exchange import SENDFILE, Exchange
from roadstead.server.framing import FRAMING_HEADERS, METHODS, Refused
from roadstead.server.limits import Limits


class Stop(Exception):
    """Raised through the parser, which cannot be paused."""


class Parsing(HttpToolsProtocol):
    """The parser's half of a connection; `GuardedProtocol` is the other."""

    limits: Limits
    deadlines: Deadlines

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # No leniency: what comes after the last request of a connection never reaches the parser.
        self.parser = httptools.HttpRequestParser(self)
        self.offers_sendfile = False
        # The exchange whose body is being read, the one being answered, and those in between.
        self.reading: Exchange | None = None
        self.answering: Exchange | None = None
        self.waiting: list[Exchange] = []
        # Why the parser was stopped, and the refusal that may have to wait for the answers before it.
        self.stop: Refused | None = None
        self.refused: Refused | None = None
        # Whatever still comes is thrown away, and counted.
        self.deaf = False
        self.discarded = 0
        # The server stops: no request after the next.
        self.last = False
        # The head, as the parser brings it; `head_fed` counts reads that ended inside one.
        self.in_head = False
        self.heads = 0
        self.head_bytes = 0
        self.head_fed = 0
        self._special: list[tuple[bytes, bytes]] = []
        # The body: what came, what was spent on chunk sizes and trailers, what is to come past the parser.
        self.in_body = False
        self.chunked = False
        self.content_length = 0
        self.body_bytes = 0
        self.framing_bytes = 0
        self.direct = 0
        self._trailers = 0
        self.upgrading = False

    # ── to be had from the other half ───────────────────────────────────────────────────────────────────

    def pause_reading(self) -> None:
        raise NotImplementedError

    def next_request(self) -> None:
        raise NotImplementedError

    def linger(self, seconds: float) -> None:
        raise NotImplementedError

    # ── the head ────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self.deaf:
            raise Stop
        self.url = b""
        self.headers = []
        self._special = []
        self.in_head = True
        self.head_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            # A trailer.  It never becomes a header: a front proxy may have checked only those.
            self._trailers += 1
            if self._trailers > self.limits.max_headers:
                raise self._stopped(framing.too_many_headers(self.limits.max_headers))
            return
        self._count(len(name) + len(value) + 4)
        name = name.lower()
        value = value.rstrip(b" \t")
        self.headers.append((name, value))
        if name in FRAMING_HEADERS:
            self._special.append((name, value))
        if len(self.headers) > self.limits.max_headers:
            raise self._stopped(framing.too_many_headers(self.limits.max_headers))

    def _count(self, count: int) -> None:
        self.head_bytes += count
        if self.head_bytes > self.limits.max_header_bytes:
            raise self._stopped(framing.head_too_large(self.limits.max_header_bytes))

    def _stopped(self, refused: Refused) -> Stop:
        self.stop = refused
        return Stop()

    def on_headers_complete(self) -> None:
        if len(self.waiting) >= self.limits.max_pipelined:
            # Nobody pipelines that much in good faith: answer what is queued, and end there.
            self.deaf = True
            self.waiting[-1].keep_alive = False
            raise Stop
        try:
            exchange = self._exchange()
        except Refused as refused:
            raise self._stopped(refused) from refused
        self.in_head = False
        self.heads += 1
        self.in_body = True
        self.head_fed = self.body_bytes = self.framing_bytes = self._trailers = 0
        self.deadlines.phase = Phase.BODY
        self.reading = exchange
        if self.answering is None:
            self.begin(exchange)
        else:
            self.waiting.append(exchange)
            self.pause_reading()

    def _exchange(self) -> Exchange:
        parser = self.parser
        method = parser.get_method()
        if method not in METHODS:
            raise framing.method_refused(method)
        version = parser.get_http_version()
        head, host = framing.check_head(version, self._special)
        raw_path, path, query = framing.check_target(self.url, host)
        self.chunked = head.chunked
        self.content_length = head.content_length or 0
        if parser.should_upgrade():
            # The parser will stop behind the head.  A length tells where to go on; chunks would not.
            if head.chunked:
                raise framing.bad_request("a request with a chunked body cannot ask for an upgrade")
            self.upgrading = self.content_length > 0
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method.decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + path,
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": {SENDFILE: {}} if self.offers_sendfile else {},
        }
        return Exchange(
            self,  # type: ignore[arg-type]  # this half is never built alone
            scope,
            keep_alive=version == "1.1" and not self.last and parser.should_keep_alive(),
            awaits_continue=head.expects_continue and (head.chunked or self.content_length > 0),
        )

    def begin(self, exchange: Exchange) -> None:
        self.answering = exchange
        task = self.loop.create_task(exchange.run(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    # ── the body ────────────────────────────────────────────────────────────────────────────────────────

    def body_begins(self) -> None:
        """A read ended inside a body.  The rest of one with a known length need not be parsed."""
        if self.deadlines.phase is Phase.BODY:
            self.deadlines.body_begins()
            if self.reading is not None and self.reading.awaits_continue:
                # The client waits for us.
                self.deadlines.reading_stopped()
        if not self.chunked:
            self.direct = self.content_length - self.body_bytes

    def body_left(self) -> int:
        return 0 if self.chunked else self.content_length - self.body_bytes

    def past_the_parser(self, data: bytes) -> bytes:
        """Hand body bytes on without the parser's copy.  Returns what belongs to the next request."""
        count = len(data)
        if count < self.direct:
            self.direct -= count
            self.on_body(data)
            return b""
        rest = data[self.direct :]
        self.on_body(data if not rest else data[: self.direct])
        self.direct = 0
        # The old parser still waits for the body that it never saw.
        self.parser = httptools.HttpRequestParser(self)
        self.on_message_complete()
        return rest

    def on_body(self, body: bytes) -> None:
        count = len(body)
        self.body_bytes += count
        self.deadlines.window_bytes += count
        exchange = self.reading
        if exchange is None:
            return
        if exchange.response_complete:
            self.discarded += count
            if self.discarded > self.limits.drain_bytes and not self.deaf:
                self.linger(self.limits.linger_seconds)
        elif not exchange.feed(body):
            self.pause_reading()

    def on_message_complete(self) -> None:
        if self.upgrading or self.reading is None:
            return
        exchange = self.reading
        self.in_body = False
        self.deadlines.no_deadline(Phase.DONE)
        exchange.end_body()
        if not exchange.keep_alive:
            # RFC 9112 §9.6: nothing after this request counts.
            self.deaf = True
        if exchange.response_complete and self.answering is None:
            self.next_request()
