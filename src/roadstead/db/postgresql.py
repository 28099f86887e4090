"""PostgreSQL, with psycopg 3.

Units of work run through SQLAlchemy; `first` and `all` go straight to the driver, on connections in
autocommit whose statements the server has prepared.  One connection more listens for notifications.

Behind a PgBouncer that pools transactions, prepared statements work from PgBouncer 1.22 on
(`max_prepared_statements` above 0).  For an older one add `?prepared_statements=off` to the address.
Notifications do not pass through it; waiting then falls back to looking every few seconds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Concatenate, Literal

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from roadstead.db.changes import Changes
from roadstead.db.database import P, PreparedQuery, Row, T
from roadstead.db.notifications import CHANNEL
from roadstead.db.postgresql_errors import RETRIABLE, check_version, is_lost, translated
from roadstead.db.urls import DatabaseUrlInvalid
from roadstead.errors import Unavailable

# Notice a dead server or a cut network in about a minute.
CONNECTION_DEFAULTS: Mapping[str, str] = {
    "application_name": "roadstead",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_TRIES = 5
# A notification can be lost with the connection that was to bring it.
_LOOK_EVERY = 5.0


class PostgresqlDatabase:
    def __init__(self, url: URL, *, pool_size: int, pool_timeout: float) -> None:
        self._url, self._prepare = take_prepare(url)
        self._timeout = pool_timeout
        hot = max(1, (pool_size - 1) // 3)
        self._engine = create_async_engine(
            self._url.set(query={**CONNECTION_DEFAULTS, **self._url.query}),
            pool_size=max(1, pool_size - 1 - hot),
            max_overflow=0,
            pool_timeout=pool_timeout,
            # What was not used for long may have been cut off by something in between.
            pool_recycle=1800,
            hide_parameters=True,
            connect_args={"prepare_threshold": 2 if self._prepare else None},
        )
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._hot_size = hot
        self._hot: AsyncConnectionPool[psycopg.AsyncConnection[Row]] | None = None
        self._starting = asyncio.Lock()
        self._changes = Changes()
        self._listener: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def dialect(self) -> Literal["postgresql"]:
        return "postgresql"

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        with translated():
            try:
                return await self._read(function, *args, **kwargs)
            except DBAPIError as error:
                # The pool found its connections dead, and has thrown them all away.
                if not error.connection_invalidated:
                    raise
            return await self._read(function, *args, **kwargs)

    async def _read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        async with self._reading.connect() as connection:
            return await connection.run_sync(function, *args, **kwargs)

    async def brief(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        with translated():
            for tried in range(1, _TRIES):
                try:
                    return await self._read(function, *args, **kwargs)
                except DBAPIError as error:
                    # The server has undone the statement itself: nothing is open.
                    if error.connection_invalidated or not isinstance(error.orig, RETRIABLE):
                        raise
                await _pause(tried)
            return await self._read(function, *args, **kwargs)

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()
        with translated():
            for tried in range(1, _TRIES):
                committing = False
                try:
                    async with self._engine.connect() as connection:
                        result = await connection.run_sync(function, *args, **kwargs)
                        committing = True
                        await connection.commit()
                        return result
                except DBAPIError as error:
                    # Lost before the commit, nothing was done; lost during it, only the server knows.
                    lost = error.connection_invalidated and not committing
                    if not (lost or isinstance(error.orig, RETRIABLE)):
                        raise
                await _pause(tried)
            async with self._engine.begin() as connection:
                return await connection.run_sync(function, *args, **kwargs)

    async def first(self, query: PreparedQuery, parameters: Mapping[str, object]) -> Row | None:
        return await self._hot_query(_fetch_one, query, parameters)

    async def all(self, query: PreparedQuery, parameters: Mapping[str, object]) -> list[Row]:
        return await self._hot_query(_fetch_all, query, parameters)

    async def _hot_query(
        self,
        fetch: Callable[[psycopg.AsyncCursor[Row]], Awaitable[T]],
        query: PreparedQuery,
        parameters: Mapping[str, object],
    ) -> T:
        text, given = query.postgresql
        values = {**given, **parameters}
        pool = self._hot or await self._open_hot()
        with translated():
            for again in (True, False):
                try:
                    async with pool.connection() as connection:
                        return await fetch(
                            await connection.execute(text, values, prepare=self._prepare or None)
                        )
                except psycopg.Error as error:
                    if not (again and is_lost(error)):
                        raise
                    # The server was restarted: every connection in the pool is as dead as this one.
                    await pool.check()
        raise AssertionError

    async def _open_hot(self) -> AsyncConnectionPool[psycopg.AsyncConnection[Row]]:
        async with self._starting:
            self._check_open()
            if self._hot is None:
                # By hand, once: what is wrong shows at once and as itself, not as a pool that stays empty.
                with translated():
                    async with await self._connect() as connection:
                        check_version(connection)
                pool = AsyncConnectionPool(
                    self._conninfo(),
                    connection_class=psycopg.AsyncConnection[Row],
                    kwargs={
                        "autocommit": True,
                        "prepare_threshold": 0 if self._prepare else None,
                    },
                    min_size=1,
                    max_size=self._hot_size,
                    timeout=self._timeout,
                    open=False,
                    name="roadstead-reads",
                )
                await pool.open()
                self._hot = pool
            return self._hot

    def _conninfo(self) -> str:
        return conninfo(self._url)

    async def _connect(self) -> psycopg.AsyncConnection[Row]:
        return await psycopg.AsyncConnection.connect(self._conninfo(), autocommit=True)

    async def changed(self, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        self._check_open()
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen(), name="roadstead-listen")
        await self._changes.wait(min(timeout, _LOOK_EVERY))

    async def _listen(self) -> None:
        """Pass notifications on, for ever.  A lost connection is made again."""
        delay = 0.5
        while True:
            started = time.monotonic()
            with suppress(psycopg.Error, OSError):
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    # Whatever was notified while nobody listened.
                    self._changes.bump()
                    async for _ in connection.notifies():
                        self._changes.bump()
            delay = 0.5 if time.monotonic() - started > 60 else min(delay * 2, 15.0)
            await asyncio.sleep(delay)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        async with self._starting:
            if self._hot is not None:
                await self._hot.close()
        await self._engine.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the database is closed: this server is stopping", retry_after=5)


async def _pause(tried: int) -> None:
    await asyncio.sleep(random.uniform(0.2, 1.0) * 0.01 * 2**tried)  # noqa: S311 - spreads retries


def take_prepare(url: URL) -> tuple[URL, bool]:
    """The address without our own option, and whether statements may be prepared."""
    wanted = url.query.get("prepared_statements", "on")
    if wanted not in ("on", "off"):
        raise DatabaseUrlInvalid("prepared_statements in database.url is neither on nor off")
    plain = url.difference_update_query(["prepared_statements"])
    try:
        conninfo(plain)
    except psycopg.ProgrammingError:
        # Not chained, nor quoted: what stands there may be a secret in the wrong place.
        raise DatabaseUrlInvalid(
            "database.url has an option after its `?` that PostgreSQL's library does not know",
            remedy="Spell options as libpq does, such as ?sslmode=require.",
        ) from None
    return plain, wanted == "on"


def conninfo(url: URL) -> str:
    """The address in libpq's own form.  Holds the password."""
    query = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    named = {
        "host": url.host,
        "port": None if url.port is None else str(url.port),
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return make_conninfo("", **{**CONNECTION_DEFAULTS, **query, **given})


async def _fetch_one(cursor: psycopg.AsyncCursor[Row]) -> Row | None:
    return await cursor.fetchone()


async def _fetch_all(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    return await cursor.fetchall()
