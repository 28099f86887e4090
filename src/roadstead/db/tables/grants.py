"""Who may do what, and where: roles, and the grants of them to people, groups and robots."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from roadstead.db.tables.base import Base, BytewiseText, Id, Instant, Name, RowId

# `grants.place`.
IN_PROJECT = "project"
IN_ALL_PROJECTS = "projects"
IN_SYSTEM = "system"


class RoleRow(Base):
    """A role that can be given.  What the first five may do is `projects/roles.py`; the others say it here."""

    __tablename__ = "roles"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(BytewiseText, unique=True)
    description: Mapped[Name]
    # "artifact:read,repository:pull,…", sorted; empty for a role that is built in.
    permissions: Mapped[Name]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]


class GrantRow(Base):
    """A role, or a list of permissions, given to an account or to a group.

    A person or group in a project is its *member*: `place` is "project" and there is a role.  A robot has
    permissions in place of a role.
    """

    __tablename__ = "grants"
    __table_args__ = (
        Index("ix_grants_user", "user_id", "place", "project_id"),
        Index("ix_grants_group", "group_id", "place", "project_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    # "project", "projects" (all of them, those to come too) or "system".
    place: Mapped[Name]
    project_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    # One of the two is set.
    user_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("users.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("user_groups.id", ondelete="CASCADE"))
    role_id: Mapped[int | None] = mapped_column(
        RowId, ForeignKey("roles.id", ondelete="RESTRICT"), index=True
    )
    # As in `roles.permissions`; empty where a role says it.
    permissions: Mapped[Name]
    # The pattern of the repositories it is limited to, without the project's name; empty is all of them.
    repositories: Mapped[Name]
    created_at: Mapped[Instant]
