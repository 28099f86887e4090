"""What is PostgreSQL's alone."""

from __future__ import annotations

import asyncio
import traceback

import pytest
from psycopg import sql
from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.engine import make_url

from roadstead.db.database import PreparedQuery
from roadstead.db.engine import open_database
from roadstead.db.migrations import upgrade
from roadstead.db.postgresql import take_prepare
from roadstead.db.tables import Project
from roadstead.db.urls import DatabaseUrlInvalid
from roadstead.errors import Unavailable
from roadstead.testing.postgres import PostgresServer, find_binaries

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.postgres,
    pytest.mark.usefixtures("blocking_calls_fail"),
]

BY_NAME = PreparedQuery(select(Project.id).where(Project.name == bindparam("name")))
BACKEND = PreparedQuery(select(text("pg_backend_pid()")))


def one(conn: Connection) -> int:
    return int(conn.execute(text("SELECT 1")).scalar_one())


async def test_deadlocks_are_tried_again(postgres_url: str) -> None:
    database = open_database(postgres_url, pool_size=8, pool_timeout=10)

    def prepare(conn: Connection) -> None:
        conn.execute(text("CREATE TABLE pair (id INT PRIMARY KEY, n INT)"))
        conn.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))

    def touch(conn: Connection, ids: tuple[int, int]) -> None:
        conn.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
        for row in ids:
            conn.execute(text("UPDATE pair SET n = n + 1 WHERE id = :row"), {"row": row})
            conn.execute(text("SELECT pg_sleep(0.03)"))

    await database.write(prepare)
    await asyncio.gather(*(database.write(touch, pair) for pair in [(1, 2), (2, 1)] * 2))
    assert await database.read(lambda conn: list(conn.scalars(text("SELECT n FROM pair")))) == [4, 4]
    await database.close()


async def test_an_exhausted_pool_is_unavailable(postgres_url: str) -> None:
    database = open_database(postgres_url, pool_size=3, pool_timeout=0.1)
    slow = asyncio.create_task(database.read(lambda conn: conn.execute(text("SELECT pg_sleep(1)")).all()))
    await asyncio.sleep(0.3)
    with pytest.raises(Unavailable, match="in use") as refusal:
        await database.read(one)
    assert refusal.value.retry_after
    await slow
    await database.close()


async def test_connections_that_the_server_cut_are_replaced(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    database = open_database(postgres_url, pool_size=5, pool_timeout=10)
    await database.first(BY_NAME, {"name": "x"})
    await database.write(one)
    await database.changed(0)
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    await asyncio.to_thread(
        postgres_server.execute,
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(name),
    )
    assert await database.first(BY_NAME, {"name": "x"}) is None
    assert await database.read(one) == 1
    assert await database.write(one) == 1
    await database.close()


async def test_a_server_that_stops_is_unavailable_until_it_is_back() -> None:
    binaries = await asyncio.to_thread(find_binaries)
    assert binaries is not None
    server = await asyncio.to_thread(PostgresServer, binaries)
    await asyncio.to_thread(server.start)
    try:
        database = open_database(server.url("postgres"), pool_size=5, pool_timeout=2)
        await asyncio.to_thread(upgrade, server.url("postgres"))
        await database.first(BY_NAME, {"name": "x"})
        await asyncio.to_thread(server.stop)
        for attempt in (database.read(one), database.write(one), database.first(BY_NAME, {"name": "x"})):
            with pytest.raises(Unavailable) as refusal:
                await attempt
            assert refusal.value.retry_after
        await asyncio.to_thread(server.start)
        assert await database.write(one) == 1
        assert await database.first(BY_NAME, {"name": "x"}) is None
        await database.close()
    finally:
        await asyncio.to_thread(server.remove)


async def test_hot_reads_are_prepared_by_the_server_unless_told_not_to(postgres_url: str) -> None:
    count = PreparedQuery(select(text("(SELECT count(*) FROM pg_prepared_statements)")))
    for option, prepared in (("", True), ("&prepared_statements=off", False)):
        database = open_database(postgres_url + option, pool_size=3, pool_timeout=5)
        await database.first(BY_NAME, {"name": "x"})
        row = await database.first(count, {})
        assert row is not None
        assert (row[0] > 0) == prepared
        await database.close()


@pytest.mark.parametrize("prefix", ["postgres://", "postgresql://", "postgresql+psycopg://"])
async def test_every_spelling_of_the_address_works(postgres_url: str, prefix: str) -> None:
    database = open_database(postgres_url.replace("postgresql://", prefix), pool_size=3, pool_timeout=5)
    assert await database.read(one) == 1
    assert await database.first(BACKEND, {}) is not None
    await database.close()


async def test_an_option_that_nobody_knows_is_refused_without_a_word_of_it() -> None:
    url = make_url("postgresql+psycopg://u:p@127.0.0.1:1/db?canary=1")
    with pytest.raises(DatabaseUrlInvalid, match="option") as refusal:
        take_prepare(url)
    assert "canary" not in f"{refusal.value} {refusal.value.remedy}"
    assert refusal.value.__suppress_context__


async def test_a_password_is_in_no_error() -> None:
    database = open_database("postgresql://u:hunter2@127.0.0.1:1/x", pool_size=3, pool_timeout=2)
    for attempt in (database.read(one), database.first(BY_NAME, {"name": "x"})):
        with pytest.raises(Unavailable) as refusal:
            await attempt
        assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
    await database.close()


async def test_connections_that_were_idle_for_too_long_are_replaced(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    name = sql.Identifier(postgres_url.partition("?")[0].rpartition("/")[2])
    await asyncio.to_thread(
        postgres_server.execute,
        sql.SQL("ALTER DATABASE {} SET idle_session_timeout = '100ms'").format(name),
    )
    database = open_database(postgres_url, pool_size=5, pool_timeout=10)
    for _ in range(2):
        assert await database.first(BY_NAME, {"name": "x"}) is None
        assert await database.read(one) == 1
        assert await database.write(one) == 1
        await asyncio.sleep(0.4)
    await database.close()


async def test_a_statement_that_the_server_gave_up_is_worth_another_try(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    name = sql.Identifier(postgres_url.partition("?")[0].rpartition("/")[2])
    await asyncio.to_thread(
        postgres_server.execute, sql.SQL("ALTER DATABASE {} SET statement_timeout = '100ms'").format(name)
    )
    database = open_database(postgres_url, pool_size=5, pool_timeout=10)
    with pytest.raises(Unavailable, match="57014") as refusal:
        await database.write(lambda conn: conn.execute(text("SELECT pg_sleep(5)")).all())
    assert refusal.value.retry_after
    await database.close()
