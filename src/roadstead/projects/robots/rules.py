"""What a robot may be called, how long it may live, and what it may be given.  Pure decisions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from roadstead.db.tables.grants import IN_ALL_PROJECTS, IN_PROJECT, IN_SYSTEM
from roadstead.errors import Denied, RequestInvalid
from roadstead.identity.rules import MAX_USERNAME, PasswordUnfit, check_new_password
from roadstead.oci.excerpts import excerpt
from roadstead.projects.roles import PULL, PUSH, Permission

PREFIX = "robot$"
FOR_EVER = -1
MOST_DAYS = 2**31 - 2
MS_PER_DAY = 86_400_000
MOST_BLOCKS = 100
MOST_ACCESSES = 500
LONGEST_DESCRIPTION = 1024

Level = Literal["system", "project"]

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_CRUDL = "create read update delete list"


def _list(table: Mapping[str, str]) -> tuple[Permission, ...]:
    return tuple(
        f"{resource}:{action}" for resource in sorted(table) for action in sorted(table[resource].split())
    )


# What can be handed out, in the order in which it is shown.  A robot never gets `robot:update`: what may change
# robots could widen itself.  Nor whatever decides who may sign in as a robot.
IN_A_PROJECT = _list(
    {
        "accessory": "list",
        "artifact": "create read list delete",
        "artifact-addition": "read",
        "artifact-label": "create delete",
        "export-cve": "create read",
        "immutable-tag": "create list update delete",
        "label": _CRUDL,
        "log": "list",
        "member": _CRUDL,
        "metadata": _CRUDL,
        "network-rule": "read",
        "notification-policy": _CRUDL,
        "preheat-policy": _CRUDL,
        "project": "read update delete",
        "quota": "read",
        "repository": "read update delete list pull push",
        "robot": "create read list delete",
        "sbom": "create read stop",
        "scan": "create read stop",
        "scanner": "create read",
        "tag": "create list delete",
        "tag-retention": _CRUDL,
    }
)
IN_THE_SYSTEM = _list(
    {
        "audit-log": "list",
        "catalog": "read",
        "configuration": "read",
        "garbage-collection": "create read list update stop",
        "jobservice-monitor": "list stop",
        "label": "create read update delete",
        "ldap-user": "create list",
        "network-rule": "read",
        "preheat-instance": _CRUDL,
        "project": "create list",
        "purge-audit": "create read list update stop",
        "quota": "read list update",
        "registry": _CRUDL,
        "replication": "create read list",
        "replication-adapter": "list",
        "replication-policy": _CRUDL,
        "robot": "create read list delete",
        "scan-all": "create read update stop",
        "scanner": _CRUDL,
        "security-hub": "read list",
        "system-volumes": "read",
        "user": _CRUDL,
        "user-group": _CRUDL,
    }
)
# Permissions of robots that no role has, and the one of a role that means as much.
_MEANT_BY: Mapping[Permission, Permission] = {"metadata:list": "metadata:read"}


class RobotNameInvalid(RequestInvalid):
    """The name cannot be a robot's."""


class PermissionNotHeld(Denied):
    """Nobody hands out what they do not have."""

    def __init__(self, missing: Permission, where: str) -> None:
        super().__init__(
            f"you may not hand out {missing} in {where}: you do not have it there",
            remedy="leave it out, or ask somebody who has it",
        )


@dataclass(frozen=True, slots=True)
class Block:
    """Some permissions in one place, as a client writes them: `namespace` is a project's name, "*" or "/"."""

    kind: str
    namespace: str
    permissions: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class PlacedBlock:
    """The same, with the place as grants have it."""

    place: str
    project_id: int | None
    project_name: str | None
    permissions: tuple[Permission, ...]

    @property
    def where(self) -> str:
        if self.place == IN_PROJECT:
            return f"the project {self.project_name}"
        return "all projects" if self.place == IN_ALL_PROJECTS else "the system"

    @property
    def block(self) -> Block:
        if self.place == IN_SYSTEM:
            return Block("system", "/", self.permissions)
        name = "*" if self.place == IN_ALL_PROJECTS else self.project_name or ""
        return Block("project", name, self.permissions)


@dataclass(frozen=True, slots=True)
class RobotDraft:
    """What somebody wants a robot to be."""

    name: str
    level: str
    # None: as it is.
    duration: int | None
    blocks: Sequence[Block]
    description: str = ""
    disabled: bool = False


def full_name(name: str, project: str | None) -> str:
    """What a robot signs in with."""
    return f"{PREFIX}{name}" if project is None else f"{PREFIX}{project}+{name}"


