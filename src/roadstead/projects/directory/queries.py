"""The SQL of lists of projects, and of changes to one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)

from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import Repository, Robot, User
from roadstead.db.tables.grants import IN_PROJECT
from roadstead.projects.access import GRANTS, GROUP_MEMBERS, PROJECTS, USERS
from roadstead.projects.directory.rules import PROTECTED, PUBLIC
from roadstead.projects.roles import Role
from roadstead.projects.visibility import VISIBLE

REPOSITORIES = cast("Table", Repository.__table__)
_ROBOTS = cast("Table", Robot.__table__)
_OWNERS = cast("Table", User.__table__).alias("owners")

# From the most that a role may do to the least.
_BY_STRENGTH = (Role.PROJECT_ADMIN, Role.MAINTAINER, Role.DEVELOPER, Role.GUEST, Role.LIMITED_GUEST)

_REPOSITORY_COUNT = (
    select(func.count())
    .select_from(REPOSITORIES)
    .where(REPOSITORIES.c.project_id == PROJECTS.c.id)
    .correlate(PROJECTS)
    .scalar_subquery()
)
_PROJECTS = select(
    PROJECTS.c.id,
    PROJECTS.c.name,
    PROJECTS.c.owner_id,
    _OWNERS.c.username.label("owner_name"),
    PROJECTS.c.public,
    PROJECTS.c.deletion_protected,
    PROJECTS.c.settings,
    PROJECTS.c.cve_allowlist,
    PROJECTS.c.created_at,
    PROJECTS.c.updated_at,
    _REPOSITORY_COUNT.label("repo_count"),
).select_from(PROJECTS.outerjoin(_OWNERS, _OWNERS.c.id == PROJECTS.c.owner_id))
FIELDS: Fields = {
    "project_id": Field(PROJECTS.c.id, "number"),
    "name": Field(PROJECTS.c.name),
    "owner_id": Field(PROJECTS.c.owner_id, "number"),
    "public": Field(PROJECTS.c.public, "flag"),
    "creation_time": Field(PROJECTS.c.created_at, "time"),
    "update_time": Field(PROJECTS.c.updated_at, "time"),
    "repo_count": Field(_REPOSITORY_COUNT, "number"),
}


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """What is shown of a project.  Times are in milliseconds since 1970."""

    id: int
    name: str
    owner_id: int | None
    owner_name: str
    metadata: Mapping[str, str]
    # As `allowlists` keeps it; None is none of its own.
    cve_allowlist: Mapping[str, Any] | None
    created_at: int
    updated_at: int
    repo_count: int
    # The caller's, the one with the most rights first.
    role_ids: Sequence[int] = ()


def metadata_of(row: RowMapping) -> dict[str, str]:
    columns = {PUBLIC: row["public"], PROTECTED: row["deletion_protected"]}
    return {
        **{key: "true" if value else "false" for key, value in columns.items()},
        **(row["settings"] or {}),
    }


def _info(row: RowMapping) -> ProjectInfo:
    return ProjectInfo(
        id=row["id"],
        name=row["name"],
        owner_id=row["owner_id"],
        owner_name=row["owner_name"] or "",
        metadata=metadata_of(row),
        cve_allowlist=row["cve_allowlist"],
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        repo_count=row["repo_count"],
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """Which projects a list is to show, of those that the caller may see."""

    user_id: int | None
    admin: bool
    # A part of the name; the owner's whole name.
    name: str = ""
    owner: str = ""
    public: bool | None = None
    # Network rules, as stored, that shut the caller out.
    closed: Collection[str] = ()


def _listed(shown: Shown) -> Select[*tuple[Any, ...]]:
    found = _PROJECTS.where(VISIBLE)
    if shown.name:
        found = found.where(PROJECTS.c.name.icontains(shown.name, autoescape=True))
    if shown.owner:
        found = found.where(_OWNERS.c.username == shown.owner)
    if shown.public is not None:
        found = found.where(PROJECTS.c.public == shown.public)
    if shown.closed:
        found = found.where(PROJECTS.c.network_rules.not_in(shown.closed))
    return found.params(user_id=shown.user_id, admin=shown.admin)


def projects_page(conn: Connection, shown: Shown, request: ListRequest) -> tuple[list[ProjectInfo], int]:
    """A page, and how many there are on all.  Three statements, however many projects they show."""
    rows, total = page_of(
        conn, _listed(shown), request, FIELDS, default=(PROJECTS.c.name.asc(), PROJECTS.c.id.asc())
    )
    return with_roles(conn, shown.user_id, map(_info, rows)), total


def project_info(conn: Connection, project: int, user_id: int | None) -> ProjectInfo | None:
    row = conn.execute(_PROJECTS.where(PROJECTS.c.id == project)).mappings().first()
    return None if row is None else with_roles(conn, user_id, [_info(row)])[0]


_ROLES = (
    select(GRANTS.c.project_id, GRANTS.c.role_id)
    .distinct()
    .where(
        GRANTS.c.place == IN_PROJECT,
        GRANTS.c.role_id.is_not(None),
        GRANTS.c.project_id.in_(bindparam("projects", expanding=True)),
        or_(
            GRANTS.c.user_id == bindparam("user_id"),
            GRANTS.c.group_id.in_(
                select(GROUP_MEMBERS.c.group_id).where(GROUP_MEMBERS.c.user_id == bindparam("user_id"))
            ),
        ),
    )
)


def with_roles(conn: Connection, user_id: int | None, found: Iterable[ProjectInfo]) -> list[ProjectInfo]:
    """The same, with the roles that the user has in each.  One statement for all of them."""
    projects = list(found)
    if user_id is None or not projects:
        return projects
    held: dict[int, list[int]] = {}
    values = {"projects": [project.id for project in projects], "user_id": user_id}
    for project, role in conn.execute(_ROLES, values):
        held.setdefault(project, []).append(role)
    return [
        replace(project, role_ids=sorted(held.get(project.id, ()), key=_strength)) for project in projects
    ]


def _strength(role: int) -> tuple[int, int]:
    place = _BY_STRENGTH.index(Role(role)) if role in _BY_STRENGTH else len(_BY_STRENGTH)
    return place, role


# ── changes ─────────────────────────────────────────────────────────────────────────────────────────────

_FOR_CHANGE = select(
    PROJECTS.c.id,
    PROJECTS.c.name,
    PROJECTS.c.owner_id,
    PROJECTS.c.public,
    PROJECTS.c.deletion_protected,
    PROJECTS.c.settings,
    PROJECTS.c.network_rules,
).where(PROJECTS.c.id == bindparam("project"))
# Others may go on to add what belongs to it, and nobody else to change it.
_LOCKED = _FOR_CHANGE.with_for_update(key_share=True)


def project_row(conn: Connection, project: int) -> RowMapping | None:
    return conn.execute(_FOR_CHANGE, {"project": project}).mappings().first()


def lock_project(conn: Connection, project: int) -> RowMapping | None:
    """The project, which nobody else changes until this transaction ends."""
    return conn.execute(_LOCKED, {"project": project}).mappings().first()


def set_columns(conn: Connection, project: int, values: Mapping[str, object], *, now: int) -> None:
    conn.execute(update(PROJECTS).where(PROJECTS.c.id == project).values(**values, updated_at=now))


_FIRST_REPOSITORY = (
    select(REPOSITORIES.c.id).where(REPOSITORIES.c.project_id == bindparam("project")).limit(1)
)


def has_repositories(conn: Connection, project: int) -> bool:
    return conn.execute(_FIRST_REPOSITORY, {"project": project}).first() is not None


def delete_project(conn: Connection, project: int) -> None:
    """With its robots, members, labels and limits.  Its repositories must be gone."""
    robots = select(_ROBOTS.c.account_id).where(_ROBOTS.c.project_id == project)
    conn.execute(delete(USERS).where(USERS.c.id.in_(robots)))
    conn.execute(delete(PROJECTS).where(PROJECTS.c.id == project))


_ROBOTS_OF = (
    select(USERS.c.id, USERS.c.username, USERS.c.credential_epoch, _ROBOTS.c.name)
    .join(_ROBOTS, _ROBOTS.c.account_id == USERS.c.id)
    .where(_ROBOTS.c.project_id == bindparam("project"))
)


def rename_robots(conn: Connection, project: int, old: str, new: str) -> list[str]:
    """Give the project's robots the names that go with its new one, and end what was signed for the old ones.

    Returns the names.
    """
    names = []
    for robot in conn.execute(_ROBOTS_OF, {"project": project}).mappings().all():
        prefix = robot["username"].removesuffix(f"{old}+{robot['name']}")
        names.append(f"{prefix}{new}+{robot['name']}")
        values = {"username": names[-1], "credential_epoch": robot["credential_epoch"] + 1}
        conn.execute(update(USERS).where(USERS.c.id == robot["id"]).values(**values))
    return names


_MEMBER_COUNTS = (
    select(GRANTS.c.role_id, func.count())
    .where(
        GRANTS.c.place == IN_PROJECT,
        GRANTS.c.project_id == bindparam("project"),
        GRANTS.c.role_id.is_not(None),
    )
    .group_by(GRANTS.c.role_id)
)


def member_counts(conn: Connection, project: int) -> dict[int, int]:
    """How many members have which role."""
    rows = conn.execute(_MEMBER_COUNTS, {"project": project}).all()
    return {row[0]: row[1] for row in rows}


_FIRST_ADMINISTRATOR = select(func.min(USERS.c.id)).where(USERS.c.admin, USERS.c.disabled.is_(False))


def first_administrator(conn: Connection) -> int | None:
    """Who owns what a robot makes."""
    return conn.execute(_FIRST_ADMINISTRATOR).scalar_one_or_none()
