"""Immutable tags at the registry's gates: whichever way somebody comes, one rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from roadstead.errors import Precondition
from roadstead.immutability import queries
from roadstead.immutability.rules import ImmutableRule, read_rule
from roadstead.registry.gates import Attempt, Deed

_PUTS_TAGS = frozenset({Deed.PUSH_MANIFEST, Deed.TAG_MANIFEST})
_REMOVES = frozenset({Deed.DELETE_TAG, Deed.DELETE_MANIFEST})
_TAKES_ALL = frozenset({Deed.DELETE_REPOSITORY, Deed.TRANSFER_REPOSITORY})
_BATCH = 1000


class TagImmutable(Precondition):
    """A rule of the project lets the tag neither move nor go."""

    def __init__(self, path: str, tag: str) -> None:
        super().__init__(
            f"Failed to process request due to '{path}:{tag}' configured as immutable.",
            remedy="use another tag, or have a maintainer of the project change its immutable tag rules",
            tag=tag,
        )


class ImmutableTags:
    """Refuses what would move or remove a tag that a rule covers.  To push the same manifest again is neither."""

    def check(self, conn: Connection, attempt: Attempt) -> None:
        tagging = attempt.deed in _PUTS_TAGS
        if tagging and not attempt.tags:
            return
        if not tagging and attempt.deed not in _REMOVES and attempt.deed not in _TAKES_ALL:
            return
        path, rules = _rules(conn, attempt.project_id, attempt.repository_id)
        if not rules:
            return
        if tagging:
            self._check_moves(conn, attempt, path, rules)
        elif attempt.deed in _REMOVES:
            self._check_removal(conn, attempt, path, rules)
        else:
            self._check_all(conn, attempt, path, rules)

    def covers(self, conn: Connection, project_id: int) -> Callable[[str], Callable[[str], bool]]:
        """By the path of a repository of the project, which of its tags are immutable, for lists."""
        rules = [read_rule(stored) for stored in queries.rules_of(conn, project_id)]

        def of_repository(path: str) -> Callable[[str], bool]:
            here = [rule for rule in rules if rule.in_repository(path)]
            return lambda tag: _covered(here, tag)

        return of_repository

    def _check_moves(
        self, conn: Connection, attempt: Attempt, path: str, rules: Sequence[ImmutableRule]
    ) -> None:
        covered = [tag for tag in attempt.tags if _covered(rules, tag)]
        if not covered:
            return
        # Else two could find at once that the tag is not there yet, and the later would move it.
        queries.lock_repository(conn, attempt.repository_id)
        moved = queries.tags_elsewhere(conn, attempt.repository_id, covered, attempt.digest)
        if moved:
            raise TagImmutable(path, moved[0])

    def _check_removal(
        self, conn: Connection, attempt: Attempt, path: str, rules: Sequence[ImmutableRule]
    ) -> None:
        tags = list(attempt.tags)
        if attempt.deed is Deed.DELETE_MANIFEST:
            # An index is not what it was without its children.
            tags += queries.tags_of_parents(conn, attempt.repository_id, attempt.digest)
        for tag in tags:
            if _covered(rules, tag):
                raise TagImmutable(path, tag)

    def _check_all(
        self, conn: Connection, attempt: Attempt, path: str, rules: Sequence[ImmutableRule]
    ) -> None:
        after = ""
        while names := queries.tags_after(conn, attempt.repository_id, after, limit=_BATCH):
            for tag in names:
                if _covered(rules, tag):
                    raise TagImmutable(path, tag)
            after = names[-1]


def _rules(conn: Connection, project_id: int, repository_id: int) -> tuple[str, Sequence[ImmutableRule]]:
    """The repository's path, and the rules that are for it."""
    path, found = "", []
    for path, stored in queries.active_rules(conn, project_id, repository_id):
        rule = read_rule(stored)
        if rule.in_repository(path):
            found.append(rule)
    return path, found


def _covered(rules: Sequence[ImmutableRule], tag: str) -> bool:
    return any(rule.covers(tag) for rule in rules)
