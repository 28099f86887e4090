"""The page of permissions says what the code says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from roadstead.projects.roles import IN_PROJECT, IN_SYSTEM, OF_ANYBODY, OF_ROLE, Permission, Role

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "permissions.md"
ACTIONS = ("create", "read", "update", "delete", "list")
COLUMNS: Mapping[str, frozenset[Permission]] = {
    "anybody, if public": OF_ANYBODY,
    "limited guest": OF_ROLE[Role.LIMITED_GUEST],
    "guest": OF_ROLE[Role.GUEST],
    "developer": OF_ROLE[Role.DEVELOPER],
    "maintainer": OF_ROLE[Role.MAINTAINER],
    "project admin": OF_ROLE[Role.PROJECT_ADMIN],
}


def _actions(resource: str, held: Iterable[Permission]) -> str:
    found = {action for r, _, action in (p.partition(":") for p in held) if r == resource}
    letters = "".join(action[0].upper() for action in ACTIONS if action in found)
    return " ".join(filter(None, [letters, *sorted(found.difference(ACTIONS))])) or "-"


def _resources(permissions: Iterable[Permission]) -> list[str]:
    return sorted({permission.partition(":")[0] for permission in permissions})


def _table(rows: Iterable[Iterable[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def project_table() -> str:
    """What each role may do in its project."""
    head = [["resource", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    rows = [[f"`{r}`", *(_actions(r, held) for held in COLUMNS.values())] for r in _resources(IN_PROJECT)]
    return _table([*head, *rows])


def system_table() -> str:
    """What there is to do in the registry as a whole."""
    rows = [[f"`{resource}`", _actions(resource, IN_SYSTEM)] for resource in _resources(IN_SYSTEM)]
    return _table([["resource", "actions"], ["---", "---"], *rows])


def test_the_table_of_roles_is_the_code_s() -> None:
    table = project_table()
    assert table in PAGE.read_text(encoding="utf-8"), f"the page should say:\n{table}"


def test_the_table_of_the_registry_is_the_code_s() -> None:
    table = system_table()
    assert table in PAGE.read_text(encoding="utf-8"), f"the page should say:\n{table}"
