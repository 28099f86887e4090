"""Manifests, byte for byte as they came, and what they name."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import (
    Base,
    Bytes,
    BytewiseText,
    Count,
    Id,
    Instant,
    LaterCount,
    Name,
    OptionalInstant,
    OptionalName,
    RowId,
)


class Manifest(Base):
    __tablename__ = "manifests"
    __table_args__ = (
        UniqueConstraint("repository_id", "digest"),
        Index(
            "ix_manifests_subject",
            "repository_id",
            "subject_digest",
            "digest",
            sqlite_where=text("subject_digest IS NOT NULL"),
            postgresql_where=text("subject_digest IS NOT NULL"),
        ),
        Index("ix_manifests_pushed", "repository_id", "pushed_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    repository_id: Mapped[int] = mapped_column(RowId, ForeignKey("repositories.id", ondelete="CASCADE"))
    # `algorithm:hex`, as the client named it; sha256 where it named none.
    digest: Mapped[Name]
    media_type: Mapped[Name]
    # What a referrers list says of it: its own artifactType, else an image's config.mediaType.
    artifact_type: Mapped[OptionalName]
    subject_digest: Mapped[OptionalName]
    size: Mapped[Count]
    payload: Mapped[Bytes]
    pushed_at: Mapped[Instant]
    pulled_at: Mapped[OptionalInstant]
    pull_count: Mapped[Count]
    # Of all that it names and of itself; 0 is not known, of a manifest from before this was kept.
    total_size: Mapped[LaterCount]
    # What people are told of it beyond its bytes, from the manifest and its config; NULL until somebody looked.
    details: Mapped[dict[str, object] | None] = mapped_column(JSON)


class ManifestReference(Base):
    """One thing that a manifest names.

    `blob_id` is set when the repository held the blob, and then keeps it from being collected.
    """

    __tablename__ = "manifest_references"
    __table_args__ = (
        Index("ix_manifest_references_blob_id", "blob_id"),
        Index("ix_manifest_references_digest", "digest"),
    )

    manifest_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    # "blob" or "manifest"; a child of an index that turns out to be a blob is "blob".
    kind: Mapped[Name]
    blob_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("blobs.id", ondelete="RESTRICT"))
