"""Projects and the repositories in them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Id, Instant, Name, RowId


class Project(Base):
    """The unit of ownership: who may do what is decided here."""

    __tablename__ = "projects"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # Anyone may pull.
    public: Mapped[bool]
    owner_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[Instant]


class Repository(Base):
    """`project/path`, where images of one name live."""

    __tablename__ = "repositories"
    __table_args__ = (UniqueConstraint("project_id", "path"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(RowId, ForeignKey("projects.id", ondelete="RESTRICT"))
    path: Mapped[Name]
    created_at: Mapped[Instant]
