"""What administrators can ask of quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Invalid, NotFound
from roadstead.events.outbox import JsonValue, record
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority
from roadstead.quota import queries
from roadstead.quota.folding import tell
from roadstead.quota.limits import DEFAULT, NONE
from roadstead.telemetry.clock import Clock, now_ms

UPDATED = "quota.updated"
STORAGE = "storage"
# Harbor's, in bytes.
MOST_BYTES = 2**50
MOST_ROWS = 10**12
_ROWS = ("repositories", "tags_per_repository", "network_rules")
# What each kind of quota limits.
LIMITS: Mapping[str, tuple[str, ...]] = {
    queries.PROJECT: (STORAGE, *_ROWS),
    queries.USER: ("projects", "public_repositories", "private_repositories"),
    queries.SYSTEM: ("projects",),
}


class QuotaInvalid(Invalid):
    """A limit cannot be that."""


@dataclass(frozen=True, slots=True)
class ShownQuota:
    """Limits that hold, -1 for none, and what is used.  Usage counts what uploads under way have reserved."""

    id: int
    reference: str
    # Of the project or person; the registry's own has neither.
    ref_id: int | None
    ref_name: str | None
    owner_name: str | None
    hard: Mapping[str, int]
    used: Mapping[str, int]
    created_at: int
    updated_at: int


class Quotas:
    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def list(
        self, principal: Principal, request: ListRequest, *, reference: str = "", reference_id: str = ""
    ) -> tuple[list[ShownQuota], int]:
        """A page of quotas of one kind, or of one project or person, and how many there are.

        Those of projects, where no kind is named: Harbor has no others, and its clients know projects by the id.
        """
        await self._authority.system(principal, "quota:list")
        if reference == queries.SYSTEM:
            await self._database.write(queries.ensure_quota_of_system, now=self._clock())
        if reference == queries.USER and _is_id(reference_id):
            await self._database.write(queries.ensure_quota_of_user, int(reference_id), now=self._clock())
        rows, total = await self._database.read(
            queries.quotas_page, request, reference=reference or queries.PROJECT, reference_id=reference_id
        )
        return [_shown(row) for row in rows], total

    async def get(self, principal: Principal, quota_id: int) -> ShownQuota:
        await self._authority.system(principal, "quota:read")
        row = await self._database.read(queries.shown_quota, quota_id)
        if row is None:
            raise _unknown(quota_id)
        return _shown(row)

    async def of_project(self, project_id: int) -> ShownQuota | None:
        """For those who may read it, which is the caller's to see to."""
        row = await self._database.read(queries.shown_quota_of_project, project_id)
        return None if row is None else _shown(row)

    async def update(self, principal: Principal, quota_id: int, hard: Mapping[str, int]) -> None:
        """Set these limits, and leave the others as they are.

        A limit may be beneath what is used: nothing goes away, and nothing more comes in.
        """
        await self._authority.system(principal, "quota:update")
        now = self._clock()
        project_id = await self._database.write(_update, principal, quota_id, dict(hard), now=now)
        if project_id is not None and STORAGE in hard:
            # Once more, for those who had read the old limit and waited for us to be charged.
            await self._database.write(_count_all, project_id, now=now)


def _count_all(conn: Connection, project_id: int, *, now: int) -> None:
    # From here on, nobody is in the middle of charging the project without looking at its limit.
    queries.lock_project(conn, project_id)
    tell(conn, project_id, now=now)


def _update(
    conn: Connection, principal: Principal, quota_id: int, hard: dict[str, int], *, now: int
) -> int | None:
    """The project's id, where it is a project's."""
    before = queries.shown_quota(conn, quota_id)
    if before is None:
        raise _unknown(quota_id)
    _check(before["reference"], hard)
    project_id = before["ref_id"] if before["reference"] == queries.PROJECT else None
    if project_id is not None:
        queries.lock_project(conn, project_id)
    queries.set_limits(conn, quota_id, hard, now=now)
    if project_id is not None:
        tell(conn, project_id, now=now)
    changed: dict[str, JsonValue] = {
        key: {"before": before[f"hard_{key}"], "after": limit} for key, limit in sorted(hard.items())
    }
    name = before["ref_name"] or before["reference"]
    record(
        conn,
        UPDATED,
        project_id=project_id,
        now=now,
        reference=before["reference"],
        name=name,
        limits=dict(hard),
        user=principal.username,
    )
    trail.record(conn, principal, "update", "quota", name, now=now, project_id=project_id, payload=changed)
    return int(project_id) if project_id is not None else None


def _check(reference: str, hard: Mapping[str, int]) -> None:
    known = LIMITS[reference]
    if not hard:
        raise QuotaInvalid("there is no limit in the request", remedy=f"give one of {', '.join(known)}")
    for key, limit in hard.items():
        if key not in known:
            raise QuotaInvalid(
                f"a quota of this kind has no limit {key[:80]!r}", remedy=f"give one of {', '.join(known)}"
            )
        if key == STORAGE and limit != NONE and not 1 <= limit <= MOST_BYTES:
            raise QuotaInvalid(
                f"storage is from 1 to {MOST_BYTES} bytes, or -1 for no limit",
                remedy="give such a number",
                limit=MOST_BYTES,
            )
        if key != STORAGE and not DEFAULT <= limit <= MOST_ROWS:
            raise QuotaInvalid(
                f"{key} is from 0 to {MOST_ROWS}, or -1 for no limit, or -2 for the default",
                remedy="give such a number",
                limit=MOST_ROWS,
            )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _unknown(quota_id: int) -> NotFound:
    return NotFound(f"there is no quota {quota_id}", remedy="GET /api/v2.0/quotas lists them")


def _shown(row: RowMapping) -> ShownQuota:
    return ShownQuota(
        id=row["id"],
        reference=row["reference"],
        ref_id=row["ref_id"],
        ref_name=row["ref_name"],
        owner_name=row["owner_name"],
        hard={key: int(v) for key in queries.HARD if (v := row[f"hard_{key}"]) is not None},
        used={key: int(v) for key in queries.USED if (v := row[f"used_{key}"]) is not None},
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
