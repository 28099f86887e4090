"""Keys that the installation made for itself, shared by all its workers and replicas."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, Bytes, BytewiseText, Instant, OptionalInstant


class Secret(Base):
    __tablename__ = "secrets"

    # The key id that tokens carry, or the name of a secret that is not a token key.
    id: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    # "token-signing" (PKCS#8 PEM, ES256) or "upload-state" (32 random bytes).
    purpose: Mapped[str] = mapped_column(BytewiseText, index=True)
    value: Mapped[Bytes]
    created_at: Mapped[Instant]
    # A retired key still verifies what it signed, and signs nothing new.
    retired_at: Mapped[OptionalInstant]
