"""Uploads under way.  All their state is here, so that any worker or replica continues any of them."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import (
    Base,
    BytewiseText,
    Count,
    Instant,
    LaterCount,
    Name,
    OptionalName,
    RowId,
)


class Upload(Base):
    __tablename__ = "uploads"

    # A random UUID, 32 hexadecimal digits.
    id: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    repository_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("repositories.id", ondelete="CASCADE"), index=True
    )
    # Of an account that is gone, NULL: nobody goes on with the upload, and its expiry deletes the bytes too.
    user_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    # Where the durable bytes are; NULL while there are none.
    storage_key: Mapped[str | None] = mapped_column(BytewiseText, unique=True)
    # The store's own notes, opaque to all others.
    store_state: Mapped[dict[str, object]] = mapped_column(JSON)
    algorithm: Mapped[Name]
    # Bytes that are durable.  The hash below covers exactly these.
    size: Mapped[Count]
    # The sealed state of the running hash; NULL means: read the bytes again.
    hash_state: Mapped[OptionalName]
    # Set while a request writes.  Whoever sets it last owns the bytes; the others' work is thrown away.
    claim: Mapped[OptionalName]
    started_at: Mapped[Instant]
    updated_at: Mapped[Instant] = mapped_column(index=True)
    # Bytes that are charged to the project already, on the upload's account.
    reserved: Mapped[LaterCount]
