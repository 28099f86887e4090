"""Summing up what was charged and given back since the last time, and noticing who is nearly full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, func, not_, or_, select, text, update

from roadstead.db.statements import PreparedStatement
from roadstead.events.outbox import record
from roadstead.quota.ledger import CHANGES, HOLDS, give_back
from roadstead.quota.limits import PROJECTS, QUOTAS, STORAGE_LIMIT
from roadstead.quota.rules import NEARLY_FULL, is_nearly_full

WARNING = "quota.warning"
# Rows that one transaction sums up.
BATCH = 1000


class LockedQuota(NamedTuple):
    """A project's row of `quotas`, which stays as it is until this transaction ends."""

    id: int
    charged: int
    storage_limit: int
    warned: bool


_PROJECT = QUOTAS.c.project_id == bindparam("project_id")
_LOCKED = select(QUOTAS.c.id, QUOTAS.c.charged, STORAGE_LIMIT, QUOTAS.c.warned).where(_PROJECT)
# Not more than that: transactions that add rows for the project hold its key.
_LOCK = PreparedStatement(_LOCKED.with_for_update(of=QUOTAS, key_share=True))
_LOCK_IF_FREE = PreparedStatement(_LOCKED.with_for_update(of=QUOTAS, key_share=True, skip_locked=True))
_SOME = (
    select(CHANGES.c.id)
    .where(CHANGES.c.project_id == bindparam("project_id"))
    .order_by(CHANGES.c.id)
    .limit(bindparam("most"))
)
_GATHER = PreparedStatement(delete(CHANGES).where(CHANGES.c.id.in_(_SOME)).returning(CHANGES.c.bytes))
_ADD = PreparedStatement(
    update(QUOTAS)
    .where(QUOTAS.c.project_id == bindparam("of_project"))
    .values(charged=QUOTAS.c.charged + bindparam("bytes", type_=QUOTAS.c.charged.type))
)
_TOTAL = PreparedStatement(
    select(
        QUOTAS.c.charged
        + func.coalesce(
            select(func.sum(CHANGES.c.bytes))
            .where(CHANGES.c.project_id == bindparam("project_id"))
            .scalar_subquery(),
            0,
        )
    ).where(_PROJECT)
)
_UNFOLDED = PreparedStatement(
    select(CHANGES.c.project_id)
    .where(CHANGES.c.project_id > bindparam("after"))
    .group_by(CHANGES.c.project_id)
    .order_by(CHANGES.c.project_id)
    .limit(bindparam("most"))
)
_FULL = (STORAGE_LIMIT >= 0) & (QUOTAS.c.charged * 100 >= STORAGE_LIMIT * NEARLY_FULL)
_TO_TELL = PreparedStatement(
    select(QUOTAS.c.project_id)
    .where(
        QUOTAS.c.project_id.is_not(None),
        or_(_FULL & (QUOTAS.c.warned == 0), not_(_FULL) & (QUOTAS.c.warned != 0)),
    )
    .order_by(QUOTAS.c.project_id)
    .limit(bindparam("most"))
)
_WARNED = PreparedStatement(
    update(QUOTAS)
    .where(QUOTAS.c.project_id == bindparam("of_project"))
    .values(warned=bindparam("now_warned"))
)
_NAME = select(PROJECTS.c.name).where(PROJECTS.c.id == bindparam("project_id"))
_EXPIRED = (
    select(HOLDS.c.id)
    .where(HOLDS.c.expires_at < bindparam("now"))
    .order_by(HOLDS.c.expires_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)


def locked_quota(conn: Connection, project_id: int) -> LockedQuota | None:
    row = _LOCK.first(conn, {"project_id": project_id})
    return None if row is None else LockedQuota(row[0], row[1], row[2], bool(row[3]))


def fold_locked(conn: Connection, project_id: int) -> int:
    """Sum up some of a project's changes, whose row of `quotas` is locked.  Returns what it holds in all."""
    _fold(conn, project_id, most=BATCH)
    total: int = _TOTAL.scalar(conn, {"project_id": project_id})
    return int(total)


def fold(conn: Connection, project_id: int, *, most: int = BATCH) -> int:
    """Sum up at most so many changes, unless somebody has the project's row just now.  Returns how many."""
    if conn.dialect.name == "postgresql":
        # Forgotten in a crash, it is done again.
        conn.execute(text("SET LOCAL synchronous_commit = off"))
    if _LOCK_IF_FREE.first(conn, {"project_id": project_id}) is None:
        return 0
    return _fold(conn, project_id, most=most)


def _fold(conn: Connection, project_id: int, *, most: int) -> int:
    gone: Sequence[Sequence[Any]] = _GATHER.all(conn, {"project_id": project_id, "most": most})
    total = sum(row[0] for row in gone)
    if total:
        _ADD.run(conn, {"of_project": project_id, "bytes": total})
    return len(gone)


def unfolded_projects(conn: Connection, *, after: int, most: int = 100) -> list[int]:
    """Those that have changes to sum up, by their ids."""
    return [row[0] for row in _UNFOLDED.all(conn, {"after": after, "most": most})]


def projects_to_tell(conn: Connection, *, most: int = 100) -> list[int]:
    """Those that have become nearly full, or are so no more, and nobody has said so."""
    return [row[0] for row in _TO_TELL.all(conn, {"most": most})]


def tell(conn: Connection, project_id: int, *, now: int) -> bool:
    """Record a warning if the project is nearly full and was not before; whether that is so."""
    quota = locked_quota(conn, project_id)
    if quota is None:
        return False
    used = fold_locked(conn, project_id)
    full = is_nearly_full(used, quota.storage_limit)
    if full != quota.warned:
        _WARNED.run(conn, {"of_project": project_id, "now_warned": int(full)})
    if full and not quota.warned:
        record(
            conn,
            WARNING,
            project_id=project_id,
            now=now,
            project=project_name(conn, project_id),
            used=used,
            limit=quota.storage_limit,
        )
        return True
    return False


def project_name(conn: Connection, project_id: int) -> str:
    found: str | None = conn.execute(_NAME, {"project_id": project_id}).scalar_one_or_none()
    return found or ""


def give_back_expired(conn: Connection, *, now: int, most: int = BATCH) -> int:
    """Return what was held for pushes whose process died.  Returns how many there were."""
    ids = list(conn.execute(_EXPIRED, {"now": now, "most": most}).scalars())
    gone: Sequence[Row[int, int]] = []
    if ids:
        statement = delete(HOLDS).where(HOLDS.c.id.in_(ids)).returning(HOLDS.c.project_id, HOLDS.c.bytes)
        gone = conn.execute(statement).all()
    for project_id, size in gone:
        give_back(conn, project_id, size)
    return len(gone)
