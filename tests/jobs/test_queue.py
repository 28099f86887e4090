"""The queue's SQL, on both databases, under a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from roadstead.db.database import Database
from roadstead.db.tables import Job
from roadstead.jobs import queries
from roadstead.jobs.queries import EXPIRED, ClaimedJob, Claims, enqueue

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]

CLAIMS = Claims("default", ["work"])
LEASE = 10_000


async def add(
    database: Database,
    *,
    kind: str = "work",
    payload: Mapping[str, object] | None = None,
    run_at: int | None = None,
    unique_key: str | None = None,
    lock: str | None = None,
    priority: int = 0,
    max_attempts: int = 5,
    now: int = 1000,
) -> int | None:
    return await database.write(
        enqueue,
        kind,
        payload or {},
        run_at=run_at,
        unique_key=unique_key,
        lock=lock,
        priority=priority,
        max_attempts=max_attempts,
        now=now,
    )


async def claim(database: Database, *, now: int = 1000) -> ClaimedJob | None:
    return await database.write(CLAIMS.claim, owner="me", lease_ms=LEASE, now=now)


async def claimed(database: Database, *, now: int = 1000) -> ClaimedJob:
    job = await claim(database, now=now)
    assert job is not None
    return job


async def states(database: Database) -> list[str]:
    return await database.read(lambda conn: list(conn.scalars(select(Job.state).order_by(Job.id))))


async def test_a_job_is_claimed_once(database: Database) -> None:
    number = await add(database, payload={"a": [1, "é"]})
    job = await claimed(database)
    assert (job.id, job.kind, job.payload, job.attempt) == (number, "work", {"a": [1, "é"]}, 1)
    assert await claim(database) is None


async def test_a_job_that_is_rolled_back_was_never_there(database: Database) -> None:
    def enqueue_and_fail(conn: Connection) -> None:
        enqueue(conn, "work", {}, now=1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write(enqueue_and_fail)
    assert await claim(database) is None


async def test_a_job_waits_for_its_time(database: Database) -> None:
    await add(database, run_at=5000)
    assert await claim(database, now=4999) is None
    assert await database.first(CLAIMS.ready, {"now": 4999}) is None
    assert await database.first(CLAIMS.next_at, {"now": 4999}) == (5000,)
    assert await database.first(CLAIMS.ready, {"now": 5000}) is not None
    assert await claim(database, now=5000) is not None


async def test_a_job_of_an_unknown_kind_is_left_to_others(database: Database) -> None:
    await add(database, kind="from the future")
    assert await claim(database) is None


async def test_higher_priorities_go_first(database: Database) -> None:
    low = await add(database)
    high = await add(database, priority=5)
    assert [(await claimed(database)).id, (await claimed(database)).id] == [high, low]


async def test_a_unique_key_is_held_until_the_job_ends(database: Database) -> None:
    assert await add(database, unique_key="k") is not None
    assert await add(database, unique_key="k") is None
    job = await claimed(database)
    assert await add(database, unique_key="k") is None
    assert await database.write(queries.finish, job, now=2000)
    assert await add(database, unique_key="k") is not None


async def test_of_one_lock_one_job_runs(database: Database) -> None:
    first = await add(database, lock="repo")
    await add(database, lock="repo")
    job = await claimed(database)
    assert job.id == first
    assert await claim(database) is None
    await database.write(queries.finish, job, now=2000)
    assert await claim(database) is not None


async def test_a_heartbeat_keeps_the_lease(database: Database) -> None:
    await add(database)
    job = await claimed(database, now=1000)
    assert await database.write(queries.heartbeat, job, lease_ms=LEASE, now=9000, progress={"done": 1})
    assert await database.first(EXPIRED, {"now": 18_000}) is None
    assert await database.write(queries.reap, now=18_000) == 0
    progress = await database.read(lambda conn: conn.scalar(select(Job.progress)))
    assert progress == {"done": 1}


async def test_a_lease_that_ran_out_makes_the_job_anyones(database: Database) -> None:
    await add(database)
    old = await claimed(database, now=1000)
    assert await database.first(EXPIRED, {"now": 11_001}) is not None
    assert await database.write(queries.reap, now=11_001) == 1
    new = await claimed(database, now=11_001)
    assert (new.id, new.attempt) == (old.id, 2)
    assert not await database.write(queries.heartbeat, old, lease_ms=LEASE, now=11_002)
    assert not await database.write(queries.finish, old, now=11_002)
    assert not await database.write(queries.fail, old, error="late", now=11_002)
    assert not await database.write(queries.release, old, now=11_002)
    assert await database.write(queries.finish, new, now=11_003)


async def test_a_job_that_kills_its_workers_is_given_up(database: Database) -> None:
    await add(database, max_attempts=2)
    await claimed(database, now=1000)
    await database.write(queries.reap, now=20_000)
    await claimed(database, now=20_000)
    await database.write(queries.reap, now=40_000)
    assert await states(database) == ["failed"]


async def test_a_failed_job_comes_back_later_and_at_last_not_at_all(database: Database) -> None:
    await add(database, max_attempts=2)
    job = await claimed(database, now=1000)
    assert await database.write(queries.fail, job, error="x" * 9000, now=1000)
    assert await claim(database, now=5000) is None
    job = await claimed(database, now=7000)
    assert await database.write(queries.fail, job, error="again", now=7000)
    assert await states(database) == ["failed"]
    assert await database.read(lambda conn: conn.scalar(select(Job.error))) == "again"


def test_retries_come_ever_later_up_to_an_hour() -> None:
    delays = [queries.retry_delay(attempt) for attempt in (1, 2, 5, 50)]
    assert delays == sorted(delays)
    assert 4_000 <= delays[0] <= 6_000
    assert 3_000_000 <= delays[-1] <= 4_000_000


async def test_a_released_job_has_not_used_up_an_attempt(database: Database) -> None:
    await add(database)
    assert await database.write(queries.release, await claimed(database), now=1000)
    assert (await claimed(database)).attempt == 1


async def test_a_cancelled_job_never_runs_and_a_running_one_loses_its_lease(database: Database) -> None:
    waiting, running = await add(database), await add(database, priority=1)
    job = await claimed(database)
    assert job.id == running
    assert waiting is not None
    assert await database.write(queries.cancel, waiting, now=1)
    assert await database.write(queries.cancel, job.id, now=1)
    assert not await database.write(queries.cancel, job.id, now=1)
    assert not await database.write(queries.heartbeat, job, lease_ms=LEASE, now=1)
    assert await states(database) == ["cancelled", "cancelled"]


async def test_old_jobs_are_purged_a_batch_at_a_time_and_living_ones_kept(database: Database) -> None:
    for _ in range(3):
        await add(database)
        await database.write(queries.finish, await claimed(database), now=2000)
    await add(database)
    assert await database.write(queries.purge, before=2000, limit=2) == 0
    assert await database.write(queries.purge, before=2001, limit=2) == 2
    assert await database.write(queries.purge, before=2001, limit=2) == 1
    assert await states(database) == ["queued"]


async def test_six_claimers_never_run_one_lock_twice(database: Database) -> None:
    for number in range(30):
        await add(database, lock=f"lock{number % 3}")
    held: set[str] = set()
    ran: list[int] = []

    async def claimer() -> None:
        while len(ran) < 30:
            try:
                job = await claim(database)
            except IntegrityError:
                continue
            if job is None:
                await asyncio.sleep(0.001)
                continue
            lock = await database.read(lambda conn: conn.scalar(select(Job.lock).where(Job.id == job.id)))  # noqa: B023 - awaited in the same turn
            assert lock is not None
            assert lock not in held
            held.add(lock)
            await asyncio.sleep(0.001)
            held.remove(lock)
            ran.append(job.id)
            await database.write(queries.finish, job, now=2000)

    await asyncio.gather(*(claimer() for _ in range(6)))
    assert len(set(ran)) == len(ran) == 30
