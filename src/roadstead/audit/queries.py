"""Reading the audit log: pages of it, and all of it.

The order is the order of writing, which is that of time.  A page deep in a long log costs as many steps as there are
entries before it, so pages end at `DEEPEST`; whoever wants more narrows the question, or exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, func, select

from roadstead.audit.trail import AUDIT_LOG
from roadstead.db.listing import Field, Fields, ListRequest, apply, matching
from roadstead.errors import RequestInvalid

# Entries on all pages, and so the largest count that is told.
DEEPEST = 100_000
# A count is exact up to here; beyond, it says that there is another page.
COUNTED = 10_000
BATCH = 1_000

ENTRIES = select(AUDIT_LOG)
FIELDS: Fields = {
    "id": Field(AUDIT_LOG.c.id, "number"),
    "username": Field(AUDIT_LOG.c.username, sortable=False),
    "resource": Field(AUDIT_LOG.c.resource, sortable=False),
    "resource_type": Field(AUDIT_LOG.c.resource_type, sortable=False),
    "operation": Field(AUDIT_LOG.c.operation, sortable=False),
    "operation_result": Field(AUDIT_LOG.c.outcome == "success", "flag", sortable=False),
    "outcome": Field(AUDIT_LOG.c.outcome, sortable=False),
    "client_address": Field(AUDIT_LOG.c.address, sortable=False),
    "door": Field(AUDIT_LOG.c.door, sortable=False),
    "project_id": Field(AUDIT_LOG.c.project_id, "number", sortable=False),
    "op_time": Field(AUDIT_LOG.c.at, "time"),
}
_NEWEST_FIRST = (AUDIT_LOG.c.id.desc(),)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as those who may read it see it.  `at` is in milliseconds since 1970."""

    id: int
    at: int
    operation: str
    resource_type: str
    resource: str
    project_id: int | None
    username: str
    address: str
    door: str
    request_id: str
    outcome: str
    description: str
    payload: Mapping[str, Any] | None
    count: int


_NAMES = tuple(Entry.__dataclass_fields__)


def entry_of(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{name: row[name] for name in _NAMES})


def page(
    conn: Connection, request: ListRequest, *, project_id: int | None = None, successes: bool = False
) -> tuple[list[Entry], int]:
    """The entries of the page, and how many there are: see `COUNTED`.  Raises `RequestInvalid`.

    `project_id` is the project that they tell of; `successes` leaves out what was refused and what failed.
    """
    if request.offset + request.page_size > DEEPEST:
        raise RequestInvalid(
            f"pages of the audit log end after {DEEPEST} entries",
            remedy="narrow it by op_time, or export it with GET /api/v2.0/audit-logs/export",
            limit=DEEPEST,
        )
    asked = replace(request, sort=tuple((_in_order(key), down) for key, down in request.sort))
    statement = _chosen(project_id, successes=successes)
    found = apply(statement, asked, FIELDS, default=_NEWEST_FIRST)
    entries = [entry_of(row) for row in conn.execute(found).mappings()]
    if len(entries) < request.page_size and (entries or request.page == 1):
        return entries, request.offset + len(entries)
    most = min(DEEPEST, max(COUNTED, request.offset + request.page_size) + 1)
    counted = matching(statement, asked, FIELDS).with_only_columns(AUDIT_LOG.c.id).limit(most).subquery()
    return entries, conn.scalar(select(func.count()).select_from(counted)) or 0


def last_id(conn: Connection) -> int:
    return conn.scalar(select(func.max(AUDIT_LOG.c.id))) or 0


def batch(
    conn: Connection, request: ListRequest, *, after: int, until: int, project_id: int | None = None
) -> Sequence[Entry]:
    """The next entries that follow `after`, the oldest first, at most `BATCH`."""
    statement = (
        matching(_chosen(project_id, successes=False), request, FIELDS)
        .where(AUDIT_LOG.c.id > after, AUDIT_LOG.c.id <= until)
        .order_by(AUDIT_LOG.c.id)
        .limit(BATCH)
    )
    return [entry_of(row) for row in conn.execute(statement).mappings()]


def _chosen(project_id: int | None, *, successes: bool) -> Select[*tuple[Any, ...]]:
    statement = ENTRIES
    if project_id is not None:
        statement = statement.where(AUDIT_LOG.c.project_id == project_id)
    if successes:
        statement = statement.where(AUDIT_LOG.c.outcome == "success")
    return statement


def _in_order(key: str) -> str:
    """By time is by id, for which there is an index, whatever the list is filtered by."""
    return "id" if key == "op_time" else key
