"""The SQL of members and of roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Table, case, delete, func, select, update

from roadstead.db.insert import insert_id
from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import RoleRow, UserGroup
from roadstead.db.tables.grants import IN_PROJECT
from roadstead.db.tables.users import PERSON
from roadstead.projects.access import GRANTS, ROLES, USERS
from roadstead.projects.roles import OF_ROLE, Permission, read_permissions
from roadstead.projects.visibility import FIRST_CUSTOM_ROLE

_GROUPS = cast("Table", UserGroup.__table__)
_NAME = func.coalesce(USERS.c.username, _GROUPS.c.name)
# Robots have permissions in place of a role, and are no members.
_MEMBERS = (
    select(
        GRANTS.c.id,
        GRANTS.c.project_id,
        GRANTS.c.user_id,
        GRANTS.c.group_id,
        GRANTS.c.role_id,
        GRANTS.c.repositories,
        _NAME.label("entity_name"),
        ROLES.c.name.label("role_name"),
    )
    .select_from(
        GRANTS.join(ROLES, ROLES.c.id == GRANTS.c.role_id)
        .outerjoin(USERS, USERS.c.id == GRANTS.c.user_id)
        .outerjoin(_GROUPS, _GROUPS.c.id == GRANTS.c.group_id)
    )
    .where(GRANTS.c.place == IN_PROJECT)
)
MEMBER_FIELDS: Fields = {
    "id": Field(GRANTS.c.id, "number"),
    "entity_name": Field(_NAME),
    "role_id": Field(GRANTS.c.role_id, "number"),
    "role_name": Field(ROLES.c.name),
    "entity_type": Field(case((GRANTS.c.user_id.is_not(None), "u"), else_="g"), fuzzy=False),
    "repositories": Field(GRANTS.c.repositories),
}


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    project_id: int
    # One of the two is set.
    user_id: int | None
    group_id: int | None
    name: str
    role_id: int
    role_name: str
    # The pattern of the repositories it is limited to; empty is all of them.
    repositories: str


def _member(row: RowMapping) -> Member:
    return Member(
        id=row["id"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        group_id=row["group_id"],
        name=row["entity_name"],
        role_id=row["role_id"],
        role_name=row["role_name"],
        repositories=row["repositories"],
    )


def members_page(conn: Connection, project: int, name: str, request: ListRequest) -> tuple[list[Member], int]:
    """The members of the project, or with `name` those who are called so."""
    found = _MEMBERS.where(GRANTS.c.project_id == project)
    if name:
        found = found.where(MEMBER_FIELDS["entity_name"].column == name)
    rows, total = page_of(conn, found, request, MEMBER_FIELDS, default=(_NAME.asc(), GRANTS.c.id.asc()))
    return list(map(_member, rows)), total


def member(conn: Connection, project: int, member_id: int) -> Member | None:
    """The member of that number, if it is one of this project's."""
    found = _MEMBERS.where(GRANTS.c.project_id == project, GRANTS.c.id == member_id)
    row = conn.execute(found).mappings().first()
    return None if row is None else _member(row)


def is_member(
    conn: Connection, project: int, *, user_id: int | None, group_id: int | None, repositories: str
) -> bool:
    """Whether they have a role there already, for the same repositories."""
    found = select(GRANTS.c.id).where(
        GRANTS.c.place == IN_PROJECT,
        GRANTS.c.project_id == project,
        GRANTS.c.role_id.is_not(None),
        GRANTS.c.user_id == user_id if user_id is not None else GRANTS.c.group_id == group_id,
        GRANTS.c.repositories == repositories,
    )
    return conn.execute(found.limit(1)).first() is not None


def change_member(conn: Connection, member_id: int, *, role_id: int, repositories: str) -> None:
    values = {"role_id": role_id, "repositories": repositories}
    conn.execute(update(GRANTS).where(GRANTS.c.id == member_id).values(**values))


def remove_member(conn: Connection, member_id: int) -> None:
    conn.execute(delete(GRANTS).where(GRANTS.c.id == member_id))


# ── who can become one ──────────────────────────────────────────────────────────────────────────────────


def person(conn: Connection, *, user_id: int | None = None, username: str = "") -> RowMapping | None:
    """`id` and `name`, by number or by name.  Robots are no people."""
    wanted = USERS.c.id == user_id if user_id is not None else USERS.c.username == username
    found = select(USERS.c.id, USERS.c.username.label("name")).where(wanted, USERS.c.kind == PERSON)
    return conn.execute(found).mappings().first()


def group(conn: Connection, conditions: Mapping[str, object]) -> RowMapping | None:
    """`id` and `name` of the group whose columns have these values."""
    wanted = [_GROUPS.c[column] == value for column, value in conditions.items()]
    return conn.execute(select(_GROUPS.c.id, _GROUPS.c.name).where(*wanted)).mappings().first()


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────

_ROLES = select(
    ROLES.c.id, ROLES.c.name, ROLES.c.description, ROLES.c.permissions, ROLES.c.created_at, ROLES.c.updated_at
)
ROLE_FIELDS: Fields = {
    "id": Field(ROLES.c.id, "number"),
    "name": Field(ROLES.c.name),
    "description": Field(ROLES.c.description),
    "creation_time": Field(ROLES.c.created_at, "time"),
    "update_time": Field(ROLES.c.updated_at, "time"),
}


@dataclass(frozen=True, slots=True)
class StoredRole:
    id: int
    name: str
    description: str
    permissions: frozenset[Permission]
    created_at: int
    updated_at: int

    @property
    def built_in(self) -> bool:
        return self.id < FIRST_CUSTOM_ROLE


def _role(row: RowMapping) -> StoredRole:
    held = OF_ROLE.get(row["id"])
    return StoredRole(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        permissions=read_permissions(row["permissions"]) if held is None else held,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def roles_page(conn: Connection, request: ListRequest) -> tuple[list[StoredRole], int]:
    rows, total = page_of(conn, _ROLES, request, ROLE_FIELDS, default=(ROLES.c.id.asc(),))
    return list(map(_role, rows)), total


def role(conn: Connection, role_id: int, *, lock: bool = False) -> StoredRole | None:
    """With `lock`, nobody changes or deletes it until this transaction ends."""
    found = _ROLES.where(ROLES.c.id == role_id)
    row = conn.execute(found.with_for_update(read=True) if lock else found).mappings().first()
    return None if row is None else _role(row)


def role_named(conn: Connection, name: str) -> int | None:
    return conn.execute(select(ROLES.c.id).where(ROLES.c.name == name)).scalar_one_or_none()


def add_role(conn: Connection, values: Mapping[str, Any]) -> int:
    """The database counts from `FIRST_CUSTOM_ROLE` on."""
    return insert_id(conn, RoleRow, values)


def change_role(conn: Connection, role_id: int, values: Mapping[str, Any]) -> None:
    conn.execute(update(ROLES).where(ROLES.c.id == role_id).values(**values))


def delete_role(conn: Connection, role_id: int) -> None:
    conn.execute(delete(ROLES).where(ROLES.c.id == role_id))


def role_in_use(conn: Connection, role_id: int) -> bool:
    found = select(GRANTS.c.id).where(GRANTS.c.role_id == role_id).limit(1)
    return conn.execute(found).first() is not None
