"""Where a feature may refuse.  The registry asks every gate and never learns who they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from roadstead.errors import Unsupported


class Deed(StrEnum):
    """What is about to happen."""

    PUSH_MANIFEST = "push-manifest"
    LINK_BLOB = "link-blob"
    DELETE_MANIFEST = "delete-manifest"
    DELETE_TAG = "delete-tag"
    DELETE_BLOB = "delete-blob"
    # A tag is put on a manifest that is there already: made, moved or restored.
    TAG_MANIFEST = "tag-manifest"
    # The whole repository, with every tag in it; a transfer takes it out of the project.
    DELETE_REPOSITORY = "delete-repository"
    TRANSFER_REPOSITORY = "transfer-repository"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A deed in a repository.  `tags` are those that would be created, moved or deleted."""

    deed: Deed
    project_id: int
    repository_id: int
    digest: str
    tags: tuple[str, ...] = ()
    # Bytes that would be added to the project.
    size: int = 0


class Gate(Protocol):
    def check(self, conn: Connection, attempt: Attempt) -> None:
        """Raise to refuse.  Runs in the transaction that would do the deed, so that nothing can race it."""
        ...


def check_all(gates: Sequence[Gate], conn: Connection, attempt: Attempt) -> None:
    for gate in gates:
        gate.check(conn, attempt)


class DeletionSwitch:
    """Refuses every deletion where the operator has switched it off (`registry.delete_enabled`)."""

    DELETIONS = frozenset({Deed.DELETE_BLOB, Deed.DELETE_MANIFEST, Deed.DELETE_TAG, Deed.DELETE_REPOSITORY})

    def check(self, _conn: Connection, attempt: Attempt) -> None:
        if attempt.deed in self.DELETIONS:
            raise Unsupported(
                "deleting is switched off on this registry",
                remedy="an administrator can allow it with registry.delete_enabled",
            )
