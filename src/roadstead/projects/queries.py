"""The SQL of projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sqlalchemy import Connection, Table, bindparam, select

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_id, insert_id_or_none
from roadstead.db.tables import GrantRow, Project, Quota
from roadstead.db.tables.grants import IN_PROJECT, IN_SYSTEM
from roadstead.projects.access import GRANT_TEXT, GRANTS, PROJECTS, ROLES, USERS, access_source, with_access
from roadstead.projects.roles import Role

QUOTAS: Table = cast("Table", Quota.__table__)
# A limit that is the default for its kind, from the configuration.
DEFAULT_LIMIT = -2

ACCESS = PreparedQuery(with_access())
# Access facts, then the project's name: by name, and by id.
NAMED_ACCESS = PreparedQuery(with_access(PROJECTS.c.name))
ACCESS_BY_ID = PreparedQuery(
    with_access(PROJECTS.c.name, source=access_source(PROJECTS.c.id == bindparam("project_id")))
)
# Grants to an account that hold in the registry as a whole: `GRANT_TEXT`, one a row.
SYSTEM_GRANTS = PreparedQuery(
    select(GRANT_TEXT)
    .select_from(GRANTS.outerjoin(ROLES, ROLES.c.id == GRANTS.c.role_id))
    .where(GRANTS.c.user_id == bindparam("user_id"), GRANTS.c.place == IN_SYSTEM)
)

# What kind of account it is.
KIND = PreparedQuery(select(USERS.c.kind).where(USERS.c.id == bindparam("user_id")))

_ID_BY_NAME = select(PROJECTS.c.id).where(PROJECTS.c.name == bindparam("name"))


def project_id(conn: Connection, name: str) -> int | None:
    return conn.execute(_ID_BY_NAME, {"name": name}).scalar_one_or_none()


def create_project(
    conn: Connection,
    name: str,
    *,
    public: bool,
    owner_id: int | None,
    storage: int = DEFAULT_LIMIT,
    deletion_protected: bool = False,
    settings: Mapping[str, str] | None = None,
    cve_allowlist: Mapping[str, object] | None = None,
    now: int,
) -> int | None:
    """The new project's id, its owner made its administrator; None if there is one of that name.

    `creation.create` is what also checks and tells.
    """
    values: dict[str, object] = {
        "name": name,
        "public": public,
        "owner_id": owner_id,
        "deletion_protected": deletion_protected,
        "settings": dict(settings or {}),
        "created_at": now,
        "updated_at": now,
    }
    if cve_allowlist is not None:
        values["cve_allowlist"] = dict(cve_allowlist)
    created = insert_id_or_none(conn, Project, values, keys=("name",))
    if created is None:
        return None
    quota = {
        "reference": "project",
        "project_id": created,
        "storage": storage,
        "repositories": DEFAULT_LIMIT,
        "tags_per_repository": DEFAULT_LIMIT,
        "network_rules": DEFAULT_LIMIT,
        "charged": 0,
        "created_at": now,
        "updated_at": now,
    }
    insert_id(conn, Quota, quota)
    if owner_id is not None:
        grant(conn, created, user_id=owner_id, role_id=Role.PROJECT_ADMIN, now=now)
    return created


def grant(
    conn: Connection,
    project: int,
    *,
    user_id: int | None = None,
    group_id: int | None = None,
    role_id: int,
    repositories: str = "",
    now: int,
) -> int:
    """Make somebody a member of the project, and return the membership's id."""
    values = {
        "place": IN_PROJECT,
        "project_id": project,
        "user_id": user_id,
        "group_id": group_id,
        "role_id": int(role_id),
        "permissions": "",
        "repositories": repositories,
        "created_at": now,
    }
    return insert_id(conn, GrantRow, values)
