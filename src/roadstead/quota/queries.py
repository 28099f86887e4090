"""The SQL of what is shown of quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    update,
)

from roadstead.db.insert import insert_id, insert_ignore
from roadstead.db.listing import Field, ListRequest, page_of
from roadstead.db.tables import Quota
from roadstead.quota.ledger import CHANGES, REPOSITORIES
from roadstead.quota.limits import (
    DEFAULT,
    NETWORK_RULES_KEY,
    PROJECTS,
    PROJECTS_KEY,
    PROJECTS_OF_USER_KEY,
    QUOTAS,
    STORAGE_LIMIT,
    TAGS_LIMIT,
    USERS,
    effective,
    repositories_key,
)

PROJECT, USER, SYSTEM = "project", "user", "system"
_OWNERS = USERS.alias("owners")
_UNLIMITED_IS_MORE_THAN_ANY: ColumnElement[int] = literal_column(str(2**62))


def _of(reference: str, column: ColumnElement[int]) -> ColumnElement[int | None]:
    """A limit that only quotas of that kind have."""
    return case((QUOTAS.c.reference == reference, column))


_REPOSITORIES_LIMIT = case(
    (PROJECTS.c.public, effective(QUOTAS.c.repositories, repositories_key(public=True, of=PROJECT))),
    else_=effective(QUOTAS.c.repositories, repositories_key(public=False, of=PROJECT)),
)
_PROJECTS_LIMIT = case(
    (QUOTAS.c.reference == SYSTEM, effective(QUOTAS.c.projects, PROJECTS_KEY)),
    else_=effective(QUOTAS.c.projects, PROJECTS_OF_USER_KEY),
)
_USED = QUOTAS.c.charged + func.coalesce(
    select(func.sum(CHANGES.c.bytes))
    .where(CHANGES.c.project_id == QUOTAS.c.project_id)
    .correlate(QUOTAS)
    .scalar_subquery(),
    literal(0, BigInteger()),
)


def _repositories_of_owner(*, public: bool) -> ColumnElement[int]:
    return (
        select(func.count())
        .select_from(REPOSITORIES.join(_OWNED, _OWNED.c.id == REPOSITORIES.c.project_id))
        .where(_OWNED.c.owner_id == QUOTAS.c.user_id, _OWNED.c.public.is_(public))
        .correlate(QUOTAS)
        .scalar_subquery()
    )


_OWNED = PROJECTS.alias("owned")
_HARD: Mapping[str, ColumnElement[Any]] = {
    "storage": _of(PROJECT, STORAGE_LIMIT),
    "repositories": _of(PROJECT, _REPOSITORIES_LIMIT),
    "tags_per_repository": _of(PROJECT, TAGS_LIMIT),
    "network_rules": _of(PROJECT, effective(QUOTAS.c.network_rules, NETWORK_RULES_KEY)),
    "projects": case((QUOTAS.c.reference.in_((USER, SYSTEM)), _PROJECTS_LIMIT)),
    "public_repositories": _of(
        USER, effective(QUOTAS.c.public_repositories, repositories_key(public=True, of=USER))
    ),
    "private_repositories": _of(
        USER, effective(QUOTAS.c.private_repositories, repositories_key(public=False, of=USER))
    ),
}
_COUNTED: Mapping[str, ColumnElement[Any]] = {
    "storage": _of(PROJECT, _USED),
    "repositories": _of(
        PROJECT,
        select(func.count())
        .select_from(REPOSITORIES)
        .where(REPOSITORIES.c.project_id == QUOTAS.c.project_id)
        .correlate(QUOTAS)
        .scalar_subquery(),
    ),
    "projects": case(
        (QUOTAS.c.reference == SYSTEM, select(func.count()).select_from(_OWNED).scalar_subquery()),
        (
            QUOTAS.c.reference == USER,
            select(func.count())
            .select_from(_OWNED)
            .where(_OWNED.c.owner_id == QUOTAS.c.user_id)
            .correlate(QUOTAS)
            .scalar_subquery(),
        ),
    ),
    "public_repositories": _of(USER, _repositories_of_owner(public=True)),
    "private_repositories": _of(USER, _repositories_of_owner(public=False)),
}
HARD = tuple(_HARD)
USED = tuple(_COUNTED)

_SHOWN: Select[*tuple[Any, ...]] = select(
    QUOTAS.c.id,
    QUOTAS.c.reference,
    QUOTAS.c.created_at,
    QUOTAS.c.updated_at,
    func.coalesce(QUOTAS.c.project_id, QUOTAS.c.user_id).label("ref_id"),
    func.coalesce(PROJECTS.c.name, USERS.c.username).label("ref_name"),
    _OWNERS.c.username.label("owner_name"),
    *(column.label(f"hard_{key}") for key, column in _HARD.items()),
    *(column.label(f"used_{key}") for key, column in _COUNTED.items()),
).select_from(
    QUOTAS.outerjoin(PROJECTS, PROJECTS.c.id == QUOTAS.c.project_id)
    .outerjoin(_OWNERS, _OWNERS.c.id == PROJECTS.c.owner_id)
    .outerjoin(USERS, USERS.c.id == QUOTAS.c.user_id)
)
_FIELDS = {
    "id": Field(QUOTAS.c.id, "number"),
    "reference": Field(QUOTAS.c.reference, fuzzy=False),
    "reference_id": Field(
        cast(func.coalesce(QUOTAS.c.project_id, QUOTAS.c.user_id, 0), Text), fuzzy=False, sortable=False
    ),
    "name": Field(func.coalesce(PROJECTS.c.name, USERS.c.username, "")),
    "creation_time": Field(QUOTAS.c.created_at, "time"),
    "update_time": Field(QUOTAS.c.updated_at, "time"),
    "hard.storage": Field(
        case((STORAGE_LIMIT < 0, _UNLIMITED_IS_MORE_THAN_ANY), else_=STORAGE_LIMIT), "number"
    ),
    "used.storage": Field(_USED, "number"),
}
_BY_ID = _SHOWN.where(QUOTAS.c.id == bindparam("quota_id"))
_OF_PROJECT = _SHOWN.where(QUOTAS.c.project_id == bindparam("project_id"))
_LOCK_PROJECT = select(PROJECTS.c.id).where(PROJECTS.c.id == bindparam("project_id")).with_for_update()


def quotas_page(
    conn: Connection, request: ListRequest, *, reference: str, reference_id: str
) -> tuple[list[RowMapping], int]:
    """The page of a list, the newest first; an empty id is any."""
    statement = _SHOWN.where(QUOTAS.c.reference == reference)
    if reference_id:
        statement = statement.where(_FIELDS["reference_id"].column == reference_id)
    default: Sequence[Any] = (QUOTAS.c.created_at.desc(), QUOTAS.c.id.desc())
    return page_of(conn, statement, request, _FIELDS, default=default)


def shown_quota(conn: Connection, quota_id: int) -> RowMapping | None:
    return conn.execute(_BY_ID, {"quota_id": quota_id}).mappings().first()


def shown_quota_of_project(conn: Connection, project_id: int) -> RowMapping | None:
    return conn.execute(_OF_PROJECT, {"project_id": project_id}).mappings().first()


def lock_project(conn: Connection, project_id: int) -> None:
    """Wait for every transaction that charges the project, and let later ones wait."""
    conn.execute(_LOCK_PROJECT, {"project_id": project_id})


def set_limits(conn: Connection, quota_id: int, limits: Mapping[str, int], *, now: int) -> None:
    conn.execute(update(QUOTAS).where(QUOTAS.c.id == quota_id).values(**limits, updated_at=now))


def ensure_quota_of_user(conn: Connection, user_id: int, *, now: int) -> None:
    """Give a person a quota of their own, that follows the defaults, unless they have one."""
    if conn.execute(select(USERS.c.id).where(USERS.c.id == user_id)).first() is not None:
        values = {"reference": USER, "user_id": user_id, **_DEFAULTS, "created_at": now, "updated_at": now}
        insert_ignore(conn, Quota, values, keys=("user_id",))


def ensure_quota_of_system(conn: Connection, *, now: int) -> None:
    """The same for the registry.  Two would do no harm: the first is the one that counts."""
    if conn.execute(select(QUOTAS.c.id).where(QUOTAS.c.reference == SYSTEM)).first() is None:
        insert_id(conn, Quota, {"reference": SYSTEM, **_DEFAULTS, "created_at": now, "updated_at": now})


_DEFAULTS: Mapping[str, int] = {
    "projects": DEFAULT,
    "public_repositories": DEFAULT,
    "private_repositories": DEFAULT,
    "charged": 0,
}
