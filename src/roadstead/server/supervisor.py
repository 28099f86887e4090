"""The parent of the workers: starts them, replaces the dead, and stops them all.

The listening socket stays open here, so a worker's death refuses nobody; clients that wait in its queue are
taken by the next worker.  Workers hold one end of a pipe of ours and stop when it breaks, however we died.
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, MutableSequence, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog

from roadstead.config.settings import Settings
from roadstead.server.accepting import Board
from roadstead.server.worker import STARTUP_FAILED, AppFactory, Told, worker_main

log = structlog.stdlib.get_logger("roadstead.server")

# Makes sockets picklable.
multiprocessing.allow_connection_pickling()
_spawn = multiprocessing.get_context("spawn")

# A worker that dies is replaced at once, then after pauses that double up to this, in seconds.
_LONGEST_PAUSE = 30.0
# A worker that was ready and lived so long, in seconds, is no part of a series of deaths: it was killed, or ran out of
# memory, and pausing for its sake would only add to the outage.
_SETTLED = 5.0
# When the system gives no process, it is asked again after so long.
_NO_PROCESS = 1.0
# After the second signal, workers get so long to go by themselves.
_LAST_GRACE = 2.0


class Worker:
    """A spawned process and our ends of its two pipes."""

    def __init__(
        self,
        settings: Settings,
        factory: AppFactory,
        sockets: Sequence[socket.socket],
        counts: MutableSequence[int],
        place: int,
    ) -> None:
        self.place = place
        self.messages, theirs = _spawn.Pipe(duplex=False)
        their_lifeline, self._lifeline = _spawn.Pipe(duplex=False)
        self.process: SpawnProcess = _spawn.Process(
            target=worker_main,
            args=(settings, factory, list(sockets), theirs, their_lifeline, Board(counts, place)),
            name="roadstead-worker",
        )
        self.born = time.monotonic()
        self.ready = False
        self.retiring = False
        self.process.start()
        # Theirs alone now: else we would not see them end.
        theirs.close()
        their_lifeline.close()

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def drain(self) -> None:
        self.retiring = True
        if self.process.is_alive():
            self.process.terminate()

    def bury(self) -> int:
        """Wait for the end that is there or near; returns the exit code."""
        self.process.join()
        self.messages.close()
        self._lifeline.close()
        return self.process.exitcode or 0


class Supervisor:
    def __init__(
        self,
        settings: Settings,
        factory: AppFactory,
        sockets: Sequence[socket.socket],
        count: int,
        *,
        ready: Callable[[], None],
        draining: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._factory = factory
        self._sockets = sockets
        self._count = count
        self._ready = ready
        self._draining = draining
        self._workers: list[Worker] = []
        # A restart has the old and the new at once.
        self._counts: MutableSequence[int] = _spawn.RawArray("i", [-1] * (2 * count))
        self._was_ready = False
        self._deaths = 0
        self._next_start = 0.0
        self._stops = 0
        self._hangups = 0
        self._kill_at: float | None = None
        self._busy: dict[int, int] = {}
        self._code = 0

    def run(self) -> int:
        """Until told to stop; returns the exit code."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        # A signal wakes the wait below through this socket.
        alarm, bell = socket.socketpair()
        bell.setblocking(False)
        alarm.setblocking(False)
        old_bell = signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        try:
            self._top_up()
            while self._workers or not self._stops:
                self._wait(alarm)
                self._heed_signals()
                if not self._stops:
                    self._top_up()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.bury()
            signal.set_wakeup_fd(old_bell)
            for number, handler in before.items():
                signal.signal(number, handler)
            alarm.close()
            bell.close()
        return self._code

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._hangups += 1
        else:
            self._stops += 1

    def _top_up(self) -> None:
        """Start the workers that are missing, unless they die faster than they start."""
        missing = self._count - sum(not worker.retiring for worker in self._workers)
        if missing <= 0 or time.monotonic() < self._next_start:
            return
        try:
            for _ in range(missing):
                self._add_worker()
        except OSError as error:
            # No process or no descriptor to be had.  Those that serve go on serving.
            self._next_start = time.monotonic() + _NO_PROCESS
            log.error("worker.not_started", reason=str(error), restart_in=_NO_PROCESS)  # noqa: TRY400 - said

    def _add_worker(self) -> None:
        taken = {worker.place for worker in self._workers}
        place = next((place for place in range(len(self._counts)) if place not in taken), 0)
        self._workers.append(Worker(self._settings, self._factory, self._sockets, self._counts, place))

    def _wait(self, alarm: socket.socket) -> None:
        sources: list[Connection | int | socket.socket] = [alarm]
        for worker in self._workers:
            sources.append(worker.process.sentinel)
            if not worker.messages.closed:
                sources.append(worker.messages)
        happened = wait(sources, timeout=self._patience())
        if alarm in happened:
            alarm.recv(4096)
        for worker in list(self._workers):
            self._hear(worker)
            if worker.process.sentinel in happened:
                self._mourn(worker)

    def _patience(self) -> float | None:
        now = time.monotonic()
        moments = [self._kill_at] if self._kill_at is not None else []
        if not self._stops and len(self._workers) < self._count:
            moments.append(self._next_start)
        return max(0.0, min(moments) - now) if moments else None

    def _hear(self, worker: Worker) -> None:
        while not worker.messages.closed and worker.messages.poll():
            try:
                told: Told = worker.messages.recv()
            except (EOFError, OSError):
                worker.messages.close()
                return
            if told.what == "ready":
                worker.ready = True
                log.info("worker.ready", pid=worker.pid)
                self._after_ready()
            elif told.what == "draining" and self._stops:
                self._busy[worker.pid] = told.requests
                if len(self._busy) >= len(self._workers) and any(self._busy.values()):
                    self._draining(sum(self._busy.values()))

    def _after_ready(self) -> None:
        fresh = [worker for worker in self._workers if worker.ready and not worker.retiring]
        if len(fresh) >= self._count and not self._was_ready:
            self._was_ready = True
            self._ready()
        # A restart retires each old worker once a new one has come to take its place.
        surplus = len(fresh) - self._count
        for worker in fresh[: max(surplus, 0)]:
            worker.drain()

    def _mourn(self, worker: Worker) -> None:
        self._workers.remove(worker)
        # Nobody shall leave connections to the dead.
        Board(self._counts, worker.place).leave()
        code = worker.bury()
        if worker.retiring or self._stops:
            return
        if code == STARTUP_FAILED and not self._was_ready:
            # It would fail the same way each time.
            self._code = 1
            self._stop()
            return
        now = time.monotonic()
        settled = worker.ready and now - worker.born > _SETTLED
        self._deaths = 0 if settled else self._deaths + 1
        pause = 0.0 if self._deaths <= 1 else min(2.0 ** (self._deaths - 2), _LONGEST_PAUSE)
        self._next_start = now + pause
        log.error("worker.died", pid=worker.pid, exit_code=code, restart_in=pause)

    def _heed_signals(self) -> None:
        if self._hangups and not self._stops:
            self._hangups = 0
            log.info("server.restarting", workers=self._count)
            # The new ones retire the old ones as they become ready.
            for _ in range(self._count):
                self._add_worker()
        if self._stops and self._kill_at is None:
            self._stop()
        if self._stops > 1:
            self._kill_at = min(self._kill_at or 0.0, time.monotonic() + _LAST_GRACE)
            self._stops = 1
            for worker in self._workers:
                worker.drain()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            for worker in self._workers:
                log.error("worker.killed", pid=worker.pid)
                worker.process.kill()

    def _stop(self) -> None:
        self._stops = max(self._stops, 1)
        # Workers hold the drain time themselves; this is for one that cannot.
        self._kill_at = time.monotonic() + self._settings.http.drain_timeout + 5
        for worker in self._workers:
            worker.drain()
