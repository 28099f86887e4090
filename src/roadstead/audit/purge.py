"""Deleting old audit entries, as a job, a batch at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, false, or_, select

from roadstead.audit.event_types import OF_HARBOR
from roadstead.audit.trail import AUDIT_LOG
from roadstead.audit.trail import record as record_audit
from roadstead.db.database import Database
from roadstead.events.outbox import record
from roadstead.jobs.context import JobContext
from roadstead.telemetry.clock import Clock, now_ms

PURGE = "audit.purge"
PURGED = "audit.purged"
# Beside event types: every one that Harbor does not name.
OTHER_TYPES = "other_events"
BATCH = 1_000
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class JobActor:
    """Whoever asked for the job."""

    username: str
    user_id: int | None = None
    address: str = ""
    door: str = "job"
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which entries go.  The form in which a job carries it is `payload`."""

    retention_hours: int
    types: tuple[str, ...]
    dry_run: bool = False

    @property
    def payload(self) -> dict[str, object]:
        return {
            "audit_retention_hour": self.retention_hours,
            "include_event_types": ",".join(self.types),
            "dry_run": self.dry_run,
        }

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Policy:
        types = tuple(part for part in str(payload["include_event_types"]).split(",") if part)
        return cls(int(payload["audit_retention_hour"]), types, bool(payload["dry_run"]))


class PurgeAuditLog:
    """Deletes what a policy says.  Run again, it finds less.

    While entries are shipped elsewhere, those that are yet to go stay (`ships`).
    """

    def __init__(
        self, database: Database, ships: Callable[[], Awaitable[bool]], *, clock: Clock = now_ms
    ) -> None:
        self._database = database
        self._ships = ships
        self._clock = clock

    async def __call__(self, context: JobContext) -> None:
        policy = Policy.of(context.payload["parameters"])
        before = self._clock() - policy.retention_hours * HOUR_MS
        shipped_only = await self._ships()
        position, found = (0, 0), 0
        try:
            while True:
                step = await self._database.write(_step, policy, before, position, shipped_only=shipped_only)
                if step is None:
                    break
                position, found = step[0], found + step[1]
                await context.progress(entries=found, before=before)
                context.check()
        finally:
            if found and not policy.dry_run:
                actor = JobActor(str(context.payload.get("asked_by", "")))
                await self._database.write(_tell, actor, policy, found, now=self._clock())


def _step(
    conn: Connection, policy: Policy, before: int, position: tuple[int, int], *, shipped_only: bool
) -> tuple[tuple[int, int], int] | None:
    """One batch that follows `position`: where it ends and how many entries it had; None after the last."""
    at, last = position
    chosen = (
        select(AUDIT_LOG.c.at, AUDIT_LOG.c.id)
        .where(
            AUDIT_LOG.c.at >= at,
            AUDIT_LOG.c.at < before,
            or_(AUDIT_LOG.c.at > at, AUDIT_LOG.c.id > last),
            _of_types(policy.types),
        )
        .order_by(AUDIT_LOG.c.at, AUDIT_LOG.c.id)
        .limit(BATCH)
    )
    if shipped_only:
        chosen = chosen.where(AUDIT_LOG.c.forwarded_at.is_not(None))
    rows = conn.execute(chosen).all()
    if not rows:
        return None
    if not policy.dry_run:
        conn.execute(delete(AUDIT_LOG).where(AUDIT_LOG.c.id.in_([row.id for row in rows])))
    return (rows[-1].at, rows[-1].id), len(rows)


def _of_types(types: Sequence[str]) -> ColumnElement[bool]:
    named = [_is(name) for name in types if name != OTHER_TYPES]
    if OTHER_TYPES in types:
        named.append(~or_(*map(_is, OF_HARBOR)))
    return or_(*named) if named else false()


def _is(name: str) -> ColumnElement[bool]:
    operation, _, resource_type = name.rpartition("_")
    return and_(AUDIT_LOG.c.operation == operation, AUDIT_LOG.c.resource_type == resource_type)


def _tell(conn: Connection, actor: JobActor, policy: Policy, entries: int, *, now: int) -> None:
    record(conn, PURGED, project_id=None, now=now, entries=entries, hours=policy.retention_hours)
    payload = {**policy.payload, "entries": entries}
    record_audit(conn, actor, "purge", "audit-log", "", now=now, payload=payload)
