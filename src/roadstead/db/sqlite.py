"""SQLite: one writer thread, a few reader threads, and reads on the event loop where microseconds count.

Whole units of work hop to a thread, never single statements.  Fork before opening, not after: a child must
not share a parent's connections or locks, and is refused.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate, Literal

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from roadstead.db.changes import Changes
from roadstead.db.database import P, PreparedQuery, Row, T
from roadstead.db.sqlite_connection import check_version, connect, translated
from roadstead.db.sqlite_writer import Unit, Writer
from roadstead.errors import Unavailable

# How soon a commit of another process is noticed.  A look costs 4 µs.
_LOOK_EVERY = 0.25
# The event loop itself waits here, so: not long.  Readers of a log hardly ever wait.
_INLINE_BUSY_MS = 500


class SqliteDatabase:
    def __init__(self, path: Path, *, readers: int, timeout: float) -> None:
        check_version()
        self._path = path
        self._timeout = timeout
        self._process = os.getpid()
        self._changes = Changes()
        self._seen_version: object = None
        self._writer: Writer | None = None
        self._inline: sqlite3.Connection | None = None
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="roadstead-reader")
        self._reader_engine = create_engine(
            "sqlite://",
            creator=partial(connect, path, write=False),
            poolclass=NullPool,
            hide_parameters=True,
        )
        self._reader = threading.local()
        self._open_readers: list[Connection] = []
        self._closed = False

    @property
    def dialect(self) -> Literal["sqlite"]:
        return "sqlite"

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, partial(self._read, function, *args, **kwargs))

    def _read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with translated():
            connection: Connection | None = getattr(self._reader, "connection", None)
            if connection is None:
                connection = self._reader.connection = _connection(self._reader_engine)
                self._open_readers.append(connection)
            try:
                return function(connection, *args, **kwargs)
            finally:
                # Ends SQLAlchemy's idea of a transaction; SQLite itself was in none.
                connection.rollback()

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        if self._writer is None:
            self._writer = Writer(self._path, on_change=self._changes.bump)
            self._writer.start()
        loop = asyncio.get_running_loop()
        unit = Unit(partial(_call, function, args, kwargs), loop)
        patience = loop.call_later(self._timeout, unit.give_up)
        self._writer.submit(unit)
        try:
            result: T = await unit.future
        finally:
            patience.cancel()
            # A caller who was cancelled: what has not begun never will.
            unit.take()
        return result

    async def brief(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.write(function, *args, **kwargs)

    async def first(self, query: PreparedQuery, parameters: Mapping[str, object]) -> Row | None:
        # On the event loop, on purpose: an indexed read takes 10 µs, a thread hop 100.
        text, given = query.sqlite
        try:
            # The cursor goes with this line, and the snapshot that it holds with it.
            row: Row | None = self._hot().execute(text, {**given, **parameters}).fetchone()
        except sqlite3.Error:
            with translated():
                raise
        return row

    async def all(self, query: PreparedQuery, parameters: Mapping[str, object]) -> list[Row]:
        text, given = query.sqlite
        try:
            return self._hot().execute(text, {**given, **parameters}).fetchall()
        except sqlite3.Error:
            with translated():
                raise

    async def changed(self, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        ends = time.monotonic() + timeout
        while True:
            self._look()
            left = ends - time.monotonic()
            if await self._changes.wait(max(0.0, min(_LOOK_EVERY, left))) or left <= _LOOK_EVERY:
                return

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        if self._writer is not None:
            await loop.run_in_executor(None, self._writer.stop)
        await loop.run_in_executor(None, self._close_readers)
        if self._inline is not None:
            self._inline.close()
            self._inline = None

    def _close_readers(self) -> None:
        self._readers.shutdown()
        for connection in self._open_readers:
            connection.close()
        self._reader_engine.dispose()

    def _hot(self) -> sqlite3.Connection:
        if self._inline is None:
            self._check_open()
            self._inline = connect(self._path, write=False, busy_ms=_INLINE_BUSY_MS)
        return self._inline

    def _look(self) -> None:
        with translated():
            version = self._hot().execute("PRAGMA data_version").fetchone()
        if version != self._seen_version:
            self._seen_version = version
            self._changes.bump()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the database is closed: this server is stopping", retry_after=5)
        if os.getpid() != self._process:
            raise RuntimeError("an SQLite database was opened before a fork; open it in each process")


def _call(
    function: Callable[Concatenate[Connection, P], T],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    connection: Connection,
) -> T:
    return function(connection, *args, **kwargs)  # type: ignore[arg-type]  # P cannot be stored and given later


def _connection(engine: Engine) -> Connection:
    return engine.connect()
