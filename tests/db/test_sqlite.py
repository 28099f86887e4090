"""What is SQLite's alone."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, func, select, text

from roadstead.db import sqlite_writer
from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_id
from roadstead.db.locks import WriterLock
from roadstead.db.sqlite import SqliteDatabase
from roadstead.db.tables import Project
from roadstead.errors import InsufficientStorage, Unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]

COUNT = select(func.count(Project.id))
BY_NAME = PreparedQuery(select(Project.id).where(Project.name == bindparam("name")))


def add(conn: Connection, name: str) -> int:
    return insert_id(conn, Project, {"name": name, "public": True, "owner_id": None, "created_at": 1})


def count(conn: Connection) -> int:
    return conn.execute(COUNT).scalar_one()


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
async def database(anyio_backend: str, path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path, readers=2, timeout=30)
    yield opened
    await opened.close()


async def test_every_connection_is_set_up(database: SqliteDatabase) -> None:
    def pragmas(conn: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await database.write(pragmas) == ["wal", 2, 1, 0]
    assert (await database.read(pragmas))[3] == 1


async def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    with pytest.raises(Unavailable):
        await database.read(add, "library")
    assert await database.read(count) == 0


async def test_units_that_wait_share_a_commit(database: SqliteDatabase) -> None:
    begun: list[int] = []
    gate = threading.Event()

    def first(conn: Connection) -> None:
        gate.wait(10)

    def later(conn: Connection, number: int) -> None:
        begun.append(number)
        add(conn, f"p{number}")

    before = await database.first(PreparedQuery(select(text("1"))), {})
    assert before == (1,)
    opening = asyncio.create_task(database.write(first))
    rest = [asyncio.create_task(database.write(later, number)) for number in range(20)]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(opening, *rest)
    assert begun == list(range(20))
    assert await database.read(count) == 20


async def test_a_commit_that_fails_fails_every_unit_in_it(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.write(add, "before")
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    writer = database._writer
    assert writer is not None
    real = writer._next

    def fail_at_the_end(taken: int, ends: float) -> sqlite_writer.Unit | None:
        unit = real(taken, ends)
        if unit is None:
            raise full
        return unit

    monkeypatch.setattr(writer, "_next", fail_at_the_end)
    results = await asyncio.gather(*(database.write(add, f"p{n}") for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [InsufficientStorage] * 5
    monkeypatch.undo()
    await database.write(add, "after")
    assert await database.read(count) == 2


async def test_a_unit_that_commits_by_itself_is_an_error(database: SqliteDatabase) -> None:
    def commit(conn: Connection) -> None:
        conn.exec_driver_sql("COMMIT")

    with pytest.raises(RuntimeError, match="ended its transaction"):
        await database.write(commit)
    await database.write(add, "library")


async def test_waiting_for_another_writer_is_bounded(path: Path) -> None:
    impatient = SqliteDatabase(path, readers=1, timeout=0.05)
    lock = WriterLock(path)
    with lock:
        with pytest.raises(Unavailable) as refusal:
            await impatient.write(add, "library")
        assert refusal.value.retry_after
    lock.close()
    assert await impatient.write(count) == 0
    await impatient.close()


async def test_a_hot_read_holds_no_snapshot_that_keeps_the_log_from_starting_over(
    database: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "LOG_LIMIT", 200_000)
    log = path.with_name(path.name + "-wal")
    largest = 0
    for number in range(150):
        await database.write(add, f"{number:0>2000}")
        await database.first(BY_NAME, {"name": "nobody"})
        await database.read(count)
        largest = max(largest, await asyncio.to_thread(lambda: log.stat().st_size))
    assert largest < 400_000


async def test_another_process_commit_is_noticed(database: SqliteDatabase, path: Path) -> None:
    other = SqliteDatabase(path, readers=1, timeout=5)
    await database.changed(0)
    await database.changed(0)
    await other.write(add, "library")
    async with asyncio.timeout(3):
        await database.changed(60)
    await other.close()


async def test_a_write_that_changes_nothing_wakes_nobody(database: SqliteDatabase) -> None:
    await database.write(add, "library")
    for _ in range(3):
        await database.changed(0)
    await database.write(count)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await database.changed(0.1)
    assert loop.time() - before >= 0.09
