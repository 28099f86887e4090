"""Writing down who did what, in the transaction that does it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, cast

from sqlalchemy import Connection, Table, Text, bindparam, exists, func, insert, literal_column, select

from roadstead.db.notifications import notify
from roadstead.db.statements import PreparedStatement, Values
from roadstead.db.tables import AuditEntry, Configuration

Outcome = Literal["success", "refused", "failed"]
AUDIT_LOG = cast("Table", AuditEntry.__table__)
LONGEST_TEXT = 1000

# The configuration whose value lists the event types that are not to be written: "create_artifact,delete_tag".
DISABLED_TYPES = "disabled_audit_log_event_types"

_CONFIGURATIONS = cast("Table", Configuration.__table__)
_COLUMNS = [column for column in AUDIT_LOG.c if column.name != "id"]
# The value is JSON: its quotes end the first and the last type as commas do the others.
_LISTED = func.replace(_CONFIGURATIONS.c.value, literal_column("'\"'"), literal_column("','"))
_DISABLED = exists().where(
    _CONFIGURATIONS.c.key == literal_column(f"'{DISABLED_TYPES}'"),
    _LISTED.like(bindparam("pattern", type_=Text()), escape="\\"),
)
# One statement, whatever is disabled.
_RECORD = PreparedStatement(
    insert(AUDIT_LOG)
    .from_select(
        [column.name for column in _COLUMNS],
        select(*(bindparam(column.name, type_=column.type) for column in _COLUMNS)).where(~_DISABLED),
    )
    .inline()
)


class Actor(Protocol):
    """Whose request it is, and where it comes from: `identity.principals.Principal` is one."""

    @property
    def user_id(self) -> int | None: ...
    @property
    def username(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def door(self) -> str: ...
    @property
    def request_id(self) -> str: ...


def record(
    conn: Connection,
    actor: Actor,
    operation: str,
    resource_type: str,
    resource: str,
    *,
    now: int,
    project_id: int | None = None,
    outcome: Outcome = "success",
    description: str = "",
    payload: Mapping[str, object] | None = None,
) -> None:
    """Add an entry, which is there when this transaction commits, and never when it does not.

    `payload` says what changed, and never holds a secret: name the fields that go in, one by one.
    """
    row = {
        "at": now,
        "operation": operation,
        "resource_type": resource_type,
        "resource": resource[:LONGEST_TEXT],
        "project_id": project_id,
        "user_id": actor.user_id,
        "username": actor.username,
        "address": actor.address,
        "door": actor.door,
        "request_id": actor.request_id,
        "outcome": outcome,
        "description": description[:LONGEST_TEXT],
        "payload": None if payload is None else dict(payload),
        "count": 1,
        "forwarded_at": None,
    }
    _RECORD.run(conn, {**row, "pattern": _pattern(operation, resource_type)})


def insert_entries(conn: Connection, rows: Sequence[Values]) -> None:
    """Add entries that were kept in memory: rows of the table, without ids."""
    for row in rows:
        pattern = _pattern(str(row["operation"]), str(row["resource_type"]))
        _RECORD.run(conn, {**row, "pattern": pattern})
    notify(conn)


def _pattern(operation: str, resource_type: str) -> str:
    return "%," + re.sub(r"([\\%_])", r"\\\1", f"{operation}_{resource_type}") + ",%"
