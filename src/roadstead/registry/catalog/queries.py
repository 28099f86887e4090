"""The SQL of the catalog."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, bindparam, or_, select

from roadstead.projects.access import PROJECTS
from roadstead.projects.visibility import PULLS_ALL, PULLS_SOME
from roadstead.registry.repositories import REPOSITORIES

# By project, then by path: both by index.
_PAGE = (
    select(PROJECTS.c.name, REPOSITORIES.c.path, PROJECTS.c.network_rules, PULLS_ALL.label("whole"))
    .join(REPOSITORIES, REPOSITORIES.c.project_id == PROJECTS.c.id)
    .where(
        PROJECTS.c.name >= bindparam("project"),
        or_(PROJECTS.c.name > bindparam("project"), REPOSITORIES.c.path > bindparam("path")),
        PULLS_SOME,
    )
    .order_by(PROJECTS.c.name, REPOSITORIES.c.path)
    .limit(bindparam("limit"))
)


def repositories_after(
    conn: Connection, project: str, path: str, *, user_id: int | None, admin: bool, limit: int
) -> Sequence[Row[str, str, str, bool]]:
    """`(name, path, network_rules, whole)` of the repositories that the user may see and that follow the one given.

    Where `whole` is false, the user may pull from some repositories of the project, and maybe from this one.
    """
    values = {"project": project, "path": path, "user_id": user_id, "admin": admin, "limit": limit}
    return conn.execute(_PAGE, values).all()
