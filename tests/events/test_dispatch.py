"""The outbox and the dispatcher, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from sqlalchemy import Connection, func, select

from roadstead.db.database import Database
from roadstead.db.tables import Event, Job
from roadstead.events.dispatch import DELIVER, Dispatcher
from roadstead.events.outbox import HappenedEvent, purge, record
from roadstead.jobs.context import JobContext
from roadstead.jobs.queries import Claims

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("blocking_calls_fail")]


class Ear:
    """Remembers what it heard, and fails as often as it is told to."""

    def __init__(self, name: str, *kinds: str, failures: int = 0) -> None:
        self.name = name
        self.kinds = frozenset(kinds)
        self.failures = failures
        self.heard: list[HappenedEvent] = []

    async def handle(self, events: Sequence[HappenedEvent]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody there")
        self.heard.extend(events)


async def happen(database: Database, *kinds: str) -> None:
    def record_all(conn: Connection) -> None:
        for kind in kinds:
            record(conn, kind, project_id=7, now=1000, tag="latest", depth=[1, None])

    await database.write(record_all)


async def jobs(database: Database) -> int:
    return await database.read(lambda conn: conn.execute(select(func.count(Job.id))).scalar_one())


async def drain(dispatcher: Dispatcher) -> int:
    total = 0
    while taken := await dispatcher.drain_once():
        total += taken
    return total


async def run_delivery(database: Database, dispatcher: Dispatcher) -> None:
    """What the job runner does, later."""
    job = await database.write(Claims("default", [DELIVER]).claim, owner="me", lease_ms=1000, now=10**15)
    assert job is not None

    async def beat(_: object) -> None: ...

    await dispatcher.handlers[DELIVER](JobContext(job, beat))


async def test_a_listener_hears_what_it_asked_for_in_order(database: Database) -> None:
    ear = Ear("ear", "pushed", "deleted")
    await happen(database, "pushed", "pulled", "deleted")
    assert await drain(Dispatcher(database, [ear])) == 3
    assert [event.kind for event in ear.heard] == ["pushed", "deleted"]
    first = ear.heard[0]
    assert (first.project_id, first.occurred_at) == (7, 1000)
    assert first.payload == {"tag": "latest", "depth": [1, None]}
    assert await jobs(database) == 0


async def test_what_was_rolled_back_did_not_happen(database: Database) -> None:
    def record_and_fail(conn: Connection) -> None:
        record(conn, "pushed", project_id=None, now=1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write(record_and_fail)
    assert await drain(Dispatcher(database, [Ear("ear", "pushed")])) == 0


async def test_a_failing_listener_neither_blocks_the_others_nor_loses_events(database: Database) -> None:
    good, bad = Ear("good", "pushed"), Ear("bad", "pushed", failures=1)
    dispatcher = Dispatcher(database, [bad, good])
    await happen(database, "pushed")
    await drain(dispatcher)
    assert len(good.heard) == 1
    assert bad.heard == []
    await happen(database, "pushed")
    await drain(dispatcher)
    assert (len(good.heard), len(bad.heard)) == (2, 1)
    await run_delivery(database, dispatcher)
    assert len({event.id for event in bad.heard}) == 2


async def test_a_crash_before_the_delivery_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = Ear("ear", "pushed")

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    dying = Dispatcher(database, [ear])
    monkeypatch.setattr(dying, "_deliver", die)
    await happen(database, "pushed")
    with pytest.raises(asyncio.CancelledError):
        await dying.drain_once()
    await run_delivery(database, Dispatcher(database, [ear]))
    assert len(ear.heard) == 1


async def test_two_dispatchers_do_not_take_the_same_event(database: Database) -> None:
    ear = Ear("ear", "pushed")
    await happen(database, *["pushed"] * 500)
    dispatchers = [Dispatcher(database, [ear]) for _ in range(4)]
    assert sum(await asyncio.gather(*map(drain, dispatchers))) == 500
    assert len(ear.heard) == 500


async def test_a_running_dispatcher_hears_of_new_events(database: Database) -> None:
    ear = Ear("ear", "pushed")
    task = asyncio.create_task(Dispatcher(database, [ear]).run())
    await asyncio.sleep(0.3)
    await happen(database, "pushed")
    async with asyncio.timeout(4):
        while not ear.heard:  # noqa: ASYNC110 - the ear is a plain list
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_listeners_have_names_of_their_own(database: Database) -> None:
    with pytest.raises(ValueError, match="same name"):
        Dispatcher(database, [Ear("a"), Ear("a")])


async def test_a_delivery_to_a_listener_that_is_gone_ends(database: Database) -> None:
    await happen(database, "pushed")
    await drain(Dispatcher(database, [Ear("old", "pushed", failures=1)]))
    await run_delivery(database, Dispatcher(database, []))


async def test_only_old_dispatched_events_are_purged(database: Database) -> None:
    await happen(database, "a", "b", "c")
    assert await database.write(purge, before=2000) == 0
    await drain(Dispatcher(database, []))
    assert await database.write(purge, before=1000) == 0
    assert await database.write(purge, before=2000, limit=2) == 2
    assert await database.read(lambda conn: conn.execute(select(func.count(Event.id))).scalar_one()) == 1
