"""Robots: accounts for machines, and the CI systems that may sign in as one without a password."""

from __future__ import annotations

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Count, Id, Instant, Name, OptionalName, RowId


class Robot(Base):
    """What a robot has beyond its account, which holds its name, secret, expiry and epoch."""

    __tablename__ = "robots"

    account_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    # NULL is a robot of the system's.
    project_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    # Without prefix and project.
    name: Mapped[Name]
    description: Mapped[Name]
    # In days from creation; -1 is for ever.
    duration: Mapped[Count]
    creator_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("users.id", ondelete="SET NULL"), index=True
    )
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class TrustedIssuer(Base):
    """An OpenID Connect issuer whose tokens may stand for a robot's secret."""

    __tablename__ = "trusted_issuers"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # The `iss` of its tokens, and where its keys are announced unless `jwks_uri` or `jwks` says otherwise.
    issuer: Mapped[str] = mapped_column(BytewiseText, unique=True)
    # What the `aud` of its tokens must be.
    audience: Mapped[Name]
    jwks_uri: Mapped[OptionalName]
    # Keys given by hand, where the issuer cannot be reached.
    jwks: Mapped[dict[str, object] | None] = mapped_column(JSON)
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class RobotTrust(Base):
    """Which of an issuer's tokens stand for which robot."""

    __tablename__ = "robot_trusts"

    id: Mapped[Id]
    robot_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("robots.account_id", ondelete="CASCADE"), index=True
    )
    issuer_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("trusted_issuers.id", ondelete="CASCADE"), index=True
    )
    # Claim → pattern; all of them must fit.
    claims: Mapped[dict[str, object]] = mapped_column(JSON)
    created_at: Mapped[Instant]
