"""Tags: names that move."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Id, Instant, Name, OptionalName, RowId


class Tag(Base):
    __tablename__ = "tags"

    # The primary key is also the index that tag lists page by.
    repository_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    manifest_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("manifests.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class TagChange(Base):
    """What happened to a tag, and to whose hands."""

    __tablename__ = "tag_changes"
    __table_args__ = (
        Index("ix_tag_changes_tag", "repository_id", "name", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    repository_id: Mapped[int] = mapped_column(RowId, ForeignKey("repositories.id", ondelete="CASCADE"))
    name: Mapped[Name]
    # "created", "moved", "deleted" or "restored".
    deed: Mapped[Name]
    # What it pointed at afterwards, or, when it was deleted, until then.
    digest: Mapped[Name]
    # What it pointed at before, when it moved.
    previous: Mapped[OptionalName]
    username: Mapped[Name]
    at: Mapped[Instant] = mapped_column(index=True)
