"""Writing down what happened, in the transaction that makes it happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from roadstead.db.notifications import notify
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Event

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

_EVENTS = cast("Table", Event.__table__)
_RECORD = PreparedStatement(
    insert(_EVENTS)
    .values(
        kind=bindparam("kind"),
        occurred_at=bindparam("occurred_at"),
        project_id=bindparam("project_id"),
        payload=bindparam("payload"),
        dispatched=False,
    )
    .inline()
)
_BY_ID = (
    select(_EVENTS.c.id, _EVENTS.c.kind, _EVENTS.c.occurred_at, _EVENTS.c.project_id, _EVENTS.c.payload)
    .where(_EVENTS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_EVENTS.c.id)
)
_OLD = (
    select(_EVENTS.c.id)
    .where(_EVENTS.c.occurred_at < bindparam("before"), _EVENTS.c.dispatched)
    .order_by(_EVENTS.c.occurred_at)
    .limit(bindparam("most"))
)
_PURGE = delete(_EVENTS).where(_EVENTS.c.id.in_(_OLD))


@dataclass(frozen=True, slots=True)
class HappenedEvent:
    """`occurred_at` is in milliseconds since 1970.  What `payload` holds depends on `kind`."""

    id: int
    kind: str
    occurred_at: int
    project_id: int | None
    payload: dict[str, Any]


def record(conn: Connection, kind: str, *, project_id: int | None, now: int, **payload: JsonValue) -> None:
    """Tell the listeners, once this transaction commits, and never when it does not."""
    _RECORD.run(conn, {"kind": kind, "occurred_at": now, "project_id": project_id, "payload": payload})
    notify(conn)


def events_by_id(conn: Connection, ids: Sequence[int]) -> list[HappenedEvent]:
    """Those that are still there, the oldest first."""
    return [HappenedEvent(*row) for row in conn.execute(_BY_ID, {"ids": list(ids)})]


def purge(conn: Connection, *, before: int, limit: int = 1000) -> int:
    """Delete dispatched events that occurred before then, at most `limit`, and return how many."""
    return conn.execute(_PURGE, {"before": before, "most": limit}).rowcount
