"""The SQL of manifests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_id_or_none
from roadstead.db.statements import PreparedStatement, batches, numbered, slots
from roadstead.db.tables import Manifest
from roadstead.errors import Conflict
from roadstead.projects.access import PROJECTS, with_access
from roadstead.quota.ledger import credit_manifest
from roadstead.quota.limits import STORAGE_LIMIT, TAGS_LIMIT, of_project
from roadstead.registry.blobs.queries import BLOBS, LINKS, MANIFESTS, REFERENCES
from roadstead.registry.repositories import REPOSITORIES, repository_source
from roadstead.registry.tags.queries import TAGS

_FOUND = (REPOSITORIES.c.id, MANIFESTS.c.id, MANIFESTS.c.digest, MANIFESTS.c.media_type, MANIFESTS.c.payload)

# Access facts, the repository's id, then the manifest: one statement for a pull.
BY_TAG = PreparedQuery(
    with_access(
        *_FOUND,
        source=repository_source()
        .outerjoin(TAGS, (TAGS.c.repository_id == REPOSITORIES.c.id) & (TAGS.c.name == bindparam("tag")))
        .outerjoin(MANIFESTS, MANIFESTS.c.id == TAGS.c.manifest_id),
    )
)
BY_DIGEST = PreparedQuery(
    with_access(
        *_FOUND,
        source=repository_source().outerjoin(
            MANIFESTS,
            (MANIFESTS.c.repository_id == REPOSITORIES.c.id) & (MANIFESTS.c.digest == bindparam("digest")),
        ),
    )
)

# Access facts, then how many bytes the project may hold, and how many tags each of its repositories.
PUSH_ACCESS = PreparedQuery(
    with_access(of_project(STORAGE_LIMIT, PROJECTS.c.id), of_project(TAGS_LIMIT, PROJECTS.c.id))
)

_OF_DIGEST = select(MANIFESTS.c.id).where(
    MANIFESTS.c.repository_id == bindparam("repository_id"), MANIFESTS.c.digest == bindparam("digest")
)
_ID = PreparedStatement(_OF_DIGEST)
_LOCK = PreparedStatement(_OF_DIGEST.with_for_update())
_INSERT_REFERENCE = PreparedStatement(
    insert(REFERENCES).values(
        {name: bindparam(name) for name in ("manifest_id", "digest", "kind", "blob_id")}
    )
)
_UNHELD = PreparedStatement(
    select(REFERENCES.c.digest).where(
        REFERENCES.c.manifest_id == bindparam("manifest_id"), REFERENCES.c.blob_id.is_(None)
    )
)
_HOLD = PreparedStatement(
    update(REFERENCES)
    .where(
        REFERENCES.c.manifest_id == bindparam("of_manifest"), REFERENCES.c.digest == bindparam("of_digest")
    )
    .values(kind="blob", blob_id=bindparam("held_blob"))
)
_HELD = select(REFERENCES.c.blob_id).where(
    REFERENCES.c.manifest_id == bindparam("manifest_id"), REFERENCES.c.blob_id.is_not(None)
)
_DELETE = PreparedStatement(
    delete(MANIFESTS)
    .where(MANIFESTS.c.id == bindparam("manifest_id"))
    .returning(MANIFESTS.c.repository_id, MANIFESTS.c.size)
)
_PULLED = (
    update(MANIFESTS)
    .where(MANIFESTS.c.id == bindparam("manifest_id"))
    .values(pull_count=MANIFESTS.c.pull_count + bindparam("count"), pulled_at=bindparam("at"))
)
_REPOSITORY_PULLED = (
    update(REPOSITORIES)
    .where(
        REPOSITORIES.c.id
        == select(MANIFESTS.c.repository_id)
        .where(MANIFESTS.c.id == bindparam("manifest_id"))
        .scalar_subquery()
    )
    .values(pull_count=REPOSITORIES.c.pull_count + bindparam("count"))
)


@lru_cache(maxsize=64)
def _linked(count: int) -> PreparedStatement:
    return PreparedStatement(
        select(BLOBS.c.digest, BLOBS.c.id)
        .join(LINKS, LINKS.c.blob_id == BLOBS.c.id)
        .where(LINKS.c.repository_id == bindparam("repository_id"), BLOBS.c.digest.in_(slots(count)))
        .with_for_update(of=LINKS, key_share=True, read=True)
    )


@lru_cache(maxsize=64)
def _present(count: int) -> PreparedStatement:
    return PreparedStatement(
        select(MANIFESTS.c.digest).where(
            MANIFESTS.c.repository_id == bindparam("repository_id"), MANIFESTS.c.digest.in_(slots(count))
        )
    )


@lru_cache(maxsize=64)
def _sizes(count: int) -> PreparedStatement:
    return PreparedStatement(
        select(MANIFESTS.c.total_size).where(
            MANIFESTS.c.repository_id == bindparam("repository_id"), MANIFESTS.c.digest.in_(slots(count))
        )
    )


@dataclass(frozen=True, slots=True)
class NewManifest:
    digest: str
    media_type: str
    artifact_type: str | None
    subject_digest: str | None
    payload: bytes
    # Of all that it names and of itself; 0 is not known.
    total_size: int = 0


def manifest_id(conn: Connection, repository_id: int, digest: str) -> int | None:
    found: int | None = _ID.scalar(conn, {"repository_id": repository_id, "digest": digest})
    return found


def locked_manifest_id(conn: Connection, repository_id: int, digest: str) -> int | None:
    """The same, for whoever is about to delete it: nobody puts a tag on it, nor copies it, from now on."""
    found: int | None = _LOCK.scalar(conn, {"repository_id": repository_id, "digest": digest})
    return found


def insert_manifest(conn: Connection, repository_id: int, new: NewManifest, *, now: int) -> tuple[int, bool]:
    """The manifest's id, and whether it is new to the repository."""
    values = {
        "repository_id": repository_id,
        "digest": new.digest,
        "media_type": new.media_type,
        "artifact_type": new.artifact_type,
        "subject_digest": new.subject_digest,
        "size": len(new.payload),
        "payload": new.payload,
        "pushed_at": now,
        "pulled_at": None,
        "pull_count": 0,
        "total_size": new.total_size,
    }
    fresh = insert_id_or_none(conn, Manifest, values, keys=("repository_id", "digest"))
    if fresh is not None:
        return fresh, True
    known = manifest_id(conn, repository_id, new.digest)
    if known is None:
        raise Conflict("the manifest was deleted just now", remedy="push it again")
    return known, False


