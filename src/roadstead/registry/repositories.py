"""The SQL of repositories: finding and making them."""

from __future__ import annotations

from sqlalchemy import Connection, FromClause, Table, bindparam, select

from roadstead.db.insert import insert_id_or_none
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Repository
from roadstead.errors import Conflict
from roadstead.projects.access import PROJECTS, access_source
from roadstead.quota.counts import check_repository
from roadstead.quota.refusals import CountExceeded

REPOSITORIES: Table = Repository.__table__  # type: ignore[assignment]  # declared as FromClause

_ID = PreparedStatement(
    select(REPOSITORIES.c.id).where(
        REPOSITORIES.c.project_id == bindparam("project_id"), REPOSITORIES.c.path == bindparam("path")
    )
)
# The lock that the first row which refers to it would take: taken first, nobody waits in a ring for who deletes it.
_KEEP = PreparedStatement(
    select(REPOSITORIES.c.id)
    .where(REPOSITORIES.c.project_id == bindparam("project_id"), REPOSITORIES.c.path == bindparam("path"))
    .with_for_update(key_share=True, read=True)
)


def repository_source() -> FromClause:
    """Access facts, and the repository `:path` where it exists."""
    return access_source().outerjoin(
        REPOSITORIES,
        (REPOSITORIES.c.project_id == PROJECTS.c.id) & (REPOSITORIES.c.path == bindparam("path")),
    )


def repository_id(conn: Connection, project_id: int, path: str) -> int | None:
    found: int | None = _ID.scalar(conn, {"project_id": project_id, "path": path})
    return found


def kept_repository_id(conn: Connection, project_id: int, path: str) -> int | None:
    """The same; until this transaction ends, the repository is there, in this project and of this name."""
    found: int | None = _KEEP.scalar(conn, {"project_id": project_id, "path": path})
    return found


def ensure_repository(conn: Connection, project_id: int, path: str, *, now: int) -> int:
    """The repository's id; made if it was not there, and if the quotas allow one more.

    It stays where it is until this transaction ends.
    """
    found = kept_repository_id(conn, project_id, path)
    if found is None:
        found = _create(conn, project_id, path, now=now)
    if found is None:
        # Somebody else made it at the same moment.
        found = kept_repository_id(conn, project_id, path)
    if found is None:
        raise Conflict("the repository was removed just now", remedy="push again")
    return found


def _create(conn: Connection, project_id: int, path: str, *, now: int) -> int | None:
    """None: somebody else made it meanwhile."""
    try:
        check_repository(conn, project_id)
    except CountExceeded:
        # Whoever took the last place, while we waited, may have made this very one.
        if repository_id(conn, project_id, path) is None:
            raise
        return None
    values = {"project_id": project_id, "path": path, "created_at": now}
    return insert_id_or_none(conn, Repository, values, keys=("project_id", "path"))
