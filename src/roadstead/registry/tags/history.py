"""The SQL of what happened to tags, and of one artifact's tags."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, delete, select

from roadstead.db.list_requests import ListRequest
from roadstead.db.listing import Field, page_of
from roadstead.registry.blobs.queries import MANIFESTS
from roadstead.registry.tags.queries import CHANGES, REMOVED, TAGS

_TAG_FIELDS = {
    "name": Field(TAGS.c.name),
    "push_time": Field(TAGS.c.updated_at, "time"),
    "creation_time": Field(TAGS.c.created_at, "time"),
}
_CHANGE_FIELDS = {
    "id": Field(CHANGES.c.id, "number"),
    "deed": Field(CHANGES.c.deed),
    "digest": Field(CHANGES.c.digest),
    "username": Field(CHANGES.c.username),
    "time": Field(CHANGES.c.at, "time"),
}


def tags_page(
    conn: Connection, manifest: int, repository_id: int, request: ListRequest
) -> tuple[list[RowMapping], int]:
    """The tags of one manifest, those pushed last first."""
    statement = select(
        TAGS.c.manifest_id, TAGS.c.repository_id, TAGS.c.name, TAGS.c.created_at, TAGS.c.updated_at
    ).where(TAGS.c.manifest_id == manifest, TAGS.c.repository_id == repository_id)
    return page_of(conn, statement, request, _TAG_FIELDS, default=[TAGS.c.updated_at.desc(), TAGS.c.name])


def changes_page(
    conn: Connection, repository_id: int, name: str, request: ListRequest
) -> tuple[list[RowMapping], int]:
    """What happened to the tag, the latest first."""
    statement = select(CHANGES).where(CHANGES.c.repository_id == repository_id, CHANGES.c.name == name)
    return page_of(conn, statement, request, _CHANGE_FIELDS, default=[CHANGES.c.id.desc()])


def restorable(
    conn: Connection, repository_id: int, name: str, *, since: int, digest: str | None
) -> tuple[int, str] | None:
    """`(manifest, digest)` that the tag pointed at when it was last deleted, if the manifest is still there."""
    statement = (
        select(MANIFESTS.c.id, MANIFESTS.c.digest)
        .join(
            CHANGES,
            (CHANGES.c.repository_id == MANIFESTS.c.repository_id) & (CHANGES.c.digest == MANIFESTS.c.digest),
        )
        .where(
            CHANGES.c.repository_id == repository_id,
            CHANGES.c.name == name,
            CHANGES.c.deed == REMOVED,
            CHANGES.c.at >= since,
        )
        .order_by(CHANGES.c.id.desc())
        .limit(1)
    )
    if digest is not None:
        statement = statement.where(CHANGES.c.digest == digest)
    row = conn.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1])


def tag_names(conn: Connection, manifest: int, *, limit: int) -> Sequence[str]:
    statement = select(TAGS.c.name).where(TAGS.c.manifest_id == manifest).order_by(TAGS.c.name).limit(limit)
    return conn.execute(statement).scalars().all()


def purge(conn: Connection, *, before: int, limit: int) -> int:
    """Forget what happened before then, at most `limit` of it, and return how much."""
    old = select(CHANGES.c.id).where(CHANGES.c.at < before).order_by(CHANGES.c.at).limit(limit)
    return conn.execute(delete(CHANGES).where(CHANGES.c.id.in_(old))).rowcount
