"""The SQL of blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    Connection,
    Row,
    Table,
    bindparam,
    delete,
    exists,
    null,
    select,
    update,
)

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_id_or_none, insert_ignore
from roadstead.db.statements import PreparedStatement, batches, numbered, slots
from roadstead.db.tables import Blob, Manifest, ManifestReference, RepositoryBlob
from roadstead.errors import Conflict
from roadstead.projects.access import PROJECTS, with_access
from roadstead.projects.visibility import PULLS_ALL
from roadstead.quota.ledger import credit_blob
from roadstead.registry.repositories import REPOSITORIES, repository_source

BLOBS: Table = Blob.__table__  # type: ignore[assignment]  # declared as FromClause
LINKS: Table = RepositoryBlob.__table__  # type: ignore[assignment]  # declared as FromClause
MANIFESTS: Table = Manifest.__table__  # type: ignore[assignment]  # declared as FromClause
REFERENCES: Table = ManifestReference.__table__  # type: ignore[assignment]  # declared as FromClause

# Access facts, the repository's id, then the blob if the repository may serve it.
READABLE_BLOB = PreparedQuery(
    with_access(
        REPOSITORIES.c.id,
        LINKS.c.blob_id,
        BLOBS.c.size,
        BLOBS.c.storage_key,
        BLOBS.c.unreferenced_since,
        source=repository_source()
        .outerjoin(BLOBS, BLOBS.c.digest == bindparam("digest"))
        .outerjoin(LINKS, (LINKS.c.repository_id == REPOSITORIES.c.id) & (LINKS.c.blob_id == BLOBS.c.id)),
    )
)

_BLOB = PreparedStatement(select(BLOBS.c.id).where(BLOBS.c.digest == bindparam("digest")))

_STORED = PreparedStatement(
    select(BLOBS.c.size, BLOBS.c.storage_key).where(BLOBS.c.digest == bindparam("digest"))
)
_MOVE = PreparedStatement(
    update(BLOBS)
    .where(BLOBS.c.digest == bindparam("of_digest"), BLOBS.c.storage_key == bindparam("old_key"))
    .values(storage_key=bindparam("new_key"))
)
_PROMISE = PreparedStatement(
    update(BLOBS)
    .where(BLOBS.c.id == bindparam("blob_id"), BLOBS.c.unreferenced_since < bindparam("now"))
    .values(unreferenced_since=bindparam("now"))
)

_LINK = (
    select(BLOBS.c.id, BLOBS.c.size)
    .join(LINKS, LINKS.c.blob_id == BLOBS.c.id)
    .join(REPOSITORIES, REPOSITORIES.c.id == LINKS.c.repository_id)
    .join(PROJECTS, PROJECTS.c.id == REPOSITORIES.c.project_id)
    .where(BLOBS.c.digest == bindparam("digest"))
    .limit(1)
)
# A project with network rules of its own is asked by name, where the address is looked at.
_READABLE_LINK = _LINK.where(PULLS_ALL, PROJECTS.c.network_rules == "")
_LINK_IN_PROJECT = _LINK.where(PROJECTS.c.name == bindparam("project"))
_LINK_IN = _LINK_IN_PROJECT.where(REPOSITORIES.c.path == bindparam("path"))

_LINKED = (
    select(BLOBS.c.id, BLOBS.c.size)
    .join(LINKS, LINKS.c.blob_id == BLOBS.c.id)
    .where(LINKS.c.repository_id == bindparam("repository_id"), BLOBS.c.digest == bindparam("digest"))
    .with_for_update(of=LINKS)
)
_USERS_IN_REPOSITORY = (
    select(MANIFESTS.c.digest)
    .join(REFERENCES, REFERENCES.c.manifest_id == MANIFESTS.c.id)
    .where(
        MANIFESTS.c.repository_id == bindparam("repository_id"), REFERENCES.c.blob_id == bindparam("blob_id")
    )
    .limit(1)
)
_UNLINK = delete(LINKS).where(
    LINKS.c.repository_id == bindparam("repository_id"), LINKS.c.blob_id == bindparam("blob_id")
)


@lru_cache(maxsize=64)
def _hold(count: int) -> PreparedStatement:
    return PreparedStatement(
        update(BLOBS)
        .where(BLOBS.c.id.in_(slots(count)), BLOBS.c.unreferenced_since.is_not(None))
        .values(unreferenced_since=null())
    )


@lru_cache(maxsize=64)
def _lock(count: int) -> PreparedStatement:
    return PreparedStatement(
        select(BLOBS.c.id).where(BLOBS.c.id.in_(slots(count))).order_by(BLOBS.c.id).with_for_update()
    )


@lru_cache(maxsize=64)
def _release(count: int) -> PreparedStatement:
    used = exists().where(REFERENCES.c.blob_id == BLOBS.c.id)
    return PreparedStatement(
        update(BLOBS)
        .where(BLOBS.c.id.in_(slots(count)), BLOBS.c.unreferenced_since.is_(None), ~used)
        .values(unreferenced_since=bindparam("now"))
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where to look for a blob to mount.

    In one repository, or, without a path, in all of a project: the caller's right to pull there has been checked.
    Without a project: wherever the user may pull, as the database says.
    """

    project: str | None = None
    path: str | None = None
    user_id: int | None = None
    admin: bool = False


