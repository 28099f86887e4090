"""Nobody hands out what they do not have: what the maker of a robot may give it, and what becomes of a robot when
the robot that made it is given less.

A person who makes a robot answers for it on that day only: the robot goes on working when they leave or lose a
role, and its list and the audit log name its maker.  A robot that a robot made never has more than its maker.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.db.tables.grants import IN_ALL_PROJECTS, IN_PROJECT, IN_SYSTEM
from roadstead.errors import Denied
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority, ProjectHidden
from roadstead.projects.robots import queries
from roadstead.projects.robots.queries import StoredRobot
from roadstead.projects.robots.rules import Block, PlacedBlock, check_held, narrowed
from roadstead.projects.roles import NOTHING, Permission


class Delegation:
    def __init__(self, database: Database, authority: Authority) -> None:
        self._database = database
        self._authority = authority

    async def place(self, principal: Principal, blocks: Sequence[Block]) -> list[PlacedBlock]:
        """The blocks with the projects that they name.  Raises `ProjectHidden`."""
        known: dict[str, int] = {}
        placed = []
        for block in blocks:
            if block.kind == "system":
                placed.append(PlacedBlock(IN_SYSTEM, None, None, block.permissions))
            elif block.namespace == "*":
                placed.append(PlacedBlock(IN_ALL_PROJECTS, None, None, block.permissions))
            else:
                name = block.namespace
                if name not in known:
                    project = await self._authority.reach(principal, name)
                    if project is None:
                        raise ProjectHidden(name)
                    known[name] = project.id
                placed.append(PlacedBlock(IN_PROJECT, known[name], name, block.permissions))
        return placed

    async def check(self, principal: Principal, blocks: Sequence[PlacedBlock]) -> None:
        """Return if the caller has all of it, now, where it is to be handed out.  Raises `PermissionNotHeld`."""
        if await self._authority.administrator(principal):
            return
        for block in blocks:
            check_held(block.permissions, await self._held(principal, block), block.where)

    async def _held(self, principal: Principal, block: PlacedBlock) -> frozenset[Permission]:
        if block.place == IN_SYSTEM:
            return await self._authority.system_permissions(principal)
        if block.place == IN_ALL_PROJECTS or block.project_id is None:
            if principal.user_id is None:
                return NOTHING
            return await self._database.read(queries.permissions_at, principal.user_id, IN_ALL_PROJECTS)
        project = await self._authority.reach(principal, block.project_id)
        return NOTHING if project is None else project.standing.permissions


def check_lifetime(maker_ends: int | None, robot_ends: int | None) -> None:
    """A robot does not outlive the account that makes it."""
    if maker_ends is not None and (robot_ends is None or robot_ends > maker_ends):
        raise Denied(
            "a robot that you make cannot be good for longer than you are", remedy="send a shorter duration"
        )


def check_lasting(principal: Principal) -> None:
    """A short-lived token makes nothing that is good for longer than it is, as a robot's secret would be."""
    if principal.until is not None:
        raise Denied(
            "a short-lived login token makes no robots and no secrets: they would outlive it",
            remedy="sign in with a password or a robot's secret",
        )


def descendants(conn: Connection, robot_id: int) -> list[StoredRobot]:
    """Every robot that this one made, that those made, and so on, makers first."""
    found = list(queries.robots_made_by(conn, robot_id))
    for robot in found:
        # The list grows while it is walked; nobody is among their own descendants.
        found.extend(queries.robots_made_by(conn, robot.id))
    return found


def narrow_descendants(conn: Connection, maker: StoredRobot, *, now: int) -> list[StoredRobot]:
    """Take from the robots below `maker` what it does not have any more.  Those that were changed."""
    changed = []
    for robot in queries.robots_made_by(conn, maker.id):
        blocks = [narrowed(block, maker.blocks) for block in robot.blocks]
        kept = [block for block in blocks if block.permissions]
        ends_later = maker.expires_at is not None and (
            robot.expires_at is None or robot.expires_at > maker.expires_at
        )
        stops = maker.disabled and not robot.disabled
        if kept == list(robot.blocks) and not ends_later and not stops:
            continue
        queries.replace_blocks(conn, robot.id, kept, now=now)
        if maker.expires_at is not None:
            queries.shorten(conn, robot.id, maker.expires_at)
        if stops:
            queries.set_disabled(conn, robot.id, disabled=True)
        after = queries.robot_with_id(conn, robot.id)
        assert after is not None  # noqa: S101 - of this transaction
        changed += [after, *narrow_descendants(conn, after, now=now)]
    return changed
