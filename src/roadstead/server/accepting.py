"""Sharing connections out evenly among workers that accept from one socket.

Left to itself, the worker that wakes first takes every connection that waits, and a few busy clients, each with
one connection, end up on one core.  So a worker takes one connection a turn, and when another holds fewer, it
stands back for a moment first.  Nobody waits for a worker that is gone: after that moment, whoever looks takes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, MutableSequence

import structlog

log = structlog.stdlib.get_logger("roadstead.server")

# How long a worker stands back, in seconds.
_STAND_BACK = 0.005
# How long nothing is accepted after the system refused, out of descriptors for example.
_RECOVER = 0.5
_ABSENT = -1


class Board:
    """How many connections each worker holds, in memory that the workers share.  Roughly right is enough."""

    def __init__(self, counts: MutableSequence[int], place: int) -> None:
        self._counts = counts
        self._place = place

    def post(self, count: int) -> None:
        self._counts[self._place] = count

    def leave(self) -> None:
        """This worker takes no more."""
        self._counts[self._place] = _ABSENT

    def others_hold_fewer(self, count: int) -> bool:
        return any(
            _ABSENT < theirs < count for place, theirs in enumerate(self._counts) if place != self._place
        )


class Acceptor:
    """Accepts for one worker.  Looks like an asyncio server to whoever closes it."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        board: Board,
        *,
        held: Callable[[], int],
        context: ssl.SSLContext | None,
        handshake_timeout: float,
        most_handshakes: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocol = protocol
        self._board = board
        self._held = held
        self._context = context
        self._handshake_timeout = handshake_timeout if context else None
        self._most_handshakes = most_handshakes
        self._stood_back = False
        self._pause: asyncio.TimerHandle | None = None
        self._arriving: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        self._listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._board.leave()
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.fileno())

    async def wait_closed(self) -> None:
        if self._arriving:
            await asyncio.gather(*self._arriving, return_exceptions=True)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._on_connection)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(seconds, self._listen)

    def _on_connection(self) -> None:
        held = self._held() + len(self._arriving)
        if not self._stood_back and self._board.others_hold_fewer(held):
            self._stood_back = True
            self._rest(_STAND_BACK)
            return
        self._stood_back = False
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            # Somebody else has it, or the client thought better of it.
            return
        except OSError as error:
            log.error("server.accept_failed", reason=str(error))  # noqa: TRY400 - the reason says it all
            self._rest(_RECOVER)
            return
        if len(self._arriving) >= self._most_handshakes:
            # Nothing can be said to them before TLS stands, and a handshake costs us more than them.
            connection.close()
            return
        self._board.post(held + 1)
        task = self._loop.create_task(self._receive(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _receive(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        # A Unix socket has no such option.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_timeout,
            )
        except (OSError, TimeoutError) as error:
            # A client that left, or one whose TLS we do not speak.
            log.debug("server.connection_failed", reason=str(error))
            connection.close()
