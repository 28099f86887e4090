"""The SQL of referrers."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, and_, bindparam, or_, select

from roadstead.db.database import PreparedQuery
from roadstead.projects.access import with_access
from roadstead.registry.blobs.queries import MANIFESTS
from roadstead.registry.repositories import REPOSITORIES, repository_source

# Access facts, then one row for each manifest whose subject is `:subject`, NULL where there is none.
PAGE = PreparedQuery(
    with_access(
        MANIFESTS.c.id,
        MANIFESTS.c.digest,
        MANIFESTS.c.media_type,
        MANIFESTS.c.artifact_type,
        MANIFESTS.c.size,
        source=repository_source().outerjoin(
            MANIFESTS,
            and_(
                MANIFESTS.c.repository_id == REPOSITORIES.c.id,
                MANIFESTS.c.subject_digest == bindparam("subject"),
                MANIFESTS.c.digest > bindparam("after"),
                or_(
                    bindparam("artifact_type", type_=MANIFESTS.c.artifact_type.type) == "",
                    MANIFESTS.c.artifact_type == bindparam("artifact_type"),
                ),
            ),
        ),
    )
    .order_by(MANIFESTS.c.digest)
    .limit(bindparam("limit"))
)


def payloads(conn: Connection, manifests: Collection[int]) -> dict[int, bytes]:
    """The bytes of some manifests, by id."""
    rows = conn.execute(select(MANIFESTS.c.id, MANIFESTS.c.payload).where(MANIFESTS.c.id.in_(manifests)))
    return {row.id: row.payload for row in rows}
