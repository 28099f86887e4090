"""The SQL of the catalog."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, true

from roadstead.projects.access import PROJECTS
from roadstead.registry.repositories import REPOSITORIES

_VISIBLE = or_(
    bindparam("admin", type_=PROJECTS.c.public.type) == true(),
    PROJECTS.c.owner_id == bindparam("user_id", type_=PROJECTS.c.owner_id.type),
    PROJECTS.c.public == true(),
)
# By project, then by path: both by index.
_PAGE = (
    select(PROJECTS.c.name, REPOSITORIES.c.path)
    .join(REPOSITORIES, REPOSITORIES.c.project_id == PROJECTS.c.id)
    .where(
        PROJECTS.c.name >= bindparam("project"),
        or_(PROJECTS.c.name > bindparam("project"), REPOSITORIES.c.path > bindparam("path")),
        and_(_VISIBLE),
    )
    .order_by(PROJECTS.c.name, REPOSITORIES.c.path)
    .limit(bindparam("limit"))
)


def repositories_after(
    conn: Connection, project: str, path: str, *, user_id: int | None, admin: bool, limit: int
) -> Sequence[Row[str, str]]:
    """`(project, path)` of the repositories that the user may see and that follow the one given."""
    values = {"project": project, "path": path, "user_id": user_id, "admin": admin, "limit": limit}
    return conn.execute(_PAGE, values).all()
