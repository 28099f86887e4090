"""Writing down who did what, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, cast

from sqlalchemy import Connection, Table, bindparam, insert

from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import AuditEntry

Outcome = Literal["success", "refused", "failed"]
AUDIT_LOG = cast("Table", AuditEntry.__table__)
LONGEST_TEXT = 1000

_RECORD = PreparedStatement(
    insert(AUDIT_LOG).values({c.name: bindparam(c.name) for c in AUDIT_LOG.c if c.name != "id"}).inline()
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
    _RECORD.run(
        conn,
        {
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
        },
    )
