"""The SQL of uploads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, Text, bindparam, cast, delete, func, insert, select, update

from roadstead.db.database import PreparedQuery
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Upload
from roadstead.projects.access import PROJECTS, with_access
from roadstead.quota.ledger import BLOBS, PROJECT_BLOBS, credit_upload
from roadstead.quota.limits import STORAGE_LIMIT, of_project
from roadstead.registry.repositories import REPOSITORIES, repository_source

UPLOADS: Table = Upload.__table__  # type: ignore[assignment]  # declared as FromClause


@dataclass(frozen=True, slots=True)
class Session:
    """An upload's row, as it was when it was read.

    The four fields of `version` change with everything that happens to the bytes: a change is made only where
    all four are still what the decision was based on.
    """

    id: str
    repository_id: int
    storage_key: str | None
    store_state: Mapping[str, object]
    algorithm: str
    size: int
    hash_state: str | None
    claim: str | None
    # Bytes that the project is charged for already.  Not part of the version: it says nothing of the bytes.
    reserved: int = 0

    @property
    def version(self) -> dict[str, object]:
        return {
            "seen_id": self.id,
            "seen_size": self.size,
            "seen_key": self.storage_key or "",
            "seen_claim": self.claim or "",
        }


_UNCHANGED = (
    (UPLOADS.c.id == bindparam("seen_id"))
    & (UPLOADS.c.size == bindparam("seen_size"))
    & (func.coalesce(UPLOADS.c.storage_key, "") == bindparam("seen_key"))
    & (func.coalesce(UPLOADS.c.claim, "") == bindparam("seen_claim"))
)
_INSERT = PreparedStatement(insert(UPLOADS).values({c.name: bindparam(c.name) for c in UPLOADS.c}))
# Access facts, then the upload, if `:uploader` began it in this very repository, and the project's limit.
SESSION = PreparedQuery(
    with_access(
        UPLOADS.c.id,
        UPLOADS.c.repository_id,
        UPLOADS.c.storage_key,
        cast(UPLOADS.c.store_state, Text),
        UPLOADS.c.algorithm,
        UPLOADS.c.size,
        UPLOADS.c.hash_state,
        UPLOADS.c.claim,
        UPLOADS.c.reserved,
        of_project(STORAGE_LIMIT, PROJECTS.c.id),
        source=repository_source().outerjoin(
            UPLOADS,
            (UPLOADS.c.repository_id == REPOSITORIES.c.id)
            & (UPLOADS.c.id == bindparam("upload"))
            & (func.coalesce(UPLOADS.c.user_id, 0) == bindparam("uploader")),
        ),
    )
)
# The size of a blob that the project keeps already.
KEPT_SIZE = PreparedQuery(
    select(BLOBS.c.size)
    .join(PROJECT_BLOBS, PROJECT_BLOBS.c.blob_id == BLOBS.c.id)
    .where(PROJECT_BLOBS.c.project_id == bindparam("project_id"), BLOBS.c.digest == bindparam("digest"))
)
_CLAIM = PreparedStatement(
    update(UPLOADS).where(_UNCHANGED).values(claim=bindparam("new_claim"), updated_at=bindparam("now"))
)
_ADVANCE = PreparedStatement(
    update(UPLOADS)
    .where(_UNCHANGED)
    .values(
        storage_key=bindparam("new_key"),
        store_state=bindparam("new_state", type_=UPLOADS.c.store_state.type),
        size=bindparam("new_size"),
        hash_state=bindparam("new_hash"),
        claim=bindparam("new_claim"),
        updated_at=bindparam("now"),
    )
)
_REMOVE = PreparedStatement(delete(UPLOADS).where(_UNCHANGED).returning(UPLOADS.c.reserved))
_NTH_OF_USER = PreparedStatement(
    select(UPLOADS.c.id)
    .where(UPLOADS.c.user_id == bindparam("user_id"))
    .limit(1)
    .offset(bindparam("skipped"))
)
_ABANDONED = (
    select(
        UPLOADS.c.id,
        UPLOADS.c.storage_key,
        UPLOADS.c.store_state,
        UPLOADS.c.repository_id,
        UPLOADS.c.reserved,
    )
    .where(UPLOADS.c.updated_at < bindparam("before"))
    .order_by(UPLOADS.c.updated_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def insert_upload(
    conn: Connection, upload_id: str, repository_id: int, *, user_id: int | None, algorithm: str, now: int
) -> None:
    _INSERT.run(
        conn,
        {
            "id": upload_id,
            "repository_id": repository_id,
            "user_id": user_id,
            "storage_key": None,
            "store_state": {},
            "algorithm": algorithm,
            "size": 0,
            "hash_state": None,
            "claim": None,
            "started_at": now,
            "updated_at": now,
            "reserved": 0,
        },
    )


def has_uploads(conn: Connection, user_id: int, *, at_least: int) -> bool:
    """Whether the user has that many unfinished uploads."""
    return _NTH_OF_USER.first(conn, {"user_id": user_id, "skipped": at_least - 1}) is not None


def session_of(columns: Sequence[Any]) -> Session | None:
    """The upload in a row of `SESSION`, after the access facts and before the limit."""
    if columns[0] is None:
        return None
    upload_id, repository, key, state, *rest, _limit = columns
    return Session(upload_id, repository, key, json.loads(state), *rest)


def claim(conn: Connection, seen: Session, new_claim: str, *, now: int) -> bool:
    """Say that we write to the upload's bytes now.  False: something else happened to it first."""
    return _CLAIM.run(conn, {**seen.version, "new_claim": new_claim, "now": now}) == 1


def advance(conn: Connection, seen: Session, new: Session, *, now: int) -> bool:
    """Record what is durable now.  False: something else happened to the upload first."""
    values = {
        **seen.version,
        "new_key": new.storage_key,
        "new_state": dict(new.store_state),
        "new_size": new.size,
        "new_hash": new.hash_state,
        "new_claim": new.claim,
        "now": now,
    }
    return _ADVANCE.run(conn, values) == 1


def remove(conn: Connection, seen: Session) -> int | None:
    """Forget the upload, and return what it had reserved.  None: something else happened to it first."""
    found: int | None = _REMOVE.scalar(conn, seen.version)
    return found


def remove_abandoned(
    conn: Connection, *, before: int, limit: int
) -> Sequence[Row[str, str | None, dict[str, object], int, int]]:
    """Forget uploads untouched since `before`, at most `limit` of them, with all that they had reserved."""
    rows = conn.execute(_ABANDONED, {"before": before, "limit": limit}).all()
    if rows:
        conn.execute(delete(UPLOADS).where(UPLOADS.c.id.in_([row.id for row in rows])))
        for row in rows:
            credit_upload(conn, row.repository_id, row.reserved)
    return rows
