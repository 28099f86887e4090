"""Units of work and hot reads, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.exc import IntegrityError

from roadstead.db.database import Database, PreparedQuery
from roadstead.db.insert import insert_id, insert_id_or_none, insert_ignore, insert_ignore_all, upsert
from roadstead.db.notifications import notify
from roadstead.db.tables import Event, Project, Secret
from roadstead.errors import Unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]

_PROJECT = PreparedQuery(
    select(Project.id, Project.name, Project.public).where(Project.name == bindparam("name"))
)
_FIRST_PROJECTS = PreparedQuery(select(Project.name).order_by(Project.name).limit(2))
_SECRET = PreparedQuery(select(Secret.value).where(Secret.id == bindparam("id")))
_NAMES = select(Project.name).order_by(Project.name)


def add_project(conn: Connection, name: str) -> int:
    return insert_id(conn, Project, {"name": name, "public": True, "owner_id": None, "created_at": 1})


def project_names(conn: Connection) -> list[str]:
    return list(conn.scalars(_NAMES))


def add_project_and_notify(conn: Connection, name: str) -> None:
    add_project(conn, name)
    notify(conn)


async def test_a_read_sees_what_was_written(database: Database) -> None:
    number = await database.write(add_project, "library")
    assert await database.read(project_names) == ["library"]
    row = await database.first(_PROJECT, {"name": "library"})
    assert row is not None
    assert (*row[:2], bool(row[2])) == (number, "library", True)


async def test_names_sort_bytewise(database: Database) -> None:
    for name in ("b", "a", "B", "é", "a-b", "a1", "_"):
        await database.write(add_project, name)
    names = await database.read(project_names)
    assert names == sorted(names, key=str.encode)


async def test_a_hot_read_of_nothing_is_none(database: Database) -> None:
    assert await database.first(_PROJECT, {"name": "nobody"}) is None


async def test_a_hot_read_keeps_the_statements_own_values(database: Database) -> None:
    for name in ("a", "b", "c"):
        await database.write(add_project, name)
    assert await database.all(_FIRST_PROJECTS, {}) == [("a",), ("b",)]


async def test_a_hot_read_gives_bytes(database: Database) -> None:
    values = {"id": "k", "purpose": "p", "value": b"\x00\xff", "created_at": 1, "retired_at": None}
    await database.write(lambda conn: insert_ignore(conn, Secret, values, keys=["id"]))
    assert await database.first(_SECRET, {"id": "k"}) == (b"\x00\xff",)


async def test_many_hot_reads_at_once_all_answer(database: Database) -> None:
    await database.write(add_project, "library")
    rows = await asyncio.gather(*(database.first(_PROJECT, {"name": "library"}) for _ in range(50)))
    assert {row[1] for row in rows if row} == {"library"}


async def test_a_prepared_query_refuses_columns_that_need_work() -> None:
    with pytest.raises(TypeError, match="payload"):
        PreparedQuery(select(Event.payload))


async def test_a_prepared_query_refuses_lists() -> None:
    query = PreparedQuery(select(Project.id).where(Project.name.in_(["a", "b"])))
    with pytest.raises(TypeError, match="list"):
        _ = query.sqlite


async def test_a_failing_unit_leaves_nothing_behind(database: Database) -> None:
    def fail(conn: Connection) -> None:
        add_project(conn, "half")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await database.write(fail)
    assert await database.read(project_names) == []


async def test_a_unit_fails_alone_among_those_committed_with_it(database: Database) -> None:
    def add_or_fail(conn: Connection, number: int) -> None:
        add_project(conn, f"p{number:02}")
        if number % 3 == 0:
            raise ValueError(number)

    results = await asyncio.gather(
        *(database.write(add_or_fail, number) for number in range(30)), return_exceptions=True
    )
    assert [number for number, result in enumerate(results) if isinstance(result, ValueError)] == list(
        range(0, 30, 3)
    )
    assert await database.read(project_names) == [f"p{n:02}" for n in range(30) if n % 3]


async def test_a_broken_constraint_is_an_integrity_error(database: Database) -> None:
    await database.write(add_project, "library")
    with pytest.raises(IntegrityError):
        await database.write(add_project, "library")


async def test_a_unit_may_catch_a_broken_constraint_in_a_savepoint(database: Database) -> None:
    def add_twice(conn: Connection) -> None:
        add_project(conn, "library")
        with pytest.raises(IntegrityError), conn.begin_nested():
            add_project(conn, "library")
        add_project(conn, "other")

    await database.write(add_twice)
    assert await database.read(project_names) == ["library", "other"]


async def test_no_update_is_lost_between_concurrent_writers(database: Database) -> None:
    number = await database.write(add_project, "library")

    def count_up(conn: Connection) -> None:
        table = Project.__table__
        old = conn.scalar(select(Project.created_at).where(Project.id == number).with_for_update())
        conn.execute(table.update().where(Project.id == number).values(created_at=(old or 0) + 1))  # type: ignore[attr-defined]  # a Table

    await asyncio.gather(*(database.write(count_up) for _ in range(40)))
    found = await database.read(lambda conn: conn.scalar(select(Project.created_at)))
    assert found == 41


async def test_a_cancelled_caller_leaves_the_database_usable(database: Database) -> None:
    task = asyncio.create_task(database.write(add_project, "library"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(add_project, "other")
    assert "other" in await database.read(project_names)


async def test_a_closed_database_says_so(database: Database) -> None:
    await database.write(add_project, "library")
    await database.close()
    await database.close()
    with pytest.raises(Unavailable):
        await database.write(add_project, "other")
    with pytest.raises(Unavailable):
        await database.read(project_names)


async def test_closing_finishes_what_was_begun(database: Database, database_url: str) -> None:
    writes = [asyncio.create_task(database.write(add_project, f"p{n}")) for n in range(5)]
    await asyncio.gather(*writes)
    await database.close()
    assert all(write.done() and write.exception() is None for write in writes)


async def test_whoever_waits_is_woken_by_a_commit(database: Database) -> None:
    await database.changed(0)
    # Whatever else the server had to say on connecting.
    await database.changed(0.3)

    async def write_soon() -> None:
        await asyncio.sleep(0.01)
        await database.write(add_project_and_notify, "library")

    write = asyncio.create_task(write_soon())
    async with asyncio.timeout(4):
        await database.changed(60)
    await write


async def test_a_commit_before_the_wait_is_not_missed(database: Database) -> None:
    await database.changed(0)
    await database.changed(0.3)
    await database.write(add_project_and_notify, "library")
    async with asyncio.timeout(4):
        await database.changed(60)


async def test_waiting_ends_in_time_when_nothing_happens(database: Database) -> None:
    for _ in range(3):
        async with asyncio.timeout(2):
            await database.changed(0.05)


async def test_insert_ignore_says_whether_it_inserted(database: Database) -> None:
    values = {"name": "library", "public": True, "owner_id": None, "created_at": 1}

    def insert_twice(conn: Connection) -> tuple[bool, bool]:
        return (
            insert_ignore(conn, Project, values, keys=["name"]),
            insert_ignore(conn, Project, values, keys=["name"]),
        )

    assert await database.write(insert_twice) == (True, False)


async def test_insert_id_or_none_gives_the_id_once(database: Database) -> None:
    values = {"name": "library", "public": True, "owner_id": None, "created_at": 1}

    def insert_twice(conn: Connection) -> tuple[int | None, int | None]:
        return (
            insert_id_or_none(conn, Project, values, keys=["name"]),
            insert_id_or_none(conn, Project, values, keys=["name"]),
        )

    first, second = await database.write(insert_twice)
    assert isinstance(first, int)
    assert second is None


async def test_insert_ignore_all_adds_the_missing_ones(database: Database) -> None:
    await database.write(add_project, "b")
    rows = [{"name": n, "public": True, "owner_id": None, "created_at": 1} for n in "abc"]
    await database.write(insert_ignore_all, Project, rows, keys=["name"])
    await database.write(insert_ignore_all, Project, [], keys=["name"])
    assert await database.read(project_names) == ["a", "b", "c"]


async def test_upsert_replaces_only_what_it_is_told_to(database: Database) -> None:
    def put(conn: Connection, *, public: bool, created_at: int) -> None:
        values = {"name": "library", "public": public, "owner_id": None, "created_at": created_at}
        upsert(conn, Project, values, keys=["name"], update=["public"])

    await database.write(put, public=True, created_at=1)
    await database.write(put, public=False, created_at=2)
    row = await database.read(lambda conn: conn.execute(select(Project.public, Project.created_at)).one())
    assert tuple(row) == (False, 1)
