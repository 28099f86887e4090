"""People who sign in."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Id, Instant, OptionalInstant


class User(Base):
    __tablename__ = "users"

    id: Mapped[Id]
    username: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # argon2id, in the encoded form that names its own parameters.
    password_hash: Mapped[str]
    admin: Mapped[bool]
    disabled: Mapped[bool]
    # Goes up when the password changes or the account is disabled: every token issued before then is void.
    credential_epoch: Mapped[int]
    created_at: Mapped[Instant]
    last_login_at: Mapped[OptionalInstant]
