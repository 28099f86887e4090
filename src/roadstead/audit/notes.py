"""Writing down what changes nothing: sign-ins, refusals and, where they are asked for, pulls.

A change has its entry in its own transaction (`trail.record`).  What is told here may be told a million times by a
stranger, so it waits in memory and goes to the database in batches:

- the first of its kind is written within `FLUSH_EVERY` seconds, and those like it within the next minute are counted
  into one more entry;
- of different ones with the same operation and outcome, so many a minute are written one by one, and the rest as one
  entry with their count.

A worker that is killed loses what it had not written; one that stops writes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import structlog
from sqlalchemy import Connection, Table, bindparam, select

from roadstead.audit.trail import LONGEST_TEXT, Actor, Outcome, insert_entries
from roadstead.db.database import Database
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Project
from roadstead.errors import RoadsteadError
from roadstead.telemetry.clock import Clock, now_ms

FLUSH_EVERY = 2.0
# Those alike are counted together for that long, in milliseconds.
WINDOW_MS = 60_000
# Of one operation and outcome, different ones in a minute, for each worker.
MOST_REFUSED = 120
MOST_SUCCESSFUL = 6_000
# While the database does not answer.
MOST_UNWRITTEN = 5_000
# Names that strangers make up take no more room than that.
LONGEST_NAME = 255

_PROJECTS = cast("Table", Project.__table__)
_PROJECT_ID = PreparedStatement(select(_PROJECTS.c.id).where(_PROJECTS.c.name == bindparam("project")))

_log = structlog.get_logger(__name__)


class _Key(NamedTuple):
    operation: str
    resource_type: str
    resource: str
    outcome: Outcome
    description: str
    project_id: int | None
    project: str
    user_id: int | None
    username: str
    address: str
    door: str


@dataclass(slots=True)
class _Told:
    """Those alike, since `began`."""

    began: int
    last: int
    request_id: str
    # Not yet written.
    waiting: int = 1
    written: bool = False


class AuditNotes:
    """One for each process; `note` belongs to its event loop, and never waits."""

    def __init__(self, database: Database, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._clock = clock
        self._told: dict[_Key, _Told] = {}
        # How many different ones there are in this minute, by operation and outcome.
        self._kinds: dict[tuple[str, Outcome], int] = {}
        self._minute = 0
        self._unwritten: list[dict[str, object]] = []
        self._waiting = asyncio.Event()

    def note(
        self,
        actor: Actor,
        operation: str,
        resource_type: str,
        resource: str,
        *,
        outcome: Outcome,
        description: str = "",
        project_id: int | None = None,
        project: str = "",
    ) -> None:
        """One more.  Costs a dictionary entry.  `project` is a project's name, for who does not know its id."""
        now = self._clock()
        key = _Key(
            operation,
            resource_type,
            resource[:LONGEST_NAME],
            outcome,
            description[:LONGEST_TEXT],
            project_id,
            project[:LONGEST_NAME],
            actor.user_id,
            actor.username[:LONGEST_NAME],
            actor.address,
            actor.door,
        )
        if key not in self._told and self._is_flood(key, now):
            key = _summary(key)
        known = self._told.get(key)
        if known is None:
            self._told[key] = _Told(now, now, actor.request_id)
        else:
            known.waiting += 1
            known.last = now
        self._waiting.set()

    async def run(self) -> None:
        """Flush now and then, until cancelled; then once more, with everything."""
        writing: asyncio.Task[None] | None = None
        try:
            while True:
                await self._waiting.wait()
                await asyncio.sleep(FLUSH_EVERY)
                writing = asyncio.create_task(self.flush())
                # To cancel us is not to cancel what we have taken in hand.
                await asyncio.shield(writing)
        finally:
            if writing is not None:
                await asyncio.wait([writing])
            await asyncio.shield(self.flush(everything=True))

    async def flush(self, *, everything: bool = False) -> None:
        """Write what is due: what is new, and what was counted for long enough."""
        now = self._clock()
        rows = []
        for key, told in list(self._told.items()):
            over = everything or now - told.began >= WINDOW_MS or now < told.began
            if told.waiting and (over or not told.written):
                rows.append(_row(key, told))
                told.waiting, told.written = 0, True
            if over:
                del self._told[key]
        if not self._told:
            self._waiting.clear()
        await self._write(rows)

    async def _write(self, rows: list[dict[str, object]]) -> None:
        rows, self._unwritten = [*self._unwritten, *rows], []
        if not rows:
            return
        try:
            await self._database.write(_insert, rows)
        except RoadsteadError as error:
            self._unwritten = rows[:MOST_UNWRITTEN]
            self._waiting.set()
            _log.warning(
                "audit.notes_wait", entries=len(rows), kept=len(self._unwritten), reason=error.message
            )

    def _is_flood(self, key: _Key, now: int) -> bool:
        minute = now // 60_000
        if minute != self._minute:
            self._minute = minute
            self._kinds.clear()
        kind = (key.operation, key.outcome)
        count = self._kinds.get(kind, 0) + 1
        self._kinds[kind] = count
        return count > (MOST_SUCCESSFUL if key.outcome == "success" else MOST_REFUSED)


def _summary(key: _Key) -> _Key:
    """What stands for those of which there are too many."""
    return key._replace(
        resource="",
        resource_type="many",
        description="more of these in one minute than are written one by one",
        project_id=None,
        project="",
        user_id=None,
        username="",
        address="",
    )


def _row(key: _Key, told: _Told) -> dict[str, object]:
    return {
        **key._asdict(),
        "at": told.last if told.written else told.began,
        "request_id": told.request_id,
        "payload": None,
        "count": told.waiting,
        "forwarded_at": None,
    }


def _insert(conn: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """The entries, their projects' names turned into ids where there are such projects."""
    ids: dict[object, object] = {}
    found = []
    for row in rows:
        entry = dict(row)
        project = entry.pop("project")
        if project and entry["project_id"] is None:
            if project not in ids:
                ids[project] = _PROJECT_ID.scalar(conn, {"project": project})
            entry["project_id"] = ids[project]
        found.append(entry)
    insert_entries(conn, found)
