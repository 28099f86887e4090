"""The deadlines of one connection, on a single timer that costs an ordinary request nothing.

A request that comes and is answered at once only writes a few numbers here; the timer looks at them when it
wakes.  It is set anew only when something must happen earlier than it would wake.
"""

from __future__ import annotations

import asyncio
import math
from enum import Enum
from typing import Protocol

from roadstead.server.limits import Limits


class Phase(Enum):
    """What we are waiting for from the client."""

    FIRST = "the first byte of the connection"
    IDLE = "the next request"
    HEAD = "the rest of a request's head"
    BODY = "the rest of a request's body"
    DONE = "nothing: it has sent a whole request"
    DRAIN = "the rest of a body that nobody wants"
    LINGER = "it to read our last words"
    CLOSING = "it to take what is still to be written"


class Guarded(Protocol):
    """What the deadlines need of the connection."""

    loop: asyncio.AbstractEventLoop
    limits: Limits
    transport: asyncio.Transport

    def read_late(self, phase: Phase) -> None:
        """The client did not send in time."""

    def write_late(self) -> None:
        """The client took nothing for too long."""


class Deadlines:
    __slots__ = (
        "_connection", "_mark", "_paused_at", "_read_at", "_timer", "_wake_at", "_window_at", "_write_at",
        "phase", "window_bytes",
    )  # fmt: skip

    def __init__(self, connection: Guarded) -> None:
        self._connection = connection
        self.phase = Phase.FIRST
        # Body bytes that came in the present window.
        self.window_bytes = 0
        self._window_at = 0.0
        # Since when we do not read: the client is not to blame for that time.
        self._paused_at: float | None = None
        self._read_at = math.inf
        self._write_at = math.inf
        # How much was waiting to be written when the write deadline was set.
        self._mark = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf

    def enter(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self._read_at = self._connection.loop.time() + seconds
        self._arm(self._read_at)

    def no_deadline(self, phase: Phase) -> None:
        self.phase = phase
        self._read_at = math.inf

    # ── a body's speed ──────────────────────────────────────────────────────────────────────────────────

    def body_begins(self) -> None:
        self._window_at = self._connection.loop.time()
        self.window_bytes = 0
        if self._paused_at is not None:
            self._paused_at = self._window_at
        self._expect_window()

    def _expect_window(self) -> None:
        if self._connection.limits.min_body_rate:
            self._read_at = self._window_at + self._connection.limits.body_grace
            self._arm(self._read_at)
        else:
            self._read_at = math.inf

    def reading_stopped(self) -> None:
        if self._paused_at is None:
            self._paused_at = self._connection.loop.time()

    def reading_went_on(self) -> None:
        if self._paused_at is not None:
            self._window_at += self._connection.loop.time() - self._paused_at
            self._paused_at = None

    def _body_late(self, now: float) -> bool:
        limits = self._connection.limits
        if self._paused_at is not None:
            self._window_at += now - self._paused_at
            self._paused_at = now
        if now < self._window_at + limits.body_grace:
            self._read_at = self._window_at + limits.body_grace
            return False
        if self.window_bytes < limits.min_body_rate * limits.body_grace:
            return True
        self._window_at = now
        self.window_bytes = 0
        self._read_at = now + limits.body_grace
        return False

    # ── a response's progress ───────────────────────────────────────────────────────────────────────────

    def writing_stopped(self) -> None:
        self._mark = self._connection.transport.get_write_buffer_size()
        self._write_at = self._connection.loop.time() + self._connection.limits.write_timeout
        self._arm(self._write_at)

    def writing_went_on(self) -> None:
        if self.phase is not Phase.CLOSING:
            self._write_at = math.inf

    def closing(self) -> None:
        """The transport closes once its buffer is empty; see that this happens."""
        self.no_deadline(Phase.CLOSING)
        self.writing_stopped()

    # ── the timer ───────────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake_at = -math.inf

    def _arm(self, at: float) -> None:
        if at >= self._wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = at
        self._timer = self._connection.loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        self._wake_at = math.inf
        # The loop's clock ticks in milliseconds, and a timer may be a tick early.
        now = self._connection.loop.time() + 0.002
        if now >= self._write_at:
            waiting = self._connection.transport.get_write_buffer_size()
            if waiting >= self._mark:
                self._connection.write_late()
                return
            self._mark = waiting
            self._write_at = now + self._connection.limits.write_timeout
        if now >= self._read_at and (self.phase is not Phase.BODY or self._body_late(now)):
            self._read_at = math.inf
            self._connection.read_late(self.phase)
        self._arm(min(self._read_at, self._write_at))
