"""Which tokens of a trusted issuer stand for a robot.

A rule is as good as the robot's secret, so it takes the same to write one: the right to change the robot, and
everything that the robot may do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import NotFound, Precondition
from roadstead.events.outbox import record
from roadstead.identity.federation import queries
from roadstead.identity.federation.claims import check_rule
from roadstead.identity.federation.queries import StoredIssuer, StoredTrust
from roadstead.identity.principals import Principal
from roadstead.projects.robots.issuers import IssuerUnknown
from roadstead.projects.robots.queries import StoredRobot
from roadstead.projects.robots.service import Robots
from roadstead.telemetry.clock import Clock, now_ms

TRUST_CREATED = "robot.trust_created"
TRUST_UPDATED = "robot.trust_updated"
TRUST_DELETED = "robot.trust_deleted"
MOST_TRUSTS = 50


class TrustUnknown(NotFound):
    """The robot has no such rule."""

    def __init__(self, trust_id: int) -> None:
        super().__init__(f"the robot has no trust rule {trust_id}", remedy="list its rules")


class TooManyTrusts(Precondition):
    """The robot has as many rules as one may have."""


class Trusts:
    def __init__(self, database: Database, robots: Robots, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._robots = robots
        self._clock = clock

    async def list(
        self, principal: Principal, robot_id: int, request: ListRequest
    ) -> tuple[Sequence[StoredTrust], int]:
        await self._robots.get(principal, robot_id)
        return await self._database.read(queries.trusts_page, robot_id, request)

    async def get(self, principal: Principal, robot_id: int, trust_id: int) -> StoredTrust:
        """Raises `RobotUnknown` or `TrustUnknown`."""
        await self._robots.get(principal, robot_id)
        return await self._database.read(_existing, robot_id, trust_id)

    async def create(
        self, principal: Principal, robot_id: int, issuer: int | str, claims: Mapping[str, str]
    ) -> int:
        """`issuer` is the number or the name of a trusted one.  Raises `RequestInvalid` or `IssuerUnknown`."""
        robot = await self._robots.trusted_with(principal, robot_id)
        check_rule(claims)
        return await self._database.write(_create, principal, robot, issuer, claims, now=self._clock())

    async def update(
        self, principal: Principal, robot_id: int, trust_id: int, claims: Mapping[str, str]
    ) -> None:
        robot = await self._robots.trusted_with(principal, robot_id)
        check_rule(claims)
        await self._database.write(_update, principal, robot, trust_id, claims, now=self._clock())

    async def delete(self, principal: Principal, robot_id: int, trust_id: int) -> None:
        """Login tokens that were issued by the rule end by themselves, within the quarter of an hour."""
        robot = await self._robots.trusted_with(principal, robot_id)
        await self._database.write(_delete, principal, robot, trust_id, now=self._clock())


def _existing(conn: Connection, robot_id: int, trust_id: int) -> StoredTrust:
    found = queries.trust_with_id(conn, robot_id, trust_id)
    if found is None:
        raise TrustUnknown(trust_id)
    return found


def _issuer(conn: Connection, reference: int | str) -> StoredIssuer:
    if isinstance(reference, int):
        found = queries.issuer_with_id(conn, reference)
    else:
        found = queries.issuer_named(conn, reference)
    if found is None:
        raise IssuerUnknown(reference)
    return found


def _create(
    conn: Connection,
    principal: Principal,
    robot: StoredRobot,
    reference: int | str,
    claims: Mapping[str, str],
    *,
    now: int,
) -> int:
    issuer = _issuer(conn, reference)
    if queries.count_trusts(conn, robot.id) >= MOST_TRUSTS:
        raise TooManyTrusts(
            f"a robot has at most {MOST_TRUSTS} trust rules",
            remedy="join some by a pattern, or make another robot",
            limit=MOST_TRUSTS,
        )
    trust_id = queries.add_trust(conn, robot.id, issuer.id, claims, now=now)
    _tell(conn, principal, "create", robot, _existing(conn, robot.id, trust_id), now=now)
    record(
        conn,
        TRUST_CREATED,
        project_id=robot.project_id,
        now=now,
        robot=robot.full_name,
        issuer=issuer.name,
        user=principal.username,
    )
    return trust_id


def _update(
    conn: Connection,
    principal: Principal,
    robot: StoredRobot,
    trust_id: int,
    claims: Mapping[str, str],
    *,
    now: int,
) -> None:
    before = _existing(conn, robot.id, trust_id)
    queries.change_trust(conn, trust_id, claims)
    _tell(conn, principal, "update", robot, _existing(conn, robot.id, trust_id), now=now)
    record(
        conn,
        TRUST_UPDATED,
        project_id=robot.project_id,
        now=now,
        robot=robot.full_name,
        issuer=before.issuer_name,
        user=principal.username,
    )


def _delete(conn: Connection, principal: Principal, robot: StoredRobot, trust_id: int, *, now: int) -> None:
    gone = _existing(conn, robot.id, trust_id)
    queries.remove_trust(conn, trust_id)
    _tell(conn, principal, "delete", robot, gone, now=now)
    record(
        conn,
        TRUST_DELETED,
        project_id=robot.project_id,
        now=now,
        robot=robot.full_name,
        issuer=gone.issuer_name,
        user=principal.username,
    )


def _tell(
    conn: Connection,
    principal: Principal,
    operation: str,
    robot: StoredRobot,
    trust: StoredTrust,
    *,
    now: int,
) -> None:
    trail.record(
        conn,
        principal,
        operation,
        "robot-trust",
        robot.full_name,
        now=now,
        project_id=robot.project_id,
        payload={"issuer": trust.issuer_name, "claims": dict(trust.claims)},
    )
