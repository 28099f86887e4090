"""Roles that administrators of the registry make, out of the permissions that the built-in ones have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, NotFound, Precondition
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority
from roadstead.projects.members import queries
from roadstead.projects.members.queries import StoredRole
from roadstead.projects.members.rules import check_role_description, check_role_name
from roadstead.projects.roles import IN_PROJECT, Permission, write_permissions
from roadstead.telemetry.clock import Clock, now_ms

CREATED = "role.created"
UPDATED = "role.updated"
DELETED = "role.deleted"


class RoleUnknown(NotFound):
    """There is no such role."""

    def __init__(self, role_id: int) -> None:
        super().__init__(f"there is no role {role_id}", remedy="list the roles to see their numbers")


class RoleExists(Conflict):
    """The name is taken."""


class RoleBuiltIn(Precondition):
    """It is what it is."""


class RoleInUse(Precondition):
    """Members have it."""


@dataclass(frozen=True, slots=True)
class RoleDraft:
    name: str
    description: str = ""
    permissions: Collection[Permission] = field(default=())


class Roles:
    """A change of a role counts with the next request of everybody who has it."""

    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def list(self, principal: Principal, request: ListRequest) -> tuple[Sequence[StoredRole], int]:
        """For whoever is signed in."""
        await self._authority.signed_in(principal)
        return await self._database.read(queries.roles_page, request)

    async def get(self, principal: Principal, role_id: int) -> StoredRole:
        """For whoever is signed in.  Raises `RoleUnknown`."""
        await self._authority.signed_in(principal)
        found = await self._database.read(queries.role, role_id)
        if found is None:
            raise RoleUnknown(role_id)
        return found

    async def create(self, principal: Principal, draft: RoleDraft) -> int:
        """Raises `RoleExists` or `Invalid`."""
        await self._authority.system(principal, "role:create")
        return await self._database.write(_create, principal, _columns(draft), now=self._clock())

    async def replace(self, principal: Principal, role_id: int, draft: RoleDraft) -> None:
        """Raises `RoleUnknown`, `RoleBuiltIn`, `RoleExists` or `Invalid`."""
        await self._authority.system(principal, "role:update")
        await self._database.write(_replace, principal, role_id, _columns(draft), now=self._clock())

    async def delete(self, principal: Principal, role_id: int) -> None:
        """Raises `RoleUnknown`, `RoleBuiltIn` or `RoleInUse`."""
        await self._authority.system(principal, "role:delete")
        await self._database.write(_delete, principal, role_id, now=self._clock())


def _columns(draft: RoleDraft) -> dict[str, str]:
    return {
        "name": check_role_name(draft.name),
        "description": check_role_description(draft.description),
        "permissions": write_permissions(draft.permissions, IN_PROJECT),
    }


def _exists(name: str) -> RoleExists:
    return RoleExists(f"there is a role {name} already", remedy="choose another name")


def _create(conn: Connection, principal: Principal, columns: dict[str, str], *, now: int) -> int:
    name = columns["name"]
    if queries.role_named(conn, name) is not None:
        raise _exists(name)
    try:
        with conn.begin_nested():
            made = queries.add_role(conn, {**columns, "created_at": now, "updated_at": now})
    except IntegrityError:
        raise _exists(name) from None
    record(conn, CREATED, project_id=None, now=now, role=name, user=principal.username)
    trail.record(conn, principal, "create", "role", name, now=now, payload=columns)
    return made


def _changeable(conn: Connection, role_id: int) -> StoredRole:
    found = queries.role(conn, role_id)
    if found is None:
        raise RoleUnknown(role_id)
    if found.built_in:
        raise RoleBuiltIn(f"the role {found.name} is built in", remedy="make a role of your own")
    return found


def _replace(
    conn: Connection, principal: Principal, role_id: int, columns: dict[str, str], *, now: int
) -> None:
    before = _changeable(conn, role_id)
    name = columns["name"]
    if name != before.name and queries.role_named(conn, name) is not None:
        raise _exists(name)
    try:
        with conn.begin_nested():
            queries.change_role(conn, role_id, {**columns, "updated_at": now})
    except IntegrityError:
        raise _exists(name) from None
    record(conn, UPDATED, project_id=None, now=now, role=name, user=principal.username)
    payload = {**columns, "before": before.name}
    trail.record(conn, principal, "update", "role", name, now=now, payload=payload)


def _delete(conn: Connection, principal: Principal, role_id: int, *, now: int) -> None:
    found = _changeable(conn, role_id)
    if queries.role_in_use(conn, role_id):
        raise _in_use(found)
    try:
        with conn.begin_nested():
            queries.delete_role(conn, role_id)
    except IntegrityError:
        # Somebody was given it just now.
        raise _in_use(found) from None
    record(conn, DELETED, project_id=None, now=now, role=found.name, user=principal.username)
    trail.record(conn, principal, "delete", "role", found.name, now=now)


def _in_use(role: StoredRole) -> RoleInUse:
    return RoleInUse(f"members have the role {role.name}", remedy="give them other roles first")
