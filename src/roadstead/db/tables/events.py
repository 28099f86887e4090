"""The outbox: what happened, written in the transaction that made it happen."""

from __future__ import annotations

from sqlalchemy import JSON, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, Id, Instant, Name, RowId


class Event(Base):
    __tablename__ = "events"
    __table_args__ = (
        Index(
            "ix_events_waiting",
            "id",
            sqlite_where=text("NOT dispatched"),
            postgresql_where=text("NOT dispatched"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    # A dotted name: "manifest.pushed", "manifest.pulled", "tag.moved", …
    kind: Mapped[Name]
    occurred_at: Mapped[Instant] = mapped_column(index=True)
    # No foreign key: an event outlives what it tells of.
    project_id: Mapped[int | None] = mapped_column(RowId)
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    dispatched: Mapped[bool]
