"""Tags: names that move."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Instant, RowId


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
