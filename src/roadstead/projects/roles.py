"""Roles and what each may do, as data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Action(StrEnum):
    """What can be done to a repository.  The words are those of a token's scope."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


class Role(StrEnum):
    SYSTEM_ADMIN = "system-admin"
    PROJECT_ADMIN = "project-admin"
    # Anyone at all, in a public project.
    READER = "reader"


PERMISSIONS: Mapping[Role, frozenset[Action]] = {
    Role.SYSTEM_ADMIN: frozenset(Action),
    Role.PROJECT_ADMIN: frozenset(Action),
    Role.READER: frozenset({Action.PULL}),
}

NOTHING: frozenset[Action] = frozenset()
EVERYTHING: frozenset[Action] = frozenset(Action)
