"""What people can ask of labels.  Who puts them on artifacts is the artifacts' matter."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, NotFound
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority, ProjectHidden
from roadstead.projects.labels import queries
from roadstead.projects.labels.queries import StoredLabel
from roadstead.projects.labels.rules import LabelDraft
from roadstead.telemetry.clock import Clock, now_ms

CREATED = "label.created"
UPDATED = "label.updated"
DELETED = "label.deleted"
# No project has this number.
NOWHERE = 0


class LabelUnknown(NotFound):
    """There is no such label, or the caller may not know that there is: one answer for both."""

    def __init__(self, label_id: int) -> None:
        super().__init__(
            f"no such label, or you may not see it: {label_id}", remedy="list the labels to see their numbers"
        )


class LabelExists(Conflict):
    """The name is taken."""


class Labels:
    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def list(
        self, principal: Principal, project: int | None, request: ListRequest, *, name: str = ""
    ) -> tuple[Sequence[StoredLabel], int]:
        """Those of a project, or with None those of the registry, which anybody may read."""
        if project is None:
            # For whoever is still good, and comes from where they may.
            await self._authority.system_permissions(principal)
        else:
            await self._authority.project(principal, project, "label:list")
        return await self._database.read(queries.labels_page, project, name, request)

    async def get(self, principal: Principal, label_id: int) -> StoredLabel:
        """Raises `LabelUnknown`."""
        return await self._found(principal, label_id, "label:read")

    async def create(self, principal: Principal, project: int | None, draft: LabelDraft) -> int:
        """Raises `LabelExists` or `LabelInvalid`."""
        if project is None:
            await self._authority.system(principal, "label:create")
        else:
            await self._authority.project(principal, project, "label:create")
        return await self._database.write(_create, principal, project, draft.check(), now=self._clock())

    async def change(self, principal: Principal, label_id: int, draft: LabelDraft) -> None:
        """Raises `LabelUnknown`, `LabelExists` or `LabelInvalid`."""
        await self._found(principal, label_id, "label:update")
        await self._database.write(_change, principal, label_id, draft.check(), now=self._clock())

    async def delete(self, principal: Principal, label_id: int) -> None:
        """Raises `LabelUnknown`."""
        await self._found(principal, label_id, "label:delete")
        await self._database.write(_delete, principal, label_id, now=self._clock())

    async def _found(self, principal: Principal, label_id: int, permission: str) -> StoredLabel:
        """The label, if the caller may do that where it belongs.

        A label of a project that the caller may not see is no label.
        """
        found = await self._database.read(queries.label, label_id)
        if found is not None and found.project_id is None:
            await self._authority.system(principal, permission)
            return found
        # The same is asked for a label that is not there: nobody learns from the time what is hidden from them.
        project = NOWHERE if found is None or found.project_id is None else found.project_id
        try:
            await self._authority.project(principal, project, permission)
        except ProjectHidden:
            raise LabelUnknown(label_id) from None
        if found is None:
            raise LabelUnknown(label_id)
        return found


def _exists(name: str) -> LabelExists:
    return LabelExists(f"there is a label {name} already", remedy="choose another name")


def _create(
    conn: Connection, principal: Principal, project: int | None, draft: LabelDraft, *, now: int
) -> int:
    if queries.name_taken(conn, project, draft.name):
        raise _exists(draft.name)
    try:
        with conn.begin_nested():
            made = queries.add_label(conn, project, draft, now=now)
    except IntegrityError:
        raise _exists(draft.name) from None
    record(conn, CREATED, project_id=project, now=now, label=draft.name, user=principal.username)
    trail.record(conn, principal, "create", "label", draft.name, now=now, project_id=project)
    return made


def _existing(conn: Connection, label_id: int) -> StoredLabel:
    found = queries.label(conn, label_id)
    if found is None:
        raise LabelUnknown(label_id)
    return found


def _change(conn: Connection, principal: Principal, label_id: int, draft: LabelDraft, *, now: int) -> None:
    before = _existing(conn, label_id)
    if draft.name != before.name and queries.name_taken(conn, before.project_id, draft.name):
        raise _exists(draft.name)
    try:
        with conn.begin_nested():
            queries.change_label(conn, label_id, draft, now=now)
    except IntegrityError:
        raise _exists(draft.name) from None
    project = before.project_id
    record(conn, UPDATED, project_id=project, now=now, label=draft.name, user=principal.username)
    payload = {"before": before.name}
    trail.record(conn, principal, "update", "label", draft.name, now=now, project_id=project, payload=payload)


def _delete(conn: Connection, principal: Principal, label_id: int, *, now: int) -> None:
    gone = _existing(conn, label_id)
    queries.delete_label(conn, label_id)
    project = gone.project_id
    record(conn, DELETED, project_id=project, now=now, label=gone.name, user=principal.username)
    trail.record(conn, principal, "delete", "label", gone.name, now=now, project_id=project)
