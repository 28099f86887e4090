"""The SQL of tags."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Row, Table, bindparam, delete, func, literal_column, select

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import upsert
from roadstead.db.tables import Tag
from roadstead.projects.access import with_access
from roadstead.registry.repositories import REPOSITORIES, repository_source

TAGS: Table = Tag.__table__  # type: ignore[assignment]  # declared as FromClause

# Access facts, then the repository's id.
REPOSITORY = PreparedQuery(with_access(REPOSITORIES.c.id, source=repository_source()))
_NAMES = (
    select(TAGS.c.name)
    .where(TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name > bindparam("after"))
    .order_by(TAGS.c.name)
    .limit(bindparam("limit"))
    .subquery()
)
# A page of names in one value, commas between them: a row for each would cost more than all the rest.
SEPARATOR = ","
# A bound separator would be written into the text at each use; a literal is there from the start.
_JOINED = func.aggregate_strings(_NAMES.c.name, literal_column(f"'{SEPARATOR}'"))  # type: ignore[arg-type]  # takes either
PAGE = PreparedQuery(select(_JOINED))

_TAG = select(TAGS.c.manifest_id).where(
    TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name == bindparam("name")
)
_DELETE = delete(TAGS).where(
    TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name == bindparam("name")
)


def put_tags(conn: Connection, repository_id: int, names: Iterable[str], manifest: int, *, now: int) -> None:
    """Point each tag at the manifest, whatever it pointed at before.  In order, so that two pushes never deadlock."""
    for name in sorted(names):
        values = {
            "repository_id": repository_id,
            "name": name,
            "manifest_id": manifest,
            "created_at": now,
            "updated_at": now,
        }
        upsert(conn, Tag, values, keys=("repository_id", "name"), update=("manifest_id", "updated_at"))


def tagged_manifest(conn: Connection, repository_id: int, name: str) -> Row[int] | None:
    return conn.execute(_TAG, {"repository_id": repository_id, "name": name}).one_or_none()


def delete_tag(conn: Connection, repository_id: int, name: str) -> bool:
    return conn.execute(_DELETE, {"repository_id": repository_id, "name": name}).rowcount > 0
