"""The one thread of a process that writes to SQLite, and its group commits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from roadstead.db.locks import WriterLock
from roadstead.db.sqlite_connection import busy, connect, explain
from roadstead.errors import Unavailable

MOST_UNITS = 64
# A transaction takes no more units in after this long, so that the first ones are not kept waiting.
LONGEST_TRANSACTION = 0.05
# The log is emptied by force at this size, should readers have kept it from starting over.
LOG_LIMIT = 64 * 1024 * 1024


class Unit:
    """One function to run in a transaction, and somebody who waits for it."""

    __slots__ = ("_untaken", "error", "function", "future", "loop", "result")

    def __init__(self, function: Callable[[Connection], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.function = function
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self._untaken = [None]

    def take(self) -> bool:
        """True for the first who asks, the writer or the one who gives up waiting.  Atomic without a lock."""
        try:
            self._untaken.pop()
        except IndexError:
            return False
        return True

    def give_up(self) -> None:
        """The wait was too long.  What has begun goes on."""
        if self.take() and not self.future.done():
            self.future.set_exception(busy())

    def resolve(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Writer:
    """Runs units of work one after the other, many in one transaction, and answers when it is durable.

    Units that arrive while a transaction runs join it: a commit costs a disk flush, however much is in it.
    The first unit of a transaction needs no savepoint, for when it fails there is nothing else to keep; each
    later one has its own, and fails alone.
    """

    def __init__(self, path: Path, *, on_change: Callable[[], None]) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._on_change = on_change
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._raw: sqlite3.Connection
        self._lock: WriterLock | None = None
        self._thread = threading.Thread(target=self._run, name="roadstead-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, unit: Unit) -> None:
        self._queue.put(unit)

    def stop(self) -> None:
        """Run what is queued, then end.  Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (unit := self._queue.get()) is not None:
                self._transaction(unit)
        finally:
            if self._connection is not None:
                self._connection.close()
            if self._lock is not None:
                self._lock.close()

    def _transaction(self, first: Unit) -> None:
        units: list[Unit] = []
        try:
            connection = self._open()
            assert self._lock is not None  # noqa: S101 - opened with the connection
            with self._lock:
                before = self._raw.total_changes
                self._run_units(connection, first, units)
                changed = self._raw.total_changes != before
                self._shorten_log()
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            changed = True
            if first.take():
                units.append(first)
            for unit in units:
                if unit.error is None:
                    unit.error = _for_all(error)
            self._close()
        _answer(units, self._on_change if changed else None)

    def _open(self) -> Connection:
        if self._connection is None:
            if self._lock is None:
                self._lock = WriterLock(self._path)
            self._raw = connect(self._path, write=True)
            engine = create_engine(
                "sqlite://", creator=lambda: self._raw, poolclass=NullPool, hide_parameters=True
            )
            self._connection = engine.connect()
        return self._connection

    def _close(self) -> None:
        """After a failure that we do not understand, begin with a fresh connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()
            with suppress(Exception):
                self._raw.close()

    def _run_units(self, connection: Connection, first: Unit, units: list[Unit]) -> None:
        """One transaction.  `units` grows by each one begun; an error raised is the fate of all."""
        ends = time.monotonic() + LONGEST_TRANSACTION
        transaction = connection.begin()
        raw = self._raw
        raw.execute("BEGIN IMMEDIATE")
        try:
            kept = 0
            unit: Unit | None = first
            while unit is not None:
                if unit.take():
                    units.append(unit)
                    kept += self._run_unit(connection, unit, alone=kept == 0)
                unit = self._next(len(units), ends)
            transaction.commit()
        except BaseException:
            transaction.rollback()
            raise

    def _run_unit(self, connection: Connection, unit: Unit, *, alone: bool) -> bool:
        raw = self._raw
        if not alone:
            raw.execute("SAVEPOINT unit")
        try:
            unit.result = unit.function(connection)
            if not raw.in_transaction:
                raise RuntimeError("a unit of work ended its transaction")  # noqa: TRY301 - its own failure
        except BaseException as error:
            unit.error = _for_caller(error)
            if not raw.in_transaction:
                # SQLite gave the whole transaction up (a full disk, say), and the others' work with it.
                raise
            if alone:
                raw.execute("ROLLBACK")
                raw.execute("BEGIN IMMEDIATE")
            else:
                raw.execute("ROLLBACK TO unit")
                raw.execute("RELEASE unit")
            return False
        if not alone:
            raw.execute("RELEASE unit")
        return True

    def _next(self, taken: int, ends: float) -> Unit | None:
        if taken >= MOST_UNITS or time.monotonic() >= ends:
            return None
        try:
            unit = self._queue.get_nowait()
        except Empty:
            return None
        if unit is None:
            self._queue.put(None)
        return unit

    def _shorten_log(self) -> None:
        # The commit is done: nothing that fails here may look as if it were not.
        with suppress(OSError, sqlite3.Error):
            if self._log.stat().st_size > LOG_LIMIT:
                self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


def _for_caller(error: BaseException) -> BaseException:
    if ours := explain(getattr(error, "orig", None) or error):
        ours.__cause__ = error
        return ours
    if isinstance(error, StopIteration):
        # A future cannot hold one.
        return RuntimeError("a unit of work raised StopIteration")
    return error


def _for_all(error: BaseException) -> BaseException:
    """What each unit of a lost transaction is told.  One exception object is never raised in two places."""
    ours = explain(getattr(error, "orig", None) or error) or Unavailable(
        "the transaction could not be done, and was rolled back",
        remedy="Try again. If this lasts, check the database's folder and its disk.",
        retry_after=1,
    )
    ours.__cause__ = error
    return ours


def _answer(units: list[Unit], on_change: Callable[[], None] | None) -> None:
    """Tell everybody at once: one wake-up of the event loop for a whole transaction."""

    def tell(mine: list[Unit]) -> None:
        for unit in mine:
            unit.resolve()
        if on_change is not None:
            on_change()

    for loop in {unit.loop for unit in units}:
        # A loop that is closed has nobody left to tell.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, [unit for unit in units if unit.loop is loop])
