"""How much may be kept, and how much is."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Count, Id, Instant, LaterCount, Limit, Name, RowId


class Quota(Base):
    """The limits of a project, of a person, or of the whole registry, and what a project has been charged.

    A limit of -1 is none; -2 is the default for its kind, from the configuration.
    """

    __tablename__ = "quotas"

    id: Mapped[Id]
    # "project", "user" or "system".
    reference: Mapped[Name]
    project_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("projects.id", ondelete="CASCADE"), unique=True
    )
    user_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="CASCADE"), unique=True
    )
    # Of a project: bytes.
    storage: Mapped[Limit]
    # Of a project: how many repositories it has; tags in each of them; networks in its rules.
    repositories: Mapped[Limit]
    tags_per_repository: Mapped[Limit]
    network_rules: Mapped[Limit]
    # Of a person: projects they own, and repositories in them.
    projects: Mapped[Limit]
    public_repositories: Mapped[Limit]
    private_repositories: Mapped[Limit]
    # Bytes charged to a project so far.  With the rows of `quota_changes`, and without what uploads and holds
    # have reserved, it is exactly what the project holds.
    charged: Mapped[LaterCount]
    # Whether the project has been told that it is nearly full.
    warned: Mapped[LaterCount]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class QuotaChange(Base):
    """A charge, or what was given back, that is not yet counted in `quotas.charged`.

    Transactions that keep bytes only ever add rows here, so that no pusher waits for another.
    """

    __tablename__ = "quota_changes"

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(RowId, ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    bytes: Mapped[Count]


class QuotaHold(Base):
    """Bytes that are charged to the project already, for something that is about to come and is no upload.

    Whoever took it gives it back or spends it; one whose process died is given back when it has expired.
    """

    __tablename__ = "quota_holds"

    # Random, 32 hexadecimal digits.
    id: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    project_id: Mapped[int] = mapped_column(RowId, ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    bytes: Mapped[Count]
    expires_at: Mapped[Instant] = mapped_column(index=True)


class ProjectBlob(Base):
    """A blob that some repository of the project serves: it is charged once, while this row is there."""

    __tablename__ = "project_blobs"

    project_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    blob_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("blobs.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
