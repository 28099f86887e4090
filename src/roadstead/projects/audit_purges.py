"""Who may have old audit entries deleted, when, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, case, select

from roadstead.audit.purge import PURGE, Policy
from roadstead.audit.trail import record as record_audit
from roadstead.db.database import Database
from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import Job
from roadstead.db.tables.jobs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED
from roadstead.errors import Invalid, NotFound
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.jobs import schedules
from roadstead.jobs.cron import check_cron
from roadstead.jobs.queries import cancel, enqueue
from roadstead.jobs.schedules import Cron
from roadstead.projects.authority import Authority
from roadstead.telemetry.clock import Clock, now_ms

SCHEDULE_CHANGED = "audit.purge_schedule_changed"
STOPPED = "audit.purge_stopped"
_NAME = "purge-audit"
_CRONS = {"Hourly": "0 0 * * * *", "Daily": "0 0 0 * * *", "Weekly": "0 0 0 * * 0"}
_MOST_ATTEMPTS = 5

_JOBS = cast("Table", Job.__table__)
_EXECUTIONS = select(_JOBS).where(_JOBS.c.kind == PURGE)
_STATUSES = {
    QUEUED: "Pending",
    RUNNING: "Running",
    SUCCEEDED: "Success",
    FAILED: "Error",
    CANCELLED: "Stopped",
}
_STATUS: ColumnElement[str] = case(
    *((_JOBS.c.state == state, name) for state, name in _STATUSES.items()), else_=""
)
_FIELDS: Fields = {
    "id": Field(_JOBS.c.id, "number"),
    "job_status": Field(_STATUS),
    "creation_time": Field(_JOBS.c.created_at, "time"),
    "start_time": Field(_JOBS.c.created_at, "time"),
}


@dataclass(frozen=True, slots=True)
class Execution:
    """One run, past or to come.  Times are in milliseconds since 1970."""

    id: int
    trigger: str
    status: str
    parameters: Mapping[str, Any]
    created_at: int
    updated_at: int
    log: str


@dataclass(frozen=True, slots=True)
class PurgeSchedule:
    """When runs are due."""

    kind: str
    cron: str
    next_at: int
    parameters: Mapping[str, Any]
    created_at: int
    updated_at: int


class PurgeUnknown(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "there is no such run, or it is forgotten", remedy="GET /api/v2.0/system/purgeaudit lists them"
        )


class AuditPurges:
    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def page(self, principal: Principal, request: ListRequest) -> tuple[list[Execution], int]:
        await self._authority.system(principal, "purge-audit:list")
        return await self._database.read(_page, request)

    async def one(self, principal: Principal, number: int) -> Execution:
        await self._authority.system(principal, "purge-audit:read")
        return await self._database.read(_one, number)

    async def schedule(self, principal: Principal) -> PurgeSchedule | None:
        await self._authority.system(principal, "purge-audit:read")
        return await self._database.read(_schedule)

    async def set(
        self, principal: Principal, kind: str, cron: str, policy: Policy, *, permission: str
    ) -> int | None:
        """Run it now (`Manual`), at times, or no more (`None`).  Returns the run's id for the first of these."""
        await self._authority.system(principal, f"purge-audit:{permission}")
        if kind == "Manual":
            return await self._database.write(_run_now, principal, policy, now=self._clock())
        if kind == "None":
            await self._database.write(_remove, principal, now=self._clock())
            return None
        if kind not in {*_CRONS, "Custom"}:
            raise Invalid(
                f"there is no schedule of the type {kind[:40]!r}",
                remedy="use Hourly, Daily, Weekly, Custom, Manual or None",
            )
        expression = check_cron(cron or _CRONS.get(kind, ""))
        await self._database.write(_put, principal, kind, expression, policy, now=self._clock())
        return None

    async def stop(self, principal: Principal, number: int) -> None:
        """A run that is over stays as it is."""
        await self._authority.system(principal, "purge-audit:stop")
        await self._database.write(_stop, principal, number, now=self._clock())


def _page(conn: Connection, request: ListRequest) -> tuple[list[Execution], int]:
    default = (_JOBS.c.created_at.desc(), _JOBS.c.id.desc())
    rows, total = page_of(conn, _EXECUTIONS, request, _FIELDS, default=default)
    return [_execution(row) for row in rows], total


def _one(conn: Connection, number: int) -> Execution:
    row = conn.execute(_EXECUTIONS.where(_JOBS.c.id == number)).mappings().one_or_none()
    if row is None:
        raise PurgeUnknown
    return _execution(row)


def _execution(row: RowMapping) -> Execution:
    return Execution(
        row["id"],
        row["payload"].get("trigger", "SCHEDULE"),
        _STATUSES.get(row["state"], ""),
        row["payload"]["parameters"],
        row["created_at"],
        row["finished_at"] or row["created_at"],
        _log(row),
    )


def _log(row: RowMapping) -> str:
    dry = row["payload"]["parameters"].get("dry_run")
    done = "would be deleted" if dry else "deleted"
    lines = [f"{_time(row['created_at'])} asked for"]
    if row["progress"]:
        before, entries = row["progress"]["before"], row["progress"]["entries"]
        lines.append(f"{entries} entries older than {_time(before)} {done}")
    if row["error"]:
        lines.append(f"attempt {row['attempt']} failed: {row['error']}")
    if row["finished_at"]:
        lines.append(f"{_time(row['finished_at'])} {_STATUSES.get(row['state'], '')}")
    return "\n".join(lines) + "\n"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _schedule(conn: Connection) -> PurgeSchedule | None:
    row = schedules.find(conn, _NAME)
    if row is None:
        return None
    payload = row["payload"]
    return PurgeSchedule(
        payload["type"],
        row["cron"],
        row["next_at"],
        payload["parameters"],
        payload["created_at"],
        payload["updated_at"],
    )


def _run_now(conn: Connection, principal: Principal, policy: Policy, *, now: int) -> int:
    payload = {"parameters": policy.payload, "trigger": "MANUAL", "asked_by": principal.username}
    job = enqueue(conn, PURGE, payload, lock=PURGE, max_attempts=_MOST_ATTEMPTS, now=now)
    assert job is not None  # noqa: S101 - it has no unique key
    _tell(conn, principal, {"type": "Manual", **policy.payload}, now=now)
    return job


def _put(conn: Connection, principal: Principal, kind: str, cron: str, policy: Policy, *, now: int) -> None:
    known = _schedule(conn)
    payload = {
        "parameters": policy.payload,
        "trigger": "SCHEDULE",
        "type": kind,
        "asked_by": principal.username,
        "created_at": known.created_at if known else now,
        "updated_at": now,
    }
    schedules.put(conn, Cron(_NAME, PURGE, cron, payload), now=now)
    _tell(conn, principal, {"type": kind, "cron": cron, **policy.payload}, now=now)


def _remove(conn: Connection, principal: Principal, *, now: int) -> None:
    if schedules.remove(conn, _NAME):
        _tell(conn, principal, {"type": "None"}, now=now)


def _tell(conn: Connection, principal: Principal, payload: Mapping[str, object], *, now: int) -> None:
    record(conn, SCHEDULE_CHANGED, project_id=None, now=now, type=str(payload["type"]))
    record_audit(conn, principal, "update", "purge-audit", "schedule", now=now, payload=payload)


def _stop(conn: Connection, principal: Principal, number: int, *, now: int) -> None:
    _one(conn, number)
    if cancel(conn, number, now=now):
        record(conn, STOPPED, project_id=None, now=now, run=number)
        record_audit(conn, principal, "stop", "purge-audit", str(number), now=now)
