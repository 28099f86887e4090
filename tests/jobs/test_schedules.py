"""Schedules, on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from roadstead.db.database import Database
from roadstead.db.tables import Job, Schedule
from roadstead.jobs import queries
from roadstead.jobs.queries import Claims
from roadstead.jobs.schedules import Every, due, ensure

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]

SWEEP = Every("sweep", "gc.sweep", 60, {"deep": True})


async def jobs(database: Database) -> int:
    return await database.read(lambda conn: conn.execute(select(func.count(Job.id))).scalar_one())


async def test_a_schedule_is_due_at_once_and_then_each_time(database: Database) -> None:
    await database.write(ensure, [SWEEP], now=1_000)
    claims = Claims("default", ["gc.sweep"])
    made = []
    for now in (1_000, 1_001, 60_999, 61_000, 61_001):
        made.append(await database.write(due, now=now))
        job = await database.write(claims.claim, owner="me", lease_ms=1000, now=now)
        if job:
            assert job.payload == {"deep": True}
            await database.write(queries.finish, job, now=now)
    assert made == [1, 0, 0, 1, 0]


async def test_missed_times_are_made_up_for_once(database: Database) -> None:
    await database.write(ensure, [SWEEP], now=1_000)
    assert await database.write(due, now=600_000) == 1
    assert await database.read(lambda conn: conn.scalar(select(Schedule.next_at))) == 601_000


async def test_a_job_that_still_runs_is_not_doubled(database: Database) -> None:
    await database.write(ensure, [SWEEP], now=1_000)
    assert await database.write(due, now=1_000) == 1
    assert await database.write(due, now=61_000) == 0
    assert await jobs(database) == 1


async def test_knowing_a_schedule_again_keeps_its_time(database: Database) -> None:
    await database.write(ensure, [SWEEP], now=1_000)
    await database.write(due, now=1_000)
    await database.write(ensure, [Every("sweep", "gc.sweep", 120)], now=2_000)
    assert await database.write(due, now=2_000) == 0
    row = await database.read(
        lambda conn: conn.execute(select(Schedule.every_seconds, Schedule.next_at)).one()
    )
    assert tuple(row) == (120, 61_000)


async def test_many_nodes_enqueue_a_due_job_exactly_once(database: Database) -> None:
    schedules = [Every(f"s{number}", "work", 60) for number in range(5)]
    await asyncio.gather(*(database.write(ensure, schedules, now=1_000) for _ in range(6)))
    made = await asyncio.gather(*(database.write(due, now=1_000) for _ in range(6)))
    assert sum(made) == await jobs(database) == 5