def check_name(name: str, project: str | None) -> None:
    if _NAME.fullmatch(name) is None or len(full_name(name, project)) > MAX_USERNAME:
        raise RobotNameInvalid(
            f"{excerpt(name)} cannot be a robot's name: lower-case letters and digits, with single '.', '_' or '-'"
            f" between them, at most {MAX_USERNAME} characters with the prefix {PREFIX} and the project",
            remedy="choose another name, without the prefix",
        )


def check_duration(days: int | None) -> int:
    if days is None or not (days == FOR_EVER or 1 <= days <= MOST_DAYS):
        raise RequestInvalid(
            f"a robot's duration is -1, for ever, or 1 to {MOST_DAYS} days",
            remedy="send `duration`",
            limit=MOST_DAYS,
        )
    return days


def expiry(created_at: int, days: int) -> int | None:
    """In milliseconds since 1970; None is never."""
    return None if days == FOR_EVER else created_at + days * MS_PER_DAY


def check_draft(draft: RobotDraft) -> None:
    """Everything about it that needs no database, in Harbor's order but for the name."""
    if draft.level not in {"system", "project"}:
        raise RequestInvalid(f"there is no level {excerpt(draft.level)}", remedy="send system or project")
    if len(draft.description) > LONGEST_DESCRIPTION:
        raise RequestInvalid(
            f"a description has at most {LONGEST_DESCRIPTION} characters", remedy="shorten it"
        )
    if not 1 <= len(draft.blocks) <= MOST_BLOCKS:
        raise RequestInvalid(
            f"a robot has 1 to {MOST_BLOCKS} blocks of permissions",
            remedy="send `permissions`",
            limit=MOST_BLOCKS,
        )
    for block in draft.blocks:
        _check_block(block)
    if draft.level == "project":
        _check_one_project(draft.blocks)


def _check_block(block: Block) -> None:
    if not 1 <= len(block.permissions) <= MOST_ACCESSES:
        raise RequestInvalid(
            f"a block of permissions has 1 to {MOST_ACCESSES} of them",
            remedy="send `access`",
            limit=MOST_ACCESSES,
        )
    if block.kind not in {"system", "project"}:
        raise RequestInvalid(
            f"there is no kind {excerpt(block.kind)} of permissions", remedy="send system or project"
        )
    in_system = block.kind == "system"
    if in_system and block.namespace != "/":
        raise RequestInvalid(
            f"unknown namespace {excerpt(block.namespace)}", remedy="the namespace of kind system is /"
        )
    if not in_system and block.namespace in {"", "/"}:
        raise RequestInvalid(
            f"unknown namespace {excerpt(block.namespace)}",
            remedy="the namespace of kind project is the name of a project, or * for all",
        )
    known: Collection[str] = IN_THE_SYSTEM if in_system else IN_A_PROJECT
    for permission in block.permissions:
        if permission not in known:
            raise RequestInvalid(
                f"bad request permission: {excerpt(permission)}; no robot can have it in {block.kind}",
                remedy="GET /api/v2.0/permissions lists those that it can have",
            )


def _check_one_project(blocks: Sequence[Block]) -> None:
    if len(blocks) != 1 or blocks[0].kind != "project" or blocks[0].namespace == "*":
        raise RequestInvalid(
            "a robot of a project has one block of permissions, of kind project, in its own project",
            remedy="send one block, or make a robot of the system",
        )


def check_held(wanted: Iterable[Permission], held: frozenset[Permission], where: str) -> None:
    """Raises `PermissionNotHeld` for the first that is not there."""
    for permission in wanted:
        if not holds(held, permission):
            raise PermissionNotHeld(permission, where)


def holds(held: Collection[Permission], permission: Permission) -> bool:
    """Whoever may push may pull what is there; else a permission is itself and nothing that resembles it."""
    return (
        permission in held
        or (permission == PULL and PUSH in held)
        or (permission in _MEANT_BY and _MEANT_BY[permission] in held)
    )


def narrowed(child: PlacedBlock, parents: Iterable[PlacedBlock]) -> PlacedBlock:
    """What of the block a robot keeps whose maker has no more than `parents`."""
    held: set[Permission] = set()
    for parent in parents:
        same = (parent.place, parent.project_id) == (child.place, child.project_id)
        if same or (parent.place == IN_ALL_PROJECTS and child.place == IN_PROJECT):
            held.update(parent.permissions)
    kept = tuple(permission for permission in child.permissions if holds(held, permission))
    return PlacedBlock(child.place, child.project_id, child.project_name, kept)


def check_secret(secret: str) -> bytes:
    """The bytes to hash of a secret that a person chose."""
    encoded = check_new_password(secret)
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(map(kind, secret)) for kind in kinds):
        raise PasswordUnfit(
            "a secret has a lower-case letter, an upper-case letter and a digit",
            remedy="choose another, or send none to have one made",
        )
    return encoded
