"""Who may read the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from sqlalchemy import Connection

from roadstead.audit import formats, queries
from roadstead.audit.event_types import EVENT_TYPES
from roadstead.audit.queries import FIELDS, Entry
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest, matching
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority, ProjectReference

LIST: str = "audit-log:list"


class AuditLogs:
    def __init__(self, database: Database, authority: Authority) -> None:
        self._database = database
        self._authority = authority

    async def page(
        self, principal: Principal, request: ListRequest, *, successes: bool = False
    ) -> tuple[list[Entry], int]:
        """Of the whole registry."""
        await self._authority.system(principal, LIST)
        return await self._database.read(queries.page, request, successes=successes)

    async def project_page(
        self,
        principal: Principal,
        project: ProjectReference,
        request: ListRequest,
        *,
        successes: bool = False,
    ) -> tuple[list[Entry], int]:
        """Of one project."""
        found = await self._authority.project(principal, project, "log:list")
        return await self._database.read(queries.page, request, project_id=found.id, successes=successes)

    async def event_types(self, principal: Principal) -> Sequence[str]:
        """What can be written down, as `disabled_audit_log_event_types` names it."""
        await self._authority.system(principal, LIST)
        return EVENT_TYPES

    async def export(self, principal: Principal, request: ListRequest, *, as_csv: bool) -> AsyncIterator[str]:
        """All entries that there are now and that match, the oldest first, a batch at a time.

        Refusals are raised before the first of them.
        """
        await self._authority.system(principal, LIST)
        until = await self._database.read(_begin, request)
        written: Callable[[Sequence[Entry]], str] = formats.csv_rows if as_csv else formats.json_lines
        return self._batches(request, until, formats.csv_head() if as_csv else "", written)

    async def _batches(
        self, request: ListRequest, until: int, head: str, written: Callable[[Sequence[Entry]], str]
    ) -> AsyncIterator[str]:
        if head:
            yield head
        after = 0
        while True:
            entries = await self._database.read(queries.batch, request, after=after, until=until)
            if entries:
                yield written(entries)
            if len(entries) < queries.BATCH:
                return
            after = entries[-1].id


def _begin(conn: Connection, request: ListRequest) -> int:
    # A filter that cannot be is refused now, while that can still be said.
    matching(queries.ENTRIES, request, FIELDS)
    return queries.last_id(conn)
