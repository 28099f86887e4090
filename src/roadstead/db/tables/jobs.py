"""The durable queue, and what is put into it by the clock."""

from __future__ import annotations

from sqlalchemy import JSON, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import (
    Base,
    BytewiseText,
    Id,
    Instant,
    Name,
    OptionalInstant,
    OptionalName,
)

QUEUED = "queued"
RUNNING = "running"
SUCCEEDED = "succeeded"
FAILED = "failed"
CANCELLED = "cancelled"

_QUEUED = text("state = 'queued'")
_RUNNING = text("state = 'running'")
_ACTIVE = text("state IN ('queued', 'running')")


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_ready",
            "queue",
            text("priority DESC"),
            "run_at",
            "id",
            sqlite_where=_QUEUED,
            postgresql_where=_QUEUED,
        ),
        Index(
            "ix_jobs_unique_key", "unique_key", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
        ),
        Index("ix_jobs_lock", "lock", unique=True, sqlite_where=_RUNNING, postgresql_where=_RUNNING),
        Index("ix_jobs_lease", "lease_until", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    queue: Mapped[Name]
    kind: Mapped[Name]
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    state: Mapped[Name]
    priority: Mapped[int]
    run_at: Mapped[Instant]
    attempt: Mapped[int]
    max_attempts: Mapped[int]
    # At most one queued or running job has it.
    unique_key: Mapped[OptionalName]
    # At most one running job holds it.
    lock: Mapped[OptionalName]
    # Which claim is the living one: a worker whose token is gone has lost the job.
    token: Mapped[OptionalName]
    owner: Mapped[OptionalName]
    lease_until: Mapped[OptionalInstant]
    progress: Mapped[dict[str, object] | None] = mapped_column(JSON)
    error: Mapped[OptionalName]
    created_at: Mapped[Instant]
    finished_at: Mapped[OptionalInstant] = mapped_column(index=True)


class Schedule(Base):
    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    kind: Mapped[Name]
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    every_seconds: Mapped[int]
    next_at: Mapped[Instant] = mapped_column(index=True)
    # Six fields, of which the first is seconds, in UTC: then it says when, and `every_seconds` is only for a node of
    # the release before, which does not know of it.
    cron: Mapped[OptionalName]
