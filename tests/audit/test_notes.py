"""What changes nothing is written down too, and cannot flood the database."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from tests.registry.registries import Registry

from roadstead.audit import notes
from roadstead.audit.notes import MOST_REFUSED, WINDOW_MS, AuditNotes
from roadstead.db.database import Database
from roadstead.errors import Unavailable
from roadstead.identity.principals import Principal

pytestmark = pytest.mark.anyio

START = 1_700_000_040_000
ALICE = Principal(7, "alice", 0, scopes=None, address="192.0.2.7", door="registry", request_id="r1")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(registry: Registry, clock: Clock) -> AuditNotes:
    return AuditNotes(registry.parts.database, clock=clock)


async def entries(registry: Registry) -> list[tuple[object, ...]]:
    return await registry.sql(
        "SELECT username, operation, resource_type, resource, outcome, count FROM audit_log ORDER BY id"
    )


def refuse(kept: AuditNotes, resource: str = "a/app", times: int = 1) -> None:
    for _ in range(times):
        kept.note(ALICE, "push", "repository", resource, outcome="refused")


async def test_a_note_is_an_entry_after_the_next_flush(registry: Registry, kept: AuditNotes) -> None:
    refuse(kept)
    assert await entries(registry) == []
    await kept.flush()
    assert await entries(registry) == [("alice", "push", "repository", "a/app", "refused", 1)]


async def test_a_note_says_from_where_and_in_which_request(registry: Registry, kept: AuditNotes) -> None:
    refuse(kept)
    await kept.flush()
    found = await registry.sql("SELECT user_id, address, door, request_id, at FROM audit_log")
    assert found == [(7, "192.0.2.7", "registry", "r1", START)]


async def test_notes_alike_within_a_minute_are_two_entries_at_most(
    registry: Registry, kept: AuditNotes, clock: Clock
) -> None:
    for second in range(30):
        clock.now = START + second * 1000
        refuse(kept)
        await kept.flush()
    clock.now = START + WINDOW_MS
    await kept.flush()
    assert [row[-1] for row in await entries(registry)] == [1, 29]


async def test_after_the_minute_the_same_is_new(registry: Registry, kept: AuditNotes, clock: Clock) -> None:
    for _ in range(2):
        refuse(kept)
        await kept.flush()
        clock.now += WINDOW_MS
        await kept.flush()
    assert [row[-1] for row in await entries(registry)] == [1, 1]


async def test_different_notes_are_different_entries(registry: Registry, kept: AuditNotes) -> None:
    refuse(kept, "a/app")
    refuse(kept, "a/other")
    await kept.flush()
    assert [row[3] for row in await entries(registry)] == ["a/app", "a/other"]


async def test_a_flood_of_different_refusals_is_counted_in_one_entry(
    registry: Registry, kept: AuditNotes
) -> None:
    for number in range(MOST_REFUSED + 5000):
        refuse(kept, f"a/{number}")
    await kept.flush()
    found = await entries(registry)
    assert len(found) == MOST_REFUSED + 1
    assert found[-1] == ("", "push", "many", "", "refused", 5000)


async def test_a_flood_of_refusals_does_not_hide_a_sign_in(registry: Registry, kept: AuditNotes) -> None:
    for number in range(MOST_REFUSED + 10):
        refuse(kept, f"a/{number}")
    kept.note(ALICE, "login", "user", "alice", outcome="success")
    await kept.flush()
    assert ("alice", "login", "user", "alice", "success", 1) in await entries(registry)


async def test_a_name_that_a_stranger_made_up_takes_no_more_room_than_a_name(
    registry: Registry, kept: AuditNotes
) -> None:
    refuse(kept, "x" * 100_000)
    await kept.flush()
    assert len(str((await entries(registry))[0][3])) == 255


async def test_what_waits_when_the_process_stops_is_written(registry: Registry, kept: AuditNotes) -> None:
    refuse(kept, times=3)
    await kept.flush()
    refuse(kept, times=2)
    running = asyncio.create_task(kept.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [row[-1] for row in await entries(registry)] == [3, 2]


async def test_what_is_being_written_when_the_process_stops_is_written(
    registry: Registry, kept: AuditNotes
) -> None:
    refuse(kept)
    began, write = asyncio.Event(), registry.parts.database.write

    async def slow(*args: Any, **kwargs: Any) -> object:
        began.set()
        await asyncio.sleep(0.1)
        return await write(*args, **kwargs)

    with patch.object(registry.parts.database, "write", slow), patch.object(notes, "FLUSH_EVERY", 0):
        running = asyncio.create_task(kept.run())
        await began.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(await entries(registry)) == 1


async def test_an_outage_of_the_database_loses_nothing(registry: Registry, kept: AuditNotes) -> None:
    refuse(kept)
    failing = patch.object(type(registry.parts.database), "write", side_effect=Unavailable("gone"))
    with failing:
        await kept.flush()
    await kept.flush()
    assert len(await entries(registry)) == 1


async def test_an_outage_keeps_a_bounded_number_in_memory(registry: Registry, kept: AuditNotes) -> None:
    database: Database = registry.parts.database
    with (
        patch.object(type(database), "write", side_effect=Unavailable("gone")),
        patch.object(notes, "MOST_UNWRITTEN", 10),
    ):
        for number in range(50):
            refuse(kept, f"a/{number}")
            await kept.flush()
    await kept.flush()
    assert len(await entries(registry)) == 10


async def test_an_event_type_that_is_disabled_is_not_written(registry: Registry, kept: AuditNotes) -> None:
    await registry.change(
        "INSERT INTO configurations VALUES ('disabled_audit_log_event_types', :types, 1)",
        types='"login_user,push_repository"',
    )
    refuse(kept)
    kept.note(ALICE, "login", "user", "alice", outcome="success")
    kept.note(ALICE, "pull", "repository", "a/app", outcome="refused")
    await kept.flush()
    assert [row[1] for row in await entries(registry)] == ["pull"]
