"""What people may ask about groups."""

from __future__ import annotations

from sqlalchemy import Connection

from roadstead.audit.trail import record as record_audit
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, Denied, Invalid, NotFound
from roadstead.events.outbox import record
from roadstead.identity.accounts.authority import SystemAuthority
from roadstead.identity.accounts.changes import UserUnknown, person
from roadstead.identity.groups import queries
from roadstead.identity.groups.queries import Group
from roadstead.identity.principals import Principal
from roadstead.identity.queries import Account, account_named
from roadstead.identity.rules import canonical_username, check_profile_text
from roadstead.telemetry.clock import Clock, now_ms

CREATED = "group.created"
RENAMED = "group.renamed"
DELETED = "group.deleted"
MEMBER_ADDED = "group.member_added"
MEMBER_REMOVED = "group.member_removed"

KINDS = range(4)
LONGEST_DN = 1000


class GroupUnknown(NotFound):
    """There is no such group."""


class GroupExists(Conflict):
    """The name is taken, or somebody is in the group already."""


class GroupInvalid(Invalid):
    """It cannot be a group."""


class Groups:
    """Groups that are kept here; those of a directory or an issuer are only names yet, with the people who are put
    into them here.

    Whoever is put into a group has all that was granted to it, so only administrators say who is in one.
    """

    def __init__(self, database: Database, authority: SystemAuthority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def everybody(self, principal: Principal, request: ListRequest) -> tuple[list[Group], int]:
        await self._authority.system(principal, "user-group:list")
        return await self._database.read(queries.groups_listed, request)

    async def search(self, principal: Principal, part: str, request: ListRequest) -> tuple[list[Group], int]:
        """For anybody who is signed in."""
        await self._authority.signed_in(principal)
        if not part:
            raise GroupInvalid("the name to look for is empty", remedy="give a part of the group's name")
        return await self._database.read(queries.groups_containing, part, request)

    async def get(self, principal: Principal, group_id: int) -> Group:
        """Raises `GroupUnknown`."""
        await self._authority.system(principal, "user-group:read")
        return await self._database.read(_existing, group_id)

    async def create(self, principal: Principal, name: str, kind: int, ldap_dn: str) -> int:
        """The new group's number.  Raises `GroupInvalid` or `GroupExists`."""
        await self._authority.system(principal, "user-group:create")
        if kind not in KINDS:
            raise GroupInvalid(
                "a group's type is 0 (kept here), 1 (LDAP), 2 (HTTP) or 3 (OIDC)", remedy="give one of them"
            )
        check_profile_text(ldap_dn, "distinguished name", LONGEST_DN)
        return await self._database.write(
            _create, principal, Group(0, _name(name), kind, ldap_dn), self._clock()
        )

    async def rename(self, principal: Principal, group_id: int, name: str) -> None:
        """Raises `GroupUnknown`, `GroupInvalid` or `GroupExists`."""
        await self._authority.system(principal, "user-group:update")
        await self._database.write(_rename, principal, group_id, _name(name), self._clock())

    async def delete(self, principal: Principal, group_id: int) -> None:
        """What its people had by it ends with their next request.  Raises `GroupUnknown`."""
        await self._authority.system(principal, "user-group:delete")
        await self._database.write(_delete, principal, group_id, self._clock())

    async def members(
        self, principal: Principal, group_id: int, request: ListRequest
    ) -> tuple[list[Account], int]:
        """Raises `GroupUnknown`."""
        await self._authority.system(principal, "user-group:read")
        await self._database.read(_existing, group_id)
        return await self._database.read(queries.people_in, group_id, request)

    async def add_member(
        self, principal: Principal, group_id: int, *, user_id: int | None, username: str
    ) -> int:
        """The user's number.  Raises `GroupUnknown`, `UserUnknown` or `GroupExists`."""
        await self._administers(principal)
        return await self._database.write(
            _add_member, principal, group_id, user_id=user_id, username=username, now=self._clock()
        )

    async def remove_member(self, principal: Principal, group_id: int, user_id: int) -> None:
        """Raises `GroupUnknown` or `UserUnknown`."""
        await self._administers(principal)
        await self._database.write(_remove_member, principal, group_id, user_id, self._clock())

    async def _administers(self, principal: Principal) -> None:
        await self._authority.system(principal, "user-group:update")
        if not await self._authority.administrator(principal):
            raise Denied(
                "only administrators say who is in a group", remedy="ask an administrator of the registry"
            )


def _name(text: str) -> str:
    name = check_profile_text(text, "name of a group").strip()
    if not name:
        raise GroupInvalid("a group has a name", remedy="give group_name")
    return name


def _existing(conn: Connection, group_id: int) -> Group:
    group = queries.group_with_id(conn, group_id)
    if group is None:
        raise GroupUnknown("there is no group with that number", remedy="list the groups")
    return group


def _taken(name: str) -> GroupExists:
    return GroupExists(f"there is a group {name} already", remedy="choose another name", group=name)


def _create(conn: Connection, principal: Principal, new: Group, now: int) -> int:
    group_id = queries.add(conn, new.name, new.kind, new.ldap_dn, now=now)
    if group_id is None:
        raise _taken(new.name)
    record(conn, CREATED, project_id=None, now=now, group_id=group_id, name=new.name)
    _audit(conn, principal, "create", new.name, now)
    return group_id


def _rename(conn: Connection, principal: Principal, group_id: int, name: str, now: int) -> None:
    group = _existing(conn, group_id)
    if queries.is_taken(conn, name, but=group_id):
        raise _taken(name)
    queries.rename(conn, group_id, name)
    record(conn, RENAMED, project_id=None, now=now, group_id=group_id, name=name, before=group.name)
    _audit(conn, principal, "update", name, now, before=group.name)


def _delete(conn: Connection, principal: Principal, group_id: int, now: int) -> None:
    group = _existing(conn, group_id)
    queries.remove(conn, group_id)
    record(conn, DELETED, project_id=None, now=now, group_id=group_id, name=group.name)
    _audit(conn, principal, "delete", group.name, now)


def _add_member(
    conn: Connection, principal: Principal, group_id: int, *, user_id: int | None, username: str, now: int
) -> int:
    group = _existing(conn, group_id)
    account = person(conn, user_id) if user_id is not None else _person_named(conn, username)
    if not queries.add_member(conn, group_id, account.id):
        raise GroupExists(f"{account.username} is in the group already", remedy="nothing is to be done")
    record(conn, MEMBER_ADDED, project_id=None, now=now, group_id=group_id, user_id=account.id)
    _audit(conn, principal, "update", group.name, now, added=account.username)
    return account.id


def _remove_member(conn: Connection, principal: Principal, group_id: int, user_id: int, now: int) -> None:
    group = _existing(conn, group_id)
    if not queries.remove_member(conn, group_id, user_id):
        raise UserUnknown("there is nobody with that number in the group", remedy="list who is in it")
    record(conn, MEMBER_REMOVED, project_id=None, now=now, group_id=group_id, user_id=user_id)
    _audit(conn, principal, "update", group.name, now, removed=user_id)


def _person_named(conn: Connection, username: str) -> Account:
    name = canonical_username(username)
    account = account_named(conn, name) if name else None
    if account is None:
        raise UserUnknown("there is no user of that name", remedy="list the users to see their names")
    return account


def _audit(
    conn: Connection, principal: Principal, operation: str, name: str, now: int, **facts: str | int
) -> None:
    record_audit(conn, principal, operation, "user-group", name, now=now, payload=dict(facts) or None)