def blob_id(conn: Connection, digest: str) -> int | None:
    """The blob of that digest, whoever may read it."""
    found: int | None = _BLOB.scalar(conn, {"digest": digest})
    return found


def insert_blob(conn: Connection, digest: str, *, size: int, storage_key: str, now: int) -> tuple[int, bool]:
    """The blob's id, and whether these bytes are kept; else the digest was there, and is promised anew."""
    values = {
        "digest": digest,
        "size": size,
        "storage_key": storage_key,
        "created_at": now,
        "unreferenced_since": now,
    }
    fresh = insert_id_or_none(conn, Blob, values, keys=("digest",))
    if fresh is not None:
        return fresh, True
    known = blob_id(conn, digest)
    if known is None:
        raise Conflict("the blob was removed just now", remedy="push it again")
    promise_blob(conn, known, now=now)
    return known, False


def stored_blob(conn: Connection, digest: str) -> tuple[int, str] | None:
    """`(size, storage key)` of the blob."""
    row = _STORED.first(conn, {"digest": digest})
    return None if row is None else (row[0], row[1])


def move_blob(conn: Connection, digest: str, *, old_key: str, new_key: str) -> bool:
    """Let the blob's bytes be those of another key; False if they are not where they were."""
    return _MOVE.run(conn, {"of_digest": digest, "old_key": old_key, "new_key": new_key}) == 1


def link_blob(conn: Connection, repository_id: int, blob_id: int, *, now: int) -> bool:
    """Let the repository serve the blob; whether that is news."""
    values = {"repository_id": repository_id, "blob_id": blob_id, "created_at": now}
    return insert_ignore(conn, RepositoryBlob, values, keys=("repository_id", "blob_id"))


def promise_blob(conn: Connection, blob_id: int, *, now: int) -> bool:
    """Keep an unreferenced blob for a grace period from now; False if there was nothing to do."""
    return _PROMISE.run(conn, {"blob_id": blob_id, "now": now}) > 0


def readable_blob(conn: Connection, digest: str, source: Source) -> Row[int, int] | None:
    """`(id, size)` of the blob if it is there."""
    if source.project is None:
        values = {"digest": digest, "user_id": source.user_id, "admin": source.admin}
        return conn.execute(_READABLE_LINK, values).one_or_none()
    if source.path is None:
        return conn.execute(_LINK_IN_PROJECT, {"digest": digest, "project": source.project}).one_or_none()
    place = {"digest": digest, "project": source.project, "path": source.path}
    return conn.execute(_LINK_IN, place).one_or_none()


def linked_blob(conn: Connection, repository_id: int, digest: str) -> Row[int, int] | None:
    """`(id, size)` of the blob, if the repository may serve it.

    Waits for manifests that are being pushed with it, and makes later ones wait: see `linked_blobs`.
    """
    return conn.execute(_LINKED, {"repository_id": repository_id, "digest": digest}).one_or_none()


def manifest_using(conn: Connection, repository_id: int, blob_id: int) -> str | None:
    """The digest of some manifest of the repository that names the blob."""
    values = {"repository_id": repository_id, "blob_id": blob_id}
    return conn.execute(_USERS_IN_REPOSITORY, values).scalar_one_or_none()


def unlink_blob(conn: Connection, repository_id: int, blob_id: int, size: int) -> None:
    """Let the repository serve the blob no more; its project is charged for it no more, unless another does."""
    conn.execute(_UNLINK, {"repository_id": repository_id, "blob_id": blob_id})
    credit_blob(conn, repository_id, blob_id, size)


def lock_blobs(conn: Connection, blob_ids: Sequence[int]) -> None:
    """Wait for everybody else who counts references to these blobs.  In order of id, so nobody waits in a ring."""
    for some in batches(blob_ids):
        _lock(len(some)).all(conn, numbered(some))


def release_unused(conn: Connection, blob_ids: Sequence[int], *, now: int) -> None:
    """Start the grace period of those that no manifest names any more."""
    for some in batches(blob_ids):
        _release(len(some)).run(conn, {**numbered(some), "now": now})


def hold_blobs(conn: Connection, blob_ids: Sequence[int]) -> None:
    """A manifest names these blobs now: their grace period ends."""
    for some in batches(blob_ids):
        _hold(len(some)).run(conn, numbered(some))
