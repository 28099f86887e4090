"""The worker, on both databases."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from roadstead.db.database import Database
from roadstead.db.tables import Job
from roadstead.jobs import queries
from roadstead.jobs.queries import enqueue
from roadstead.jobs.runner import JobContext, JobHandler, JobRunner, JobStopped
from roadstead.jobs.schedules import Every
from roadstead.telemetry.clock import now_ms

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]


@asynccontextmanager
async def running(
    database: Database,
    handlers: Mapping[str, JobHandler],
    *,
    lease: float = 30,
    concurrency: int = 2,
    grace: float = 5,
    schedules: tuple[Every, ...] = (),
) -> AsyncIterator[None]:
    runner = JobRunner(
        database,
        handlers,
        owner="test",
        concurrency=concurrency,
        lease=lease,
        grace=grace,
        schedules=schedules,
    )
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def add(
    database: Database, payload: Mapping[str, object] | None = None, *, lock: str | None = None
) -> int:
    job = await database.write(enqueue, "work", payload or {}, lock=lock, now=now_ms())
    assert job is not None
    return job


async def in_state(database: Database, state: str) -> int:
    count = select(func.count(Job.id)).where(Job.state == state)
    return await database.read(lambda conn: conn.execute(count).scalar_one())


async def until(database: Database, state: str, count: int) -> None:
    async with asyncio.timeout(20):
        while await in_state(database, state) < count:  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.02)


async def test_jobs_run_and_are_done(database: Database) -> None:
    seen: list[object] = []

    async def handle(context: JobContext) -> None:
        await context.progress(half=True)
        seen.append(context.payload["n"])

    for number in range(10):
        await add(database, {"n": number})
    async with running(database, {"work": handle}):
        await until(database, "succeeded", 10)
    assert sorted(map(str, seen)) == [str(n) for n in range(10)]


async def test_a_job_that_is_enqueued_later_wakes_the_worker(database: Database) -> None:
    async def handle(context: JobContext) -> None:
        pass

    async with running(database, {"work": handle}):
        await asyncio.sleep(0.3)
        async with asyncio.timeout(4):
            await add(database)
            await until(database, "succeeded", 1)


async def test_jobs_of_one_lock_run_one_after_the_other(database: Database) -> None:
    inside = 0

    async def handle(context: JobContext) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.005)
        inside -= 1

    for _ in range(6):
        await add(database, lock="one")
    async with running(database, {"work": handle}, concurrency=3):
        await until(database, "succeeded", 6)


async def test_a_poisoned_job_does_not_stop_the_others(database: Database) -> None:
    async def handle(context: JobContext) -> None:
        if context.payload.get("poison"):
            raise asyncio.CancelledError if context.payload["poison"] == 2 else ZeroDivisionError

    for poison in (1, 2, 0):
        await add(database, {"poison": poison})
    async with running(database, {"work": handle}):
        await until(database, "succeeded", 1)
        await until(database, "queued", 2)
    errors = await database.read(lambda conn: list(conn.scalars(select(Job.error).order_by(Job.id))))
    assert "ZeroDivisionError" in str(errors[0])
    assert "CancelledError" in str(errors[1])


async def test_a_stopping_worker_gives_its_jobs_back(database: Database) -> None:
    started = asyncio.Event()

    async def handle(context: JobContext) -> None:
        started.set()
        await asyncio.sleep(3600)

    await add(database)
    async with running(database, {"work": handle}, grace=0.05):
        await started.wait()
    row = await database.read(lambda conn: conn.execute(select(Job.state, Job.attempt)).one())
    assert tuple(row) == ("queued", 0)


async def test_a_job_may_stop_half_way_when_it_is_told_to(database: Database) -> None:
    started = asyncio.Event()
    stopped: list[type[BaseException]] = []

    async def handle(context: JobContext) -> None:
        started.set()
        try:
            while True:
                context.check()
                await asyncio.sleep(0.01)
        except JobStopped:
            stopped.append(JobStopped)
            raise

    await add(database)
    async with running(database, {"work": handle}):
        await started.wait()
    assert stopped == [JobStopped]
    assert await in_state(database, "queued") == 1


async def test_a_worker_whose_job_is_cancelled_is_told(database: Database) -> None:
    started = asyncio.Event()
    told = asyncio.Event()

    async def handle(context: JobContext) -> None:
        started.set()
        while not context.cancelled():  # noqa: ASYNC110 - what handlers do
            await asyncio.sleep(0.01)
        told.set()

    job = await add(database)
    async with running(database, {"work": handle}, lease=0.6):
        await started.wait()
        await database.write(queries.cancel, job, now=now_ms())
        async with asyncio.timeout(10):
            await told.wait()
    assert await in_state(database, "cancelled") == 1


async def test_a_long_job_keeps_its_lease(database: Database) -> None:
    runs: list[int] = []

    async def handle(context: JobContext) -> None:
        runs.append(context.attempt)
        await asyncio.sleep(2)

    await add(database)
    async with running(database, {"work": handle}, lease=1), running(database, {"work": handle}, lease=1):
        await until(database, "succeeded", 1)
    assert runs == [1]


async def test_the_clock_enqueues_between_workers_exactly_once(database: Database) -> None:
    runs: list[int] = []

    async def handle(context: JobContext) -> None:
        runs.append(context.job_id)

    sweep = (Every("sweep", "work", 3600),)
    async with (
        running(database, {"work": handle}, schedules=sweep),
        running(database, {"work": handle}, schedules=sweep),
    ):
        await until(database, "succeeded", 1)
        await asyncio.sleep(0.2)
    assert len(runs) == 1


async def test_the_worker_outlives_an_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(context: JobContext) -> None:
        pass

    broken = 2
    first = database.first

    async def sometimes(query: object, parameters: object) -> object:
        nonlocal broken
        if broken:
            broken -= 1
            raise OSError("gone")
        return await first(query, parameters)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(database, "first", sometimes)
    await add(database)
    async with running(database, {"work": handle}):
        await until(database, "succeeded", 1)


async def test_jobs_of_a_killed_worker_are_run_by_another(database: Database, database_url: str) -> None:
    """`kill -9` in the middle of two jobs: none is lost."""
    for _ in range(3):
        await add(database)
    script = Path(__file__).with_name("dying_worker.py")
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes a moment, in a test
        [sys.executable, script, database_url], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        read: Callable[[], str] = process.stdout.readline
        held = {int(await asyncio.to_thread(read)), int(await asyncio.to_thread(read))}
        process.kill()

    attempts: dict[int, int] = {}

    async def handle(context: JobContext) -> None:
        attempts[context.job_id] = context.attempt

    async with running(database, {"work": handle}, lease=1):
        await until(database, "succeeded", 3)
    assert {job for job, attempt in attempts.items() if attempt == 2} == held


async def test_an_idle_worker_costs_next_to_nothing(database: Database) -> None:
    looks = 0
    first = database.first

    async def counted(query: object, parameters: object) -> object:
        nonlocal looks
        looks += 1
        return await first(query, parameters)  # type: ignore[arg-type]  # passed through

    database.first = counted  # type: ignore[method-assign,assignment]  # counts
    async with running(database, {}):
        await asyncio.sleep(1)
    assert looks < 12
    await database.read(lambda conn: conn.execute(text("SELECT 1")).all())
