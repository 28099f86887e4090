"""The SQL of groups."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, Table, delete, func, select, update

from roadstead.db.insert import insert_id_or_none, insert_ignore
from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import UserGroup, UserGroupMember
from roadstead.identity.queries import USERS, Account, account_of

GROUPS: Table = UserGroup.__table__  # type: ignore[assignment]  # declared as FromClause
MEMBERS: Table = UserGroupMember.__table__  # type: ignore[assignment]  # declared as FromClause

GROUP_FIELDS: Fields = {
    "id": Field(GROUPS.c.id, "number"),
    "group_name": Field(GROUPS.c.name),
    "group_type": Field(GROUPS.c.kind, "number"),
    "ldap_group_dn": Field(GROUPS.c.ldap_dn),
    "creation_time": Field(GROUPS.c.created_at, "time"),
}
MEMBER_FIELDS: Fields = {"user_id": Field(USERS.c.id, "number"), "username": Field(USERS.c.username)}


@dataclass(frozen=True, slots=True)
class Group:
    id: int
    name: str
    # Harbor's numbers: 1 LDAP, 2 HTTP, 3 OIDC; 0 is kept here.
    kind: int
    ldap_dn: str


def groups_listed(conn: Connection, request: ListRequest) -> tuple[list[Group], int]:
    rows, total = page_of(conn, select(GROUPS), request, GROUP_FIELDS, default=(GROUPS.c.id,))
    return [_group(row) for row in rows], total


def groups_containing(conn: Connection, part: str, request: ListRequest) -> tuple[list[Group], int]:
    """Those with `part` in their names, whatever its case, the shortest names first."""
    lowered = func.lower(GROUPS.c.name)
    statement = select(GROUPS).where(lowered.contains(part.lower(), autoescape=True))
    order = (func.length(GROUPS.c.name), GROUPS.c.name)
    rows, total = page_of(conn, statement, request, {}, default=order)
    return [_group(row) for row in rows], total


def group_with_id(conn: Connection, group_id: int) -> Group | None:
    row = conn.execute(select(GROUPS).where(GROUPS.c.id == group_id)).mappings().one_or_none()
    return None if row is None else _group(row)


def add(conn: Connection, name: str, kind: int, ldap_dn: str, *, now: int) -> int | None:
    """The new group's id, or None if the name is taken."""
    values = {"name": name, "kind": kind, "ldap_dn": ldap_dn or None, "created_at": now}
    return insert_id_or_none(conn, UserGroup, values, keys=("name",))


def is_taken(conn: Connection, name: str, *, but: int) -> bool:
    return conn.scalar(select(GROUPS.c.id).where(GROUPS.c.name == name, GROUPS.c.id != but)) is not None


def rename(conn: Connection, group_id: int, name: str) -> None:
    conn.execute(update(GROUPS).where(GROUPS.c.id == group_id).values(name=name))


def remove(conn: Connection, group_id: int) -> None:
    """Its grants and its members' places go with it."""
    conn.execute(delete(GROUPS).where(GROUPS.c.id == group_id))


def people_in(conn: Connection, group_id: int, request: ListRequest) -> tuple[list[Account], int]:
    statement = (
        select(USERS).join(MEMBERS, MEMBERS.c.user_id == USERS.c.id).where(MEMBERS.c.group_id == group_id)
    )
    rows, total = page_of(conn, statement, request, MEMBER_FIELDS, default=(USERS.c.username,))
    return [account_of(row) for row in rows], total


def add_member(conn: Connection, group_id: int, user_id: int) -> bool:
    """False if they are in it already."""
    return insert_ignore(
        conn, UserGroupMember, {"user_id": user_id, "group_id": group_id}, keys=("user_id", "group_id")
    )


def remove_member(conn: Connection, group_id: int, user_id: int) -> bool:
    """False if they were not in it."""
    statement = delete(MEMBERS).where(MEMBERS.c.group_id == group_id, MEMBERS.c.user_id == user_id)
    return conn.execute(statement).rowcount == 1


def _group(row: RowMapping) -> Group:
    return Group(row["id"], row["name"], row["kind"], row["ldap_dn"] or "")
