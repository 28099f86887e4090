"""What people can ask of the members of a project."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, Denied, NotFound
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.identity.rules import canonical_username
from roadstead.projects.authority import Authority, ProjectAccess, ProjectReference
from roadstead.projects.directory.changes import locked
from roadstead.projects.members import queries
from roadstead.projects.members.queries import Member, StoredRole
from roadstead.projects.members.rules import MemberInvalid, RoleInvalid, Whom, check_repositories
from roadstead.projects.queries import grant
from roadstead.telemetry.clock import Clock, now_ms

ADDED = "member.added"
CHANGED = "member.changed"
REMOVED = "member.removed"


class MemberUnknown(NotFound):
    """The project has no such member."""

    def __init__(self, member_id: int) -> None:
        super().__init__(
            f"the project has no member {member_id}", remedy="list its members to see their numbers"
        )


class MemberExists(Conflict):
    """They have a role there already."""


class RoleTooHigh(Denied):
    """Nobody gives what they do not have."""


class Members:
    """Whoever may, adds members to a project and changes their roles, up to what they may do there themselves.

    All of it counts with the next request of whoever it concerns.  The last administrator of a project may go:
    an administrator of the registry can name another.
    """

    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def list(
        self, principal: Principal, reference: ProjectReference, request: ListRequest, *, name: str = ""
    ) -> tuple[Sequence[Member], int]:
        """A page of those with that name, or of all, and how many there are."""
        access = await self._authority.project(principal, reference, "member:list")
        return await self._database.read(queries.members_page, access.id, name, request)

    async def get(self, principal: Principal, reference: ProjectReference, member_id: int) -> Member:
        """Raises `MemberUnknown`."""
        access = await self._authority.project(principal, reference, "member:read")
        found = await self._database.read(queries.member, access.id, member_id)
        if found is None:
            raise MemberUnknown(member_id)
        return found

    async def add(
        self,
        principal: Principal,
        reference: ProjectReference,
        whom: Whom,
        role_id: int,
        *,
        repositories: str = "",
    ) -> Member:
        """Raises `MemberExists`, `RoleTooHigh`, or `Invalid` where there is no such role."""
        access = await self._authority.project(principal, reference, "member:create")
        whom.check()
        pattern = check_repositories(repositories)
        return await self._database.write(
            _add, principal, access, whom, role_id=role_id, repositories=pattern, now=self._clock()
        )

    async def change(
        self,
        principal: Principal,
        reference: ProjectReference,
        member_id: int,
        role_id: int,
        *,
        repositories: str | None = None,
    ) -> None:
        """`repositories` is left as it is where it is None.  Raises `MemberUnknown`, and what `add` raises."""
        access = await self._authority.project(principal, reference, "member:update")
        pattern = None if repositories is None else check_repositories(repositories)
        await self._database.write(
            _change, principal, access, member_id, role_id=role_id, repositories=pattern, now=self._clock()
        )

    async def remove(self, principal: Principal, reference: ProjectReference, member_id: int) -> None:
        """Raises `MemberUnknown`."""
        access = await self._authority.project(principal, reference, "member:delete")
        await self._database.write(_remove, principal, access, member_id, now=self._clock())


def _entity(conn: Connection, whom: Whom) -> tuple[int | None, int | None]:
    """The user's number, or the group's."""
    if whom.user_id:
        found = queries.person(conn, user_id=whom.user_id)
        if found is None:
            raise MemberInvalid(f"there is no user {whom.user_id}", remedy="search the users for the number")
        return found["id"], None
    if whom.group_id:
        found = queries.group(conn, {"id": whom.group_id})
        if found is None:
            raise MemberInvalid(f"there is no group {whom.group_id}", remedy="list the groups for the number")
        return None, found["id"]
    if whom.username:
        found = queries.person(conn, username=canonical_username(whom.username) or "")
        if found is None:
            raise NotFound("there is no user of that name", remedy="search the users for the name")
        return found["id"], None
    if whom.ldap_group_dn:
        found = queries.group(conn, {"ldap_dn": whom.ldap_group_dn})
    else:
        found = queries.group(conn, {"name": whom.group_name, "kind": whom.group_type})
    if found is None:
        raise NotFound(
            "there is no group of that name and type", remedy="list the groups, or make the group first"
        )
    return None, found["id"]


def _role_to_give(conn: Connection, access: ProjectAccess, role_id: int) -> StoredRole:
    role = queries.role(conn, role_id, lock=True)
    if role is None:
        raise RoleInvalid(f"there is no role {role_id}", remedy="GET /api/v2.0/roles lists them")
    beyond = sorted(role.permissions - access.standing.permissions)
    if beyond:
        raise RoleTooHigh(
            f"the role {role.name} may {beyond[0]}, and you may not",
            remedy="give a role that may no more than you, or ask somebody who may",
        )
    return role


def _add(
    conn: Connection,
    principal: Principal,
    access: ProjectAccess,
    whom: Whom,
    *,
    role_id: int,
    repositories: str,
    now: int,
) -> Member:
    # One after the other, so that nobody becomes a member twice.
    locked(conn, access.id)
    user_id, group_id = _entity(conn, whom)
    if queries.is_member(conn, access.id, user_id=user_id, group_id=group_id, repositories=repositories):
        raise MemberExists(
            "they are a member of the project already, for these repositories",
            remedy="change the role that they have",
        )
    role = _role_to_give(conn, access, role_id)
    made = grant(
        conn,
        access.id,
        user_id=user_id,
        group_id=group_id,
        role_id=role.id,
        repositories=repositories,
        now=now,
    )
    member = _existing(conn, access, made)
    record(
        conn,
        ADDED,
        project_id=access.id,
        now=now,
        member=member.name,
        group=group_id is not None,
        role=role.name,
        repositories=repositories,
        user=principal.username,
    )
    _write_down(conn, principal, access, "create", member, now=now)
    return member


def _existing(conn: Connection, access: ProjectAccess, member_id: int) -> Member:
    found = queries.member(conn, access.id, member_id)
    if found is None:
        raise MemberUnknown(member_id)
    return found


def _change(
    conn: Connection,
    principal: Principal,
    access: ProjectAccess,
    member_id: int,
    *,
    role_id: int,
    repositories: str | None,
    now: int,
) -> None:
    locked(conn, access.id)
    before = _existing(conn, access, member_id)
    role = _role_to_give(conn, access, role_id)
    pattern = before.repositories if repositories is None else repositories
    if pattern != before.repositories and queries.is_member(
        conn, access.id, user_id=before.user_id, group_id=before.group_id, repositories=pattern
    ):
        raise MemberExists(
            "they have another role for these repositories already", remedy="remove one of the two"
        )
    queries.change_member(conn, member_id, role_id=role.id, repositories=pattern)
    record(
        conn,
        CHANGED,
        project_id=access.id,
        now=now,
        member=before.name,
        group=before.group_id is not None,
        role=role.name,
        role_before=before.role_name,
        repositories=pattern,
        user=principal.username,
    )
    _write_down(conn, principal, access, "update", _existing(conn, access, member_id), now=now)


def _remove(
    conn: Connection, principal: Principal, access: ProjectAccess, member_id: int, *, now: int
) -> None:
    locked(conn, access.id)
    gone = _existing(conn, access, member_id)
    queries.remove_member(conn, member_id)
    record(
        conn,
        REMOVED,
        project_id=access.id,
        now=now,
        member=gone.name,
        group=gone.group_id is not None,
        role=gone.role_name,
        user=principal.username,
    )
    _write_down(conn, principal, access, "delete", gone, now=now)


def _write_down(
    conn: Connection, principal: Principal, access: ProjectAccess, operation: str, member: Member, *, now: int
) -> None:
    payload = {"project": access.name, "role": member.role_name, "repositories": member.repositories}
    trail.record(
        conn, principal, operation, "member", member.name, now=now, project_id=access.id, payload=payload
    )
