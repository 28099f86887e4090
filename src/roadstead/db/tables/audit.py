"""Who did what, when, from where, and with what outcome."""

from __future__ import annotations

from sqlalchemy import JSON, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, Count, Id, Instant, Name, OptionalInstant, RowId

_WAITING = text("forwarded_at IS NULL")


class AuditEntry(Base):
    """No foreign keys: an entry outlives whatever it tells of."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_project", "project_id", "id"),
        Index("ix_audit_log_username", "username", "id"),
        Index("ix_audit_log_resource_type", "resource_type", "operation", "id"),
        Index("ix_audit_log_waiting", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    at: Mapped[Instant] = mapped_column(index=True)
    # "create", "delete", "update", "pull", "login", "logout", …
    operation: Mapped[Name]
    # "artifact", "project", "member", "robot", "user", "configuration", …
    resource_type: Mapped[Name]
    # What it was done to, by name.
    resource: Mapped[Name]
    project_id: Mapped[int | None] = mapped_column(RowId)
    user_id: Mapped[int | None] = mapped_column(RowId)
    username: Mapped[Name]
    address: Mapped[Name]
    # "registry", "api", "portal", "cli" or "job".
    door: Mapped[Name]
    request_id: Mapped[Name]
    # "success", "refused" or "failed".
    outcome: Mapped[Name]
    description: Mapped[Name]
    # What changed; never a secret.
    payload: Mapped[dict[str, object] | None] = mapped_column(JSON)
    # How often, where the same was told many times.
    count: Mapped[Count]
    # When it was shipped elsewhere, too.
    forwarded_at: Mapped[OptionalInstant]
