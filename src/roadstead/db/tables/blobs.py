"""Blobs: which bytes exist, where they are kept, and which repositories may serve them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Count, Id, Instant, OptionalInstant, RowId


class Blob(Base):
    """A row means that the bytes are there, whole and durable, under `storage_key`."""

    __tablename__ = "blobs"
    __table_args__ = (
        Index(
            "ix_blobs_unreferenced_since",
            "unreferenced_since",
            sqlite_where=text("unreferenced_since IS NOT NULL"),
            postgresql_where=text("unreferenced_since IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    # `algorithm:hex`, as the client named it.
    digest: Mapped[str] = mapped_column(BytewiseText, unique=True)
    size: Mapped[Count]
    storage_key: Mapped[str] = mapped_column(BytewiseText, unique=True)
    created_at: Mapped[Instant]
    # NULL while a manifest names the blob; else when that ended or was last promised to a client.
    unreferenced_since: Mapped[OptionalInstant]


class RepositoryBlob(Base):
    """The right to read a blob through a repository."""

    __tablename__ = "repository_blobs"

    repository_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True
    )
    blob_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("blobs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    created_at: Mapped[Instant]
