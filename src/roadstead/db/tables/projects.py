"""Projects and the repositories in them."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import (
    Base,
    BytewiseText,
    Count,
    Id,
    Instant,
    LaterCount,
    LaterFlag,
    LaterText,
    Name,
    RowId,
)


class Project(Base):
    """The unit of ownership: who may do what is decided here."""

    __tablename__ = "projects"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # Anyone may pull.
    public: Mapped[bool]
    # Who made it, and whose quota its repositories count against.  What they may do there, their grant says.
    owner_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[Instant]
    updated_at: Mapped[LaterCount]
    # Neither it nor what is in it can be deleted as a whole.
    deletion_protected: Mapped[LaterFlag]
    # JSON: door → list of networks (`projects/networks.py`); empty is no rule.
    network_rules: Mapped[LaterText]
    # Harbor's project metadata, other than "public": name → text.
    settings: Mapped[dict[str, str]] = mapped_column(JSON, server_default=text("'{}'"))
    # {"items": […], "expires_at": seconds or null}; NULL is the system's.
    cve_allowlist: Mapped[dict[str, object] | None] = mapped_column(JSON)


class Repository(Base):
    """`project/path`, where images of one name live."""

    __tablename__ = "repositories"
    __table_args__ = (
        UniqueConstraint("project_id", "path"),
        # The orders in which people are shown them: in a project, and in the whole registry.
        Index("ix_repositories_made", "project_id", "created_at", "id"),
        Index("ix_repositories_created_at", "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(RowId, ForeignKey("projects.id", ondelete="RESTRICT"))
    path: Mapped[Name]
    created_at: Mapped[Instant]
    description: Mapped[LaterText]
    updated_at: Mapped[LaterCount]
    deletion_protected: Mapped[LaterFlag]
    # Of all its manifests, those that are gone included.
    pull_count: Mapped[LaterCount]


class Label(Base):
    """A word to put on artifacts: the whole registry's, or a project's own."""

    __tablename__ = "labels"
    __table_args__ = (
        Index(
            "ix_labels_global_name",
            "name",
            unique=True,
            sqlite_where=text("project_id IS NULL"),
            postgresql_where=text("project_id IS NULL"),
        ),
        UniqueConstraint("project_id", "name"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    # NULL is the whole registry's.
    project_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[Name]
    description: Mapped[Name]
    # "#0065AB", or empty.
    color: Mapped[Name]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class ArtifactLabel(Base):
    __tablename__ = "artifact_labels"

    manifest_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True
    )
    label_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[Instant]


class ImmutableRule(Base):
    """Tags that may neither move nor go."""

    __tablename__ = "immutable_rules"

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(RowId, ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    disabled: Mapped[bool]
    priority: Mapped[Count]
    # In Harbor's form: {"tag_selectors": […], "scope_selectors": {"repository": […]}}.
    selectors: Mapped[dict[str, object]] = mapped_column(JSON)
    created_at: Mapped[Instant]
