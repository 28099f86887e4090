"""Limits on how many: projects, repositories, tags, networks.  Each function is a question asked in the transaction
that is about to add one, and raises `CountExceeded`.

Where no limit is set, a question is one statement and locks nothing.  Where one is, whoever adds waits for the one
before to commit, so that two never take the last place.  What is locked is the row of the project, person or
repository that the limit is about, and not `quotas`: pushes of bytes do not pass here, only the first push to a
repository, a tag that is new, and people who make projects.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, select, text, true

from roadstead.db.statements import PreparedStatement, batches, numbered, slots
from roadstead.projects.creation import NewProject
from roadstead.quota.ledger import REPOSITORIES
from roadstead.quota.limits import (
    NETWORK_RULES_KEY,
    PROJECTS,
    PROJECTS_KEY,
    PROJECTS_OF_USER_KEY,
    QUOTAS,
    TAGS,
    TAGS_LIMIT,
    USERS,
    configured,
    effective,
    repositories_key,
)
from roadstead.quota.refusals import CountExceeded

_OWNERS = QUOTAS.alias("owners_quotas")
# Of PostgreSQL's advisory locks: there is no row that stands for the whole registry.
_REGISTRY_LOCK = 0x526F_6164_5175_6F74

_ASK = "ask an administrator for a higher limit"


def _first_lock(statement: Select[*tuple[Any, ...]]) -> PreparedStatement:
    # Not the key: rows that only refer to this one are added meanwhile.
    return PreparedStatement(statement.with_for_update(key_share=True))


_LOCK_PROJECT = _first_lock(select(PROJECTS.c.id).where(PROJECTS.c.id == bindparam("project_id")))
_LOCK_USER = _first_lock(select(USERS.c.id).where(USERS.c.id == bindparam("user_id")))
_LOCK_REPOSITORY = _first_lock(
    select(REPOSITORIES.c.id).where(REPOSITORIES.c.id == bindparam("repository_id"))
)


def _count(statement: Select[*tuple[Any, ...]]) -> PreparedStatement:
    """How many rows there are; `:most` are counted at most, whatever the table holds."""
    return PreparedStatement(select(func.count()).select_from(statement.limit(bindparam("most")).subquery()))


# ── projects ────────────────────────────────────────────────────────────────────────────────────────────

_PROJECTS_LIMIT = PreparedStatement(
    select(
        func.coalesce(
            select(effective(QUOTAS.c.projects, PROJECTS_KEY))
            .where(QUOTAS.c.reference == "system")
            .order_by(QUOTAS.c.id)
            .limit(1)
            .scalar_subquery(),
            configured(PROJECTS_KEY),
        ),
        func.coalesce(
            select(effective(QUOTAS.c.projects, PROJECTS_OF_USER_KEY))
            .where(QUOTAS.c.user_id == bindparam("user_id"))
            .scalar_subquery(),
            configured(PROJECTS_OF_USER_KEY),
        ),
    )
)
_PROJECTS = _count(select(PROJECTS.c.id))
_PROJECTS_OF_USER = _count(select(PROJECTS.c.id).where(PROJECTS.c.owner_id == bindparam("user_id")))


def check_project(conn: Connection, new: NewProject) -> None:
    """May there be one project more, and may its owner have it?"""
    limits = _PROJECTS_LIMIT.first(conn, {"user_id": new.owner_id or 0})
    assert limits is not None  # noqa: S101 - a SELECT without a FROM has a row
    in_system, of_user = limits
    if in_system >= 0:
        if conn.dialect.name == "postgresql":
            conn.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _REGISTRY_LOCK})
        if _PROJECTS.scalar(conn, {"most": in_system + 1}) >= in_system:
            raise CountExceeded("projects in this registry", limit=in_system, remedy=f"delete one, or {_ASK}")
    if of_user >= 0 and new.owner_id is not None:
        owner = {"user_id": new.owner_id}
        _LOCK_USER.first(conn, owner)
        if _PROJECTS_OF_USER.scalar(conn, {**owner, "most": of_user + 1}) >= of_user:
            raise CountExceeded("projects that you own", limit=of_user, remedy=f"delete one, or {_ASK}")


# ── repositories ────────────────────────────────────────────────────────────────────────────────────────


def _by_visibility(public: ColumnElement[bool], of: str, *columns: ColumnElement[int]) -> ColumnElement[int]:
    """The limit for public or for private repositories, as `public` says; the columns in that order."""
    both = [
        func.coalesce(effective(column, key), configured(key))
        for column, key in zip(
            columns,
            (repositories_key(public=True, of=of), repositories_key(public=False, of=of)),
            strict=True,
        )
    ]
    return case((public, both[0]), else_=both[1])


def _repository_limits(public: ColumnElement[bool]) -> PreparedStatement:
    return PreparedStatement(
        select(
            PROJECTS.c.name,
            PROJECTS.c.public,
            PROJECTS.c.owner_id,
            _by_visibility(public, "project", QUOTAS.c.repositories, QUOTAS.c.repositories),
            _by_visibility(public, "user", _OWNERS.c.public_repositories, _OWNERS.c.private_repositories),
        )
        .select_from(
            PROJECTS.outerjoin(QUOTAS, QUOTAS.c.project_id == PROJECTS.c.id).outerjoin(
                _OWNERS, _OWNERS.c.user_id == PROJECTS.c.owner_id
            )
        )
        .where(PROJECTS.c.id == bindparam("project_id"))
    )


_LIMITS_AS_IT_IS = _repository_limits(PROJECTS.c.public)
_LIMITS_AS_IT_WILL_BE = _repository_limits(bindparam("public", type_=PROJECTS.c.public.type) == true())
_REPOSITORIES = _count(select(REPOSITORIES.c.id).where(REPOSITORIES.c.project_id == bindparam("project_id")))
_REPOSITORIES_OF_USER = _count(
    select(REPOSITORIES.c.id)
    .join(PROJECTS, PROJECTS.c.id == REPOSITORIES.c.project_id)
    .where(
        PROJECTS.c.owner_id == bindparam("user_id"),
        PROJECTS.c.public == bindparam("public"),
        PROJECTS.c.id != bindparam("but_for"),
    )
)


def check_repository(conn: Connection, project_id: int) -> None:
    """May the project have one repository more, and may its owner?"""
    row = _LIMITS_AS_IT_IS.first(conn, {"project_id": project_id})
    if row is not None:
        _check_repositories(conn, project_id, row, public=bool(row[1]), more=1)


def check_arrival(conn: Connection, project_id: int) -> None:
    """May the project have all its repositories, one of which came from another project just now?"""
    row = _LIMITS_AS_IT_IS.first(conn, {"project_id": project_id})
    if row is not None:
        _check_repositories(conn, project_id, row, public=bool(row[1]), more=0)


def check_visibility(conn: Connection, project_id: int, public: bool) -> None:
    """May all the repositories of the project be public, or private, from now on?"""
    row = _LIMITS_AS_IT_WILL_BE.first(conn, {"project_id": project_id, "public": public})
    if row is not None:
        _check_repositories(conn, project_id, row, public=public, more=0)


def _check_repositories(conn: Connection, project_id: int, row: Any, *, public: bool, more: int) -> None:
    name, _was_public, owner_id, of_project, of_user = row
    kind = "public" if public else "private"
    here = {"project_id": project_id}
    if of_project < 0 and (of_user < 0 or owner_id is None):
        return
    _LOCK_PROJECT.first(conn, here)
    # Nobody has more than they may, save for limits that were lowered: counting ends soon.
    most = max(of_project, of_user) + 1
    count = _REPOSITORIES.scalar(conn, {**here, "most": most}) + more
    if 0 <= of_project < count:
        raise CountExceeded(
            f"{kind} repositories in the project {name}", limit=of_project, remedy=f"delete one, or {_ASK}"
        )
    if of_user >= 0 and owner_id is not None:
        owner = {"user_id": owner_id}
        _LOCK_USER.first(conn, owner)
        others = {**owner, "public": public, "but_for": project_id, "most": of_user + 1}
        if count + _REPOSITORIES_OF_USER.scalar(conn, others) > of_user:
            raise CountExceeded(
                f"{kind} repositories in the projects of the owner of {name}",
                limit=of_user,
                remedy=f"delete one, or {_ASK}",
            )


# ── tags and networks ───────────────────────────────────────────────────────────────────────────────────

_TAGS_LIMIT = PreparedStatement(
    select(TAGS_LIMIT)
    .select_from(QUOTAS)
    .join(REPOSITORIES, REPOSITORIES.c.project_id == QUOTAS.c.project_id)
    .where(REPOSITORIES.c.id == bindparam("repository_id"))
)
_TAGS = _count(select(TAGS.c.name).where(TAGS.c.repository_id == bindparam("repository_id")))
_NETWORKS_LIMIT = PreparedStatement(
    select(effective(QUOTAS.c.network_rules, NETWORK_RULES_KEY)).where(
        QUOTAS.c.project_id == bindparam("project_id")
    )
)


def check_tags(conn: Connection, repository_id: int, names: Collection[str]) -> None:
    """May the repository have these tags, as well as those that it has?"""
    limit = _TAGS_LIMIT.scalar(conn, {"repository_id": repository_id})
    if limit is None or limit < 0 or not _new_tags(conn, repository_id, names):
        return
    _LOCK_REPOSITORY.first(conn, {"repository_id": repository_id})
    count = _TAGS.scalar(conn, {"repository_id": repository_id, "most": limit + 1})
    if count + _new_tags(conn, repository_id, names) > limit:
        raise CountExceeded("tags in a repository", limit=limit, remedy=f"delete a tag, or {_ASK}")


def _new_tags(conn: Connection, repository_id: int, names: Collection[str]) -> int:
    known = 0
    for some in batches(names):
        statement = select(func.count()).where(
            TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name.in_(slots(len(some)))
        )
        known += conn.execute(statement, {"repository_id": repository_id, **numbered(some)}).scalar_one()
    return len(set(names)) - known


def check_networks(conn: Connection, project_id: int, count: int) -> None:
    """May the project have so many networks in its rules?  Its row is locked by whoever asks."""
    limit = _NETWORKS_LIMIT.scalar(conn, {"project_id": project_id})
    if limit is not None and 0 <= limit < count:
        raise CountExceeded("networks in a project's rules", limit=limit, remedy=f"name fewer, or {_ASK}")