def insert_references(
    conn: Connection, manifest: int, *, blobs: Sequence[tuple[str, int | None]], children: Collection[str]
) -> None:
    """What the manifest names: `(digest, blob id or None)`, and the digests of other manifests."""
    rows: list[dict[str, object]] = [
        {"manifest_id": manifest, "digest": digest, "kind": "blob", "blob_id": blob} for digest, blob in blobs
    ]
    rows += [
        {"manifest_id": manifest, "digest": digest, "kind": "manifest", "blob_id": None}
        for digest in children
    ]
    _INSERT_REFERENCE.many(conn, rows)


def complete_references(conn: Connection, manifest: int, blobs: Mapping[str, int]) -> list[int]:
    """Let the manifest hold those of `blobs` that were missing when it first came.  Returns their ids."""
    missing = [digest for (digest,) in _UNHELD.all(conn, {"manifest_id": manifest}) if digest in blobs]
    rows = [{"of_manifest": manifest, "of_digest": d, "held_blob": blobs[d]} for d in missing]
    _HOLD.many(conn, rows)
    return [blobs[digest] for digest in missing]


def linked_blobs(conn: Connection, repository_id: int, digests: Collection[str]) -> dict[str, int]:
    """Those of `digests` that are blobs the repository may serve, with their ids.

    They stay so until the transaction ends: whoever would take one out of the repository waits.
    """
    found: dict[str, int] = {}
    for some in batches(digests):
        rows = _linked(len(some)).all(conn, {"repository_id": repository_id, **numbered(some)})
        found.update((digest, blob_id) for digest, blob_id in rows)
    return found


def present_manifests(conn: Connection, repository_id: int, digests: Collection[str]) -> set[str]:
    """Those of `digests` that are manifests of the repository."""
    found: set[str] = set()
    for some in batches(digests):
        rows = _present(len(some)).all(conn, {"repository_id": repository_id, **numbered(some)})
        found.update(digest for (digest,) in rows)
    return found


def total_sizes(conn: Connection, repository_id: int, digests: Collection[str]) -> list[int]:
    """The sizes with all they name of those of `digests` that are manifests of the repository."""
    found: list[int] = []
    for some in batches(digests):
        rows = _sizes(len(some)).all(conn, {"repository_id": repository_id, **numbered(some)})
        found += [size for (size,) in rows]
    return found


def held_blobs(conn: Connection, manifest: int) -> list[int]:
    """The blobs that the manifest keeps."""
    return [blob for blob in conn.execute(_HELD, {"manifest_id": manifest}).scalars() if blob is not None]


def delete_manifest(conn: Connection, manifest: int) -> bool:
    """Remove it, with its references and every tag on it; its project is charged for it no more."""
    gone = _DELETE.first(conn, {"manifest_id": manifest})
    if gone is not None:
        credit_manifest(conn, gone[0], gone[1])
    return gone is not None


def record_pulls(conn: Connection, pulls: Sequence[tuple[int, int, int]]) -> None:
    """Add `(manifest id, count, when)` to the statistics; manifests that are gone are passed over."""
    if pulls:
        rows = [{"manifest_id": m, "count": count, "at": at} for m, count, at in sorted(pulls)]
        conn.execute(_PULLED, rows)
        conn.execute(_REPOSITORY_PULLED, rows)


def tags_of(conn: Connection, manifest: int) -> list[str]:
    return list(conn.execute(select(TAGS.c.name).where(TAGS.c.manifest_id == manifest)).scalars())
