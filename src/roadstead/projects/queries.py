"""The SQL of projects."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_ignore
from roadstead.db.tables import Project
from roadstead.projects.access import PROJECTS, with_access

ACCESS = PreparedQuery(with_access())

_ID_BY_NAME = select(PROJECTS.c.id).where(PROJECTS.c.name == bindparam("name"))


def project_id(conn: Connection, name: str) -> int | None:
    return conn.execute(_ID_BY_NAME, {"name": name}).scalar_one_or_none()


def create_project(conn: Connection, name: str, *, public: bool, owner_id: int | None, now: int) -> bool:
    """Create it unless it is there; whether this call did."""
    values = {"name": name, "public": public, "owner_id": owner_id, "created_at": now}
    return insert_ignore(conn, Project, values, keys=("name",))
