"""Settings that are changed while the registry runs, by administrators."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Instant, Name


class Configuration(Base):
    __tablename__ = "configurations"

    key: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    # JSON.
    value: Mapped[Name]
    updated_at: Mapped[Instant]
