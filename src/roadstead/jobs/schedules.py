"""Jobs that the clock asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection, RowMapping, Table, bindparam, delete, select, update

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import upsert
from roadstead.db.notifications import notify
from roadstead.db.tables import Schedule
from roadstead.jobs.cron import next_time
from roadstead.jobs.queries import enqueue

_SCHEDULES = cast("Table", Schedule.__table__)
_DUE = (
    select(_SCHEDULES)
    .where(_SCHEDULES.c.next_at <= bindparam("now"))
    .order_by(_SCHEDULES.c.name)
    .with_for_update(skip_locked=True)
)
_ADVANCE = (
    update(_SCHEDULES).where(_SCHEDULES.c.name == bindparam("schedule")).values(next_at=bindparam("new_next"))
)

_FIND = select(_SCHEDULES).where(_SCHEDULES.c.name == bindparam("schedule"))
_ALL = select(_SCHEDULES).order_by(_SCHEDULES.c.name)
_REMOVE = delete(_SCHEDULES).where(_SCHEDULES.c.name == bindparam("schedule"))
# How often a node of the release before asks for what has a cron expression.
_OTHERWISE = 86_400

# When the clock next asks for something.
NEXT_AT = PreparedQuery(select(_SCHEDULES.c.next_at).order_by(_SCHEDULES.c.next_at).limit(1))


@dataclass(frozen=True)
class Every:
    """A job of `kind`, every so many seconds.  The first is due as soon as the schedule is known."""

    name: str
    kind: str
    seconds: int
    payload: Mapping[str, object] = field(default_factory=dict)


def ensure(conn: Connection, schedules: Sequence[Every], *, now: int) -> None:
    """Make the schedules known.  One that is known already keeps its time; one that is left out stays as it
    is, for a node of another version may have brought it.
    """
    for schedule in sorted(schedules, key=lambda schedule: schedule.name):
        values = {
            "name": schedule.name,
            "kind": schedule.kind,
            "payload": schedule.payload,
            "every_seconds": schedule.seconds,
            "next_at": now,
        }
        upsert(conn, Schedule, values, keys=["name"], update=["kind", "payload", "every_seconds"])


@dataclass(frozen=True)
class Cron:
    """A job of `kind` whenever the expression says: six fields, of which the first is seconds, in UTC."""

    name: str
    kind: str
    expression: str
    payload: Mapping[str, object] = field(default_factory=dict)


def put(conn: Connection, schedule: Cron, *, now: int) -> None:
    """Make the schedule known, or replace the one of its name."""
    values = {
        "name": schedule.name,
        "kind": schedule.kind,
        "payload": schedule.payload,
        "every_seconds": _OTHERWISE,
        "next_at": next_time(schedule.expression, now),
        "cron": schedule.expression,
    }
    upsert(conn, Schedule, values, keys=["name"], update=[name for name in values if name != "name"])
    notify(conn)


def remove(conn: Connection, name: str) -> bool:
    """Whether there was one."""
    return conn.execute(_REMOVE, {"schedule": name}).rowcount == 1


def find(conn: Connection, name: str) -> RowMapping | None:
    return conn.execute(_FIND, {"schedule": name}).mappings().one_or_none()


def every_one(conn: Connection) -> Sequence[RowMapping]:
    """All that there are, by name."""
    return conn.execute(_ALL).mappings().all()


def due(conn: Connection, *, now: int) -> int:
    """Enqueue what is due, and return how many jobs that made.

    Any number of nodes may call this at once: a schedule's row is locked while its time moves on, so one of
    them enqueues.  Times that were missed are made up for by one job; while the last one is still queued or
    running, by none.
    """
    made = 0
    for schedule in conn.execute(_DUE, {"now": now}).all():
        if schedule.cron is None:
            step = schedule.every_seconds * 1000
            next_at = schedule.next_at + ((now - schedule.next_at) // step + 1) * step
        else:
            next_at = next_time(schedule.cron, now)
        conn.execute(_ADVANCE, {"schedule": schedule.name, "new_next": next_at})
        job = enqueue(conn, schedule.kind, schedule.payload, unique_key=f"schedule:{schedule.name}", now=now)
        made += job is not None
    return made
