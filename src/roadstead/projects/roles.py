"""Permissions, and the roles that are built in, as data.

A permission is `resource:action`, in Harbor's words.  Roles that people make themselves, and robots, are given the
same permissions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType

from roadstead.errors import RequestInvalid

Permission = str


class Action(StrEnum):
    """What can be done to a repository through `/v2`.  The words are those of a token's scope."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


class Role(IntEnum):
    """The built-in roles, by Harbor's numbers.  Those that people make have numbers from 100."""

    PROJECT_ADMIN = 1
    DEVELOPER = 2
    GUEST = 3
    MAINTAINER = 4
    LIMITED_GUEST = 5


_LETTERS = {"C": "create", "R": "read", "U": "update", "D": "delete", "L": "list"}
_COLUMNS = (None, Role.LIMITED_GUEST, Role.GUEST, Role.DEVELOPER, Role.MAINTAINER, Role.PROJECT_ADMIN)
# What anybody may do in a public project, then each role from the least to the most.  A capital letter is create,
# read, update, delete or list; words stand for themselves.
_TABLE: Mapping[str, tuple[str, str, str, str, str, str]] = {
    "project": ("R", "R", "R", "R", "R", "RUD"),
    "member": ("", "", "RL", "RL", "RL", "CRUDL"),
    "metadata": ("", "", "", "", "R", "CRUD"),
    "log": ("", "", "", "", "", "L"),
    "label": ("RL", "", "RL", "RL", "CRUDL", "CRUDL"),
    "quota": ("", "R", "R", "R", "R", "R"),
    "repository": (
        "L pull",
        "RL pull",
        "RL pull",
        "CRUL pull push",
        "CRUDL pull push",
        "CRUDL pull push",
    ),
    "tag-retention": ("", "", "", "CRUDL operate", "CRUDL operate", "CRUDL operate"),
    "immutable-tag": ("", "", "", "", "CUDL", "CUDL"),
    "configuration": ("", "R", "R", "R", "R", "RU"),
    "robot": ("", "", "RL", "RL", "RL", "CRUDL"),
    "notification-policy": ("", "", "", "", "RL", "CRUDL"),
    "scan": ("R", "R", "R", "R", "CR stop", "CR stop"),
    "sbom": ("", "R", "R", "R", "CR stop", "CR stop"),
    "scanner": ("R", "R", "R", "R", "R", "CR"),
    "artifact": ("RL", "RL", "RL", "CRL", "CRDL", "CRDL"),
    "artifact-addition": ("R", "R", "R", "R", "R", "R"),
    "tag": ("L", "L", "L", "CL", "CDL", "CDL"),
    "accessory": ("L", "L", "L", "L", "L", "L"),
    "artifact-label": ("", "", "", "CD", "CD", "CD"),
    "preheat-policy": ("", "", "", "", "", "CRUDL"),
    "export-cve": ("", "", "", "CRL", "CRL", "CRL"),
    # Ours, not Harbor's.
    "network-rule": ("", "", "", "", "R", "RU"),
}
# A grant for some repositories of a project is good for these, and for reading the project itself.
_IN_REPOSITORIES = frozenset(
    {"repository", "artifact", "artifact-addition", "artifact-label", "accessory", "tag", "scan", "sbom"}
)
_SYSTEM: Mapping[str, str] = {
    "audit-log": "L",
    "catalog": "R",
    "configuration": "RU",
    "distribution": "CRUDL",
    "garbage-collection": "CRUL stop",
    "jobservice-monitor": "L stop",
    "label": "CRUDL",
    "ldap-user": "CL",
    "network-rule": "RU",
    "preheat-instance": "CRUDL",
    "project": "CL",
    "purge-audit": "CRUL stop",
    "quota": "RUL",
    "registry": "CRUDL",
    "replication": "CRL",
    "replication-adapter": "L",
    "replication-policy": "CRUDL",
    "robot": "CRUDL",
    "role": "CRUDL",
    "scan-all": "CRU stop",
    "scanner": "CRUDL",
    "security-hub": "RL",
    "session": "LD",
    "system-volumes": "R",
    "trusted-issuer": "CRUDL",
    "user": "CRUDL",
    "user-group": "CRUDL",
}


def _spelled(resource: str, cell: str) -> frozenset[Permission]:
    words = cell.split()
    letters = words.pop(0) if words and words[0].isupper() else ""
    return frozenset(f"{resource}:{action}" for action in (*map(_LETTERS.__getitem__, letters), *words))


def _column(number: int) -> frozenset[Permission]:
    return frozenset().union(*(_spelled(resource, row[number]) for resource, row in _TABLE.items()))


NOTHING: frozenset[Permission] = frozenset()
# What anybody may do in a public project.
OF_ANYBODY = _column(0)
OF_ROLE: Mapping[int, frozenset[Permission]] = MappingProxyType(
    {role: _column(number) for number, role in enumerate(_COLUMNS) if role is not None}
)
# Every permission that there is inside a project, and in the registry as a whole.
IN_PROJECT: frozenset[Permission] = OF_ANYBODY.union(*OF_ROLE.values())
IN_SYSTEM: frozenset[Permission] = frozenset().union(*(_spelled(r, cell) for r, cell in _SYSTEM.items()))

PULL: Permission = "repository:pull"
PUSH: Permission = "repository:push"
# Whoever has one of these may do the action through `/v2`.
_SUFFICIENT: Mapping[Action, frozenset[Permission]] = {
    Action.PULL: frozenset({PULL}),
    Action.PUSH: frozenset({PUSH}),
    Action.DELETE: frozenset({"artifact:delete", "repository:delete"}),
}
DELETE_TAG: frozenset[Permission] = _SUFFICIENT[Action.DELETE] | {"tag:delete"}
# Whoever may only make tags, or artifacts, moves no tag that is there.
MOVE_TAG: frozenset[Permission] = frozenset({PUSH, "tag:delete"})


def allows(permissions: frozenset[Permission], action: Action) -> bool:
    return not permissions.isdisjoint(_SUFFICIENT[action])


def actions_of(permissions: frozenset[Permission]) -> frozenset[Action]:
    """What a token's scope may hold for somebody with these permissions: to delete a tag is to delete, too."""
    held = {action for action in Action if allows(permissions, action)}
    if not permissions.isdisjoint(DELETE_TAG):
        held.add(Action.DELETE)
    return frozenset(held)


def limited_to_repositories(permissions: frozenset[Permission]) -> frozenset[Permission]:
    """The part of them that makes sense for some repositories of a project only."""
    return frozenset(p for p in permissions if p.partition(":")[0] in _IN_REPOSITORIES)


def write_permissions(permissions: Iterable[Permission], known: frozenset[Permission]) -> str:
    """The form in which permissions are stored.  Raises `RequestInvalid` for one that is not in `known`."""
    wanted = set(permissions)
    unknown = sorted(wanted - known)
    if unknown:
        raise RequestInvalid(
            f"there is no permission {unknown[0][:80]!r} to give here",
            remedy="GET /api/v2.0/permissions lists them",
        )
    return ",".join(sorted(wanted))


def read_permissions(text: str) -> frozenset[Permission]:
    """The inverse of `write_permissions`.  Whoever may push may pull what is there: clients look first."""
    found = frozenset(text.split(",")) - {""}
    return found | {PULL} if PUSH in found else found
