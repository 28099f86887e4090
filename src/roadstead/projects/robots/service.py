"""What people and robots can ask of robots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, Denied, NotFound, RequestInvalid
from roadstead.events.outbox import JsonValue, record
from roadstead.identity.passwords import PasswordHasher, generate_secret, hash_secret
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority
from roadstead.projects.robots import queries
from roadstead.projects.robots.delegation import (
    Delegation,
    check_lasting,
    check_lifetime,
    descendants,
    narrow_descendants,
)
from roadstead.projects.robots.queries import StoredRobot
from roadstead.projects.robots.rules import (
    IN_A_PROJECT,
    IN_THE_SYSTEM,
    PlacedBlock,
    RobotDraft,
    check_draft,
    check_duration,
    check_name,
    check_secret,
    expiry,
    full_name,
)
from roadstead.projects.roles import Permission
from roadstead.telemetry.clock import Clock, now_ms

# No project has this number.
_NOWHERE = 0
ROBOT_CREATED = "robot.created"
ROBOT_UPDATED = "robot.updated"
ROBOT_DELETED = "robot.deleted"
ROBOT_SECRET_REFRESHED = "robot.secret_refreshed"  # noqa: S105 - an event's name


class RobotUnknown(NotFound):
    """The robot is not there, or the caller may not know that it is: one answer for both."""

    def __init__(self, robot_id: int) -> None:
        super().__init__(
            f"no such robot, or you may not see it: {robot_id}",
            remedy="list the robots of the system, or of a project, to see their numbers",
        )


class RobotExists(Conflict):
    """The name is taken."""


class RobotsMayNot(Denied):
    """Robots change no robots but those that they made, and those only by deleting them."""


class NewRobot(NamedTuple):
    robot: StoredRobot
    # Shown this once: only its hash is kept.
    secret: str


class Grantable(NamedTuple):
    # None: nothing that the caller could hand out in the system.
    system: tuple[Permission, ...] | None
    project: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """Who changes a robot, and when."""

    principal: Principal
    now: int


class Robots:
    """Accounts for machines.

    Whatever ends or narrows a robot takes effect with its next request, on every worker: its grants and its expiry
    are read with each request, and a new secret or an interruption raises the account's epoch.
    """

    def __init__(
        self, database: Database, authority: Authority, hasher: PasswordHasher, *, clock: Clock = now_ms
    ) -> None:
        self._database = database
        self._authority = authority
        self._delegation = Delegation(database, authority)
        self._hasher = hasher
        self._clock = clock

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    async def list(
        self, principal: Principal, project_id: int | None, request: ListRequest
    ) -> tuple[Sequence[StoredRobot], int]:
        """A page of the robots of a project, or with None those of the system, and how many there are."""
        if project_id is None:
            await self._authority.system(principal, "robot:list")
        else:
            await self._authority.project(principal, project_id, "robot:list")
        return await self._database.read(queries.robots_page, project_id, request)

    async def get(self, principal: Principal, robot_id: int) -> StoredRobot:
        """Raises `RobotUnknown`."""
        await self._authority.signed_in(principal)
        robot = await self._database.read(queries.robot_with_id, robot_id)
        # Asked for a robot that is not there, too: nobody learns from the time what is hidden from them.
        held = await self._permissions(principal, _NOWHERE if robot is None else robot.project_id)
        if robot is None or "robot:read" not in held:
            raise RobotUnknown(robot_id)
        return robot

    async def grantable(self, principal: Principal) -> Grantable:
        """What the caller may hand out at most, for those who may make robots at all."""
        await self._authority.signed_in(principal)
        if "robot:create" in await self._authority.system_permissions(principal):
            return Grantable(IN_THE_SYSTEM, IN_A_PROJECT)
        user_id = principal.user_id
        if user_id is not None and await self._database.read(queries.makes_robots_somewhere, user_id):
            return Grantable(None, IN_A_PROJECT)
        raise Denied(
            "only those who may make robots see what robots can be given",
            remedy="ask an administrator of a project",
        )

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, principal: Principal, draft: RobotDraft) -> NewRobot:
        """Raises `RequestInvalid`, `RobotNameInvalid`, `ProjectHidden`, `Denied` or `RobotExists`."""
        maker = await self._authority.signed_in(principal)
        check_lasting(principal)
        check_name(draft.name, None)
        duration = check_duration(draft.duration)
        check_draft(draft)
        blocks = await self._place_new(principal, draft)
        await self._delegation.check(principal, blocks)
        now = self._clock()
        check_lifetime(maker.expires_at, expiry(now, duration))
        secret = generate_secret()
        if draft.level == "project":
            check_name(draft.name, blocks[0].project_name)
        robot = await self._database.write(
            _create,
            _Change(principal, now),
            draft,
            duration=duration,
            blocks=blocks,
            secret_hash=hash_secret(secret.encode()),
        )
        return NewRobot(robot, secret)

    async def update(self, principal: Principal, robot_id: int, draft: RobotDraft) -> None:
        """Replace description, permissions, duration and whether it is disabled.

        Level and name are those that it has: `draft.name` is the full name.
        """
        robot = await self._changeable(principal, robot_id, "robot:update")
        check_draft(draft)
        if draft.level != robot.level or draft.name != robot.full_name:
            raise RequestInvalid(
                "cannot update the level or name of robot",
                remedy=f"send the level {robot.level} and the name {robot.full_name}, or make another robot",
            )
        duration = robot.duration if draft.duration is None else check_duration(draft.duration)
        blocks = await self._delegation.place(principal, draft.blocks)
        if robot.project_id is not None and blocks[0].project_id != robot.project_id:
            raise RequestInvalid(
                "cannot move a robot to another project", remedy=f"name the project {robot.project_name}"
            )
        await self._delegation.check(principal, blocks)
        change = _Change(principal, self._clock())
        await self._database.write(_update, change, robot_id, draft, duration=duration, blocks=blocks)

    async def refresh(self, principal: Principal, robot_id: int, secret: str | None) -> str:
        """Give it another secret: this one, or with None or an empty one a generated one.  Returns it.

        Whoever has the secret can do what the robot can, so only those may who have all of it themselves.
        """
        await self.trusted_with(principal, robot_id)
        if secret:
            stored = await self._hasher.hash(check_secret(secret))
        else:
            secret = generate_secret()
            stored = hash_secret(secret.encode())
        await self._database.write(_refresh, _Change(principal, self._clock()), robot_id, stored)
        return secret

    async def delete(self, principal: Principal, robot_id: int) -> None:
        """Raises `RobotUnknown` or `Denied`.  The robots that it made go with it."""
        await self._changeable(principal, robot_id, "robot:delete")
        await self._database.write(_delete, _Change(principal, self._clock()), robot_id)

    async def trusted_with(self, principal: Principal, robot_id: int) -> StoredRobot:
        """The robot, if the caller may decide how one signs in as it: what `refresh` asks."""
        robot = await self._changeable(principal, robot_id, "robot:update")
        check_lasting(principal)
        await self._delegation.check(principal, robot.blocks)
        return robot

    # ── deciding ────────────────────────────────────────────────────────────────────────────────────────

    async def _place_new(self, principal: Principal, draft: RobotDraft) -> Sequence[PlacedBlock]:
        if draft.level == "system":
            await self._authority.system(principal, "robot:create")
            return await self._delegation.place(principal, draft.blocks)
        await self._authority.project(principal, draft.blocks[0].namespace, "robot:create")
        return await self._delegation.place(principal, draft.blocks)

    async def _permissions(self, principal: Principal, project_id: int | None) -> frozenset[Permission]:
        if project_id is None:
            return await self._authority.system_permissions(principal)
        project = await self._authority.reach(principal, project_id)
        return frozenset() if project is None else project.standing.permissions

    async def _changeable(self, principal: Principal, robot_id: int, permission: Permission) -> StoredRobot:
        """The robot, if the caller may do this to it."""
        robot = await self.get(principal, robot_id)
        if robot.project_id is None:
            await self._authority.system(principal, permission)
        else:
            await self._authority.project(principal, robot.project_id, permission)
        made_it = permission == "robot:delete" and robot.creator_id == principal.user_id
        if not made_it and await self._is_robot(principal):
            raise RobotsMayNot(
                "a robot may delete the robots that it made, and change no other",
                remedy="ask a person who may",
            )
        return robot

    async def _is_robot(self, principal: Principal) -> bool:
        user_id = principal.user_id
        return user_id is not None and await self._database.read(queries.is_robot, user_id)


# ── units of work ───────────────────────────────────────────────────────────────────────────────────────────


def _existing(conn: Connection, robot_id: int) -> StoredRobot:
    robot = queries.robot_with_id(conn, robot_id)
    if robot is None:
        raise RobotUnknown(robot_id)
    return robot


def _create(
    conn: Connection,
    change: _Change,
    draft: RobotDraft,
    *,
    duration: int,
    blocks: Sequence[PlacedBlock],
    secret_hash: str,
) -> StoredRobot:
    project = blocks[0] if draft.level == "project" else None
    name = full_name(draft.name, project.project_name if project else None)
    robot_id = queries.add_robot(
        conn,
        full_name=name,
        name=draft.name,
        project_id=project.project_id if project else None,
        description=draft.description,
        duration=duration,
        disabled=draft.disabled,
        expires_at=expiry(change.now, duration),
        secret_hash=secret_hash,
        creator_id=change.principal.user_id,
        blocks=blocks,
        now=change.now,
    )
    if robot_id is None:
        raise RobotExists(f"there is a robot {name} already", remedy="choose another name", name=name)
    robot = _existing(conn, robot_id)
    _tell(conn, change, "create", robot)
    record(conn, ROBOT_CREATED, project_id=robot.project_id, now=change.now, **_facts(change, robot))
    return robot


def _update(
    conn: Connection,
    change: _Change,
    robot_id: int,
    draft: RobotDraft,
    *,
    duration: int,
    blocks: Sequence[PlacedBlock],
) -> None:
    before = _existing(conn, robot_id)
    # A duration counts from the day on which the robot was made; one that stays leaves the expiry as it is.
    ends = before.expires_at if duration == before.duration else expiry(before.created_at, duration)
    queries.change_robot(
        conn, robot_id, description=draft.description, duration=duration, expires_at=ends, now=change.now
    )
    queries.replace_blocks(conn, robot_id, blocks, now=change.now)
    queries.set_disabled(conn, robot_id, draft.disabled)
    after = _existing(conn, robot_id)
    for robot in (after, *narrow_descendants(conn, after, now=change.now)):
        _tell(conn, change, "update", robot)
        record(conn, ROBOT_UPDATED, project_id=robot.project_id, now=change.now, **_facts(change, robot))


def _refresh(conn: Connection, change: _Change, robot_id: int, secret_hash: str) -> None:
    robot = _existing(conn, robot_id)
    queries.replace_secret(conn, robot_id, secret_hash, now=change.now)
    _tell(conn, change, "refresh_secret", robot)
    record(conn, ROBOT_SECRET_REFRESHED, project_id=robot.project_id, now=change.now, **_facts(change, robot))


def _delete(conn: Connection, change: _Change, robot_id: int) -> None:
    robot = _existing(conn, robot_id)
    for gone in (*reversed(descendants(conn, robot_id)), robot):
        queries.remove_robot(conn, gone.id)
        _tell(conn, change, "delete", gone)
        record(conn, ROBOT_DELETED, project_id=gone.project_id, now=change.now, **_facts(change, gone))


def _facts(change: _Change, robot: StoredRobot) -> dict[str, JsonValue]:
    return {"robot": robot.full_name, "robot_id": robot.id, "user": change.principal.username}


def _tell(conn: Connection, change: _Change, operation: str, robot: StoredRobot) -> None:
    trail.record(
        conn,
        change.principal,
        operation,
        "robot",
        robot.full_name,
        now=change.now,
        project_id=robot.project_id,
        payload={
            "level": robot.level,
            "disable": robot.disabled,
            "duration": robot.duration,
            "permissions": [
                {
                    "kind": block.block.kind,
                    "namespace": block.block.namespace,
                    "access": list(block.permissions),
                }
                for block in robot.blocks
            ],
        },
    )
