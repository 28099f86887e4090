"""The SQL of copying artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Table,
    insert,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from roadstead.db.statements import batches
from roadstead.errors import Conflict
from roadstead.registry.blobs.queries import BLOBS, MANIFESTS, REFERENCES, link_blob
from roadstead.registry.manifests.queries import manifest_id
from roadstead.registry.tags.queries import TAGS

_SHOWN = select(MANIFESTS.c.id, MANIFESTS.c.digest, MANIFESTS.c.media_type, MANIFESTS.c.size)


@dataclass(frozen=True, slots=True)
class Copied:
    """A manifest that is to be copied, as it is where it is."""

    id: int
    digest: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Made:
    """The copy, and whether it is news."""

    id: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class LinkedBlobs:
    """All that the manifests keep, and `(id, size)` of those that the repository did not serve yet, by id."""

    all: Sequence[int]
    new: Sequence[tuple[int, int]]


def wanted(conn: Connection, repository_id: int | None, reference: str, *, digest: bool) -> Copied | None:
    statement = _SHOWN.where(MANIFESTS.c.repository_id == repository_id)
    if digest:
        statement = statement.where(MANIFESTS.c.digest == reference)
    else:
        statement = statement.join(TAGS, TAGS.c.manifest_id == MANIFESTS.c.id).where(
            TAGS.c.repository_id == repository_id, TAGS.c.name == reference
        )
    row = conn.execute(statement).one_or_none()
    return None if row is None else Copied(*row)


def family(conn: Connection, repository_id: int, head: Copied, *, most: int) -> list[Copied]:
    """The manifest, its children and what refers to any of them: what is named before what names it."""
    found, fresh = {head.id: head}, [head]
    while fresh:
        nearest = _nearest(conn, repository_id, fresh)
        fresh = [each for each in nearest if each.id not in found]
        found.update((each.id, each) for each in fresh)
        if len(found) > most:
            raise Conflict(
                f"the artifact has more than {most} children and accessories",
                remedy="copy the parts by themselves",
                limit=most,
            )
    return list(reversed(found.values()))


def _nearest(conn: Connection, repository_id: int, manifests: Sequence[Copied]) -> list[Copied]:
    found: dict[int, Copied] = {}
    here = _SHOWN.where(MANIFESTS.c.repository_id == repository_id)
    for ids in batches(each.id for each in manifests):
        children = select(REFERENCES.c.digest).where(
            REFERENCES.c.manifest_id.in_(ids), REFERENCES.c.kind == "manifest"
        )
        subjects = select(MANIFESTS.c.digest).where(MANIFESTS.c.id.in_(ids))
        for condition in (MANIFESTS.c.digest.in_(children), MANIFESTS.c.subject_digest.in_(subjects)):
            found.update((row.id, Copied(*row)) for row in conn.execute(here.where(condition)))
    return list(found.values())


def keep(conn: Connection, manifests: Sequence[Copied]) -> None:
    """Let nobody delete these until this transaction ends: what they name is copied after their rows.

    Raises `Conflict` when one is gone already.
    """
    for ids in batches(each.id for each in manifests):
        statement = (
            select(MANIFESTS.c.id)
            .where(MANIFESTS.c.id.in_(ids))
            .order_by(MANIFESTS.c.id)
            .with_for_update(key_share=True, read=True)
        )
        if len(conn.execute(statement).all()) != len(ids):
            raise Conflict("a part of the artifact was deleted just now", remedy="look again")


def link_blobs(conn: Connection, repository_id: int, manifests: Sequence[int], *, now: int) -> LinkedBlobs:
    """Let the repository serve what these manifests keep."""
    held: dict[int, int] = {}
    for ids in batches(manifests):
        statement = (
            select(BLOBS.c.id, BLOBS.c.size)
            .join(REFERENCES, REFERENCES.c.blob_id == BLOBS.c.id)
            .where(REFERENCES.c.manifest_id.in_(ids))
            .distinct()
        )
        held.update((row[0], row[1]) for row in conn.execute(statement))
    new = [(blob, held[blob]) for blob in sorted(held) if link_blob(conn, repository_id, blob, now=now)]
    return LinkedBlobs(sorted(held), new)


def copy_manifest(conn: Connection, source: Copied, repository_id: int, *, now: int) -> Made:
    """The same manifest in another repository, byte for byte."""
    own = {"id", "repository_id", "pushed_at", "pulled_at", "pull_count"}
    kept = [column for column in MANIFESTS.c if column.name not in own]
    row = select(
        literal(repository_id, BigInteger()),
        literal(now, BigInteger()),
        literal(0, BigInteger()),
        *kept,
    ).where(MANIFESTS.c.id == source.id)
    names = ["repository_id", "pushed_at", "pull_count", *(column.name for column in kept)]
    statement = (
        _dialect(conn, MANIFESTS).from_select(names, row).on_conflict_do_nothing().returning(MANIFESTS.c.id)
    )
    made = conn.execute(statement).scalar_one_or_none()
    if made is None:
        known = manifest_id(conn, repository_id, source.digest)
        if known is None:
            raise Conflict("the artifact was deleted just now", remedy="look again")
        return Made(known, fresh=False)
    references: Select[*tuple[Any, ...]] = select(
        literal(made, BigInteger()), REFERENCES.c.digest, REFERENCES.c.kind, REFERENCES.c.blob_id
    ).where(REFERENCES.c.manifest_id == source.id)
    conn.execute(insert(REFERENCES).from_select(["manifest_id", "digest", "kind", "blob_id"], references))
    return Made(made, fresh=True)


def _dialect(conn: Connection, table: Table) -> Any:
    return postgresql.insert(table) if conn.dialect.name == "postgresql" else sqlite.insert(table)
