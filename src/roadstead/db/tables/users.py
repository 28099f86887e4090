"""Accounts that sign in, people's and robots', their groups and their sessions."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import (
    Base,
    BytewiseText,
    Count,
    Id,
    Instant,
    LaterCount,
    LaterText,
    Name,
    OptionalInstant,
    OptionalName,
    RowId,
)

PERSON = "person"
ROBOT = "robot"

# `users.password_state`.
CHOSEN = 0
# Generated at the first start, and read by the operator who started it.
FIRST_RUN = 1
# Generated, or set by somebody else: good for nothing but choosing another.
HANDED_OVER = 2


class User(Base):
    """Whoever can prove who they are: a person, or a robot (which has a row in `robots`, too)."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_kind", "kind", "username"), {"sqlite_autoincrement": True})

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
    # "person" or "robot".
    kind: Mapped[str] = mapped_column(BytewiseText, server_default=text("'person'"))
    email: Mapped[LaterText]
    realname: Mapped[LaterText]
    comment: Mapped[LaterText]
    # From then on the account is no longer good; NULL is never.
    expires_at: Mapped[OptionalInstant]
    password_state: Mapped[LaterCount]
    updated_at: Mapped[LaterCount]


class UserGroup(Base):
    __tablename__ = "user_groups"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # Harbor's numbers: 1 LDAP, 2 HTTP, 3 OIDC; 0 is kept here.
    kind: Mapped[Count]
    ldap_dn: Mapped[OptionalName]
    created_at: Mapped[Instant]


class UserGroupMember(Base):
    __tablename__ = "user_group_members"

    user_id: Mapped[int] = mapped_column(RowId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("user_groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Session(Base):
    """Somebody who is signed in, by a cookie or by a short-lived login token."""

    __tablename__ = "sessions"

    # SHA-256 of what the holder has, in hexadecimal: the table lets nobody in.
    id: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    user_id: Mapped[int] = mapped_column(RowId, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    # "browser" or "token".
    kind: Mapped[Name]
    # What a person calls a login token.
    name: Mapped[Name]
    # `users.credential_epoch` when it began.
    epoch: Mapped[Count]
    address: Mapped[Name]
    user_agent: Mapped[Name]
    created_at: Mapped[Instant]
    last_seen_at: Mapped[Instant]
    expires_at: Mapped[Instant] = mapped_column(index=True)


class SignInFailure(Base):
    """Wrong passwords of late, by account and by address, for all workers and replicas together."""

    __tablename__ = "sign_in_failures"

    # "account:NAME" or "address:ADDRESS"; or "known:NAME:ADDRESS", where the owner has signed in, until `locked_until`.
    key: Mapped[str] = mapped_column(BytewiseText, primary_key=True)
    began_at: Mapped[Instant]
    failures: Mapped[Count]
    locked_until: Mapped[Instant] = mapped_column(index=True)
