"""The SQL of trusted issuers, and of which of their tokens stand for which robot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, RowMapping, Table, case, delete, func, select, update

from roadstead.db.insert import insert_id
from roadstead.db.listing import Field, ListRequest, page_of
from roadstead.db.tables import RobotTrust, TrustedIssuer, User
from roadstead.db.tables.users import ROBOT

ISSUERS: Table = cast("Table", TrustedIssuer.__table__)
TRUSTS: Table = cast("Table", RobotTrust.__table__)
USERS: Table = cast("Table", User.__table__)

FIELDS = {
    "id": Field(ISSUERS.c.id, "number"),
    "name": Field(ISSUERS.c.name),
    "issuer": Field(ISSUERS.c.issuer),
    "creation_time": Field(ISSUERS.c.created_at, "time"),
    "update_time": Field(ISSUERS.c.updated_at, "time"),
}
TRUST_FIELDS = {
    "id": Field(TRUSTS.c.id, "number"),
    "issuer_id": Field(TRUSTS.c.issuer_id, "number"),
    "creation_time": Field(TRUSTS.c.created_at, "time"),
}


@dataclass(frozen=True, slots=True)
class StoredIssuer:
    id: int
    name: str
    issuer: str
    audience: str
    jwks_uri: str | None
    jwks: Mapping[str, Any] | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class StoredTrust:
    id: int
    robot_id: int
    issuer_id: int
    issuer_name: str
    claims: Mapping[str, str]
    created_at: int


@dataclass(frozen=True, slots=True)
class TrustedRobot:
    """A robot, and the rules of which one must fit a token of one issuer."""

    id: int
    username: str
    rules: Sequence[Mapping[str, object]]


# ── issuers ─────────────────────────────────────────────────────────────────────────────────────────────────


def issuer_called(conn: Connection, issuer: str) -> StoredIssuer | None:
    """By the `iss` of its tokens, byte for byte."""
    return _issuer(conn.execute(select(ISSUERS).where(ISSUERS.c.issuer == issuer)).mappings().one_or_none())


def issuer_with_id(conn: Connection, issuer_id: int) -> StoredIssuer | None:
    return _issuer(conn.execute(select(ISSUERS).where(ISSUERS.c.id == issuer_id)).mappings().one_or_none())


def issuer_named(conn: Connection, name: str) -> StoredIssuer | None:
    return _issuer(conn.execute(select(ISSUERS).where(ISSUERS.c.name == name)).mappings().one_or_none())


def issuers_page(conn: Connection, request: ListRequest) -> tuple[list[StoredIssuer], int]:
    rows, total = page_of(conn, select(ISSUERS), request, FIELDS, default=[ISSUERS.c.name])
    return [_issuer_of(row) for row in rows], total


def add_issuer(conn: Connection, values: Mapping[str, object], *, now: int) -> int:
    return insert_id(conn, TrustedIssuer, {**values, "created_at": now, "updated_at": now})


def change_issuer(conn: Connection, issuer_id: int, values: Mapping[str, object], *, now: int) -> None:
    # Never the same twice: what was fetched for the row as it was is known by it.
    moment = case((ISSUERS.c.updated_at >= now, ISSUERS.c.updated_at + 1), else_=now)
    conn.execute(update(ISSUERS).where(ISSUERS.c.id == issuer_id).values(**values, updated_at=moment))


def remove_issuer(conn: Connection, issuer_id: int) -> None:
    """The rules that name it go with it."""
    conn.execute(delete(ISSUERS).where(ISSUERS.c.id == issuer_id))


def _issuer(row: RowMapping | None) -> StoredIssuer | None:
    return None if row is None else _issuer_of(row)


def _issuer_of(row: RowMapping) -> StoredIssuer:
    return StoredIssuer(
        id=row["id"],
        name=row["name"],
        issuer=row["issuer"],
        audience=row["audience"],
        jwks_uri=row["jwks_uri"],
        jwks=row["jwks"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


# ── trust ───────────────────────────────────────────────────────────────────────────────────────────────────

_TRUSTS = select(
    TRUSTS.c.id,
    TRUSTS.c.robot_id,
    TRUSTS.c.issuer_id,
    ISSUERS.c.name.label("issuer_name"),
    TRUSTS.c.claims,
    TRUSTS.c.created_at,
).join(ISSUERS, ISSUERS.c.id == TRUSTS.c.issuer_id)


def trusted_robot(conn: Connection, username: str, issuer_id: int) -> TrustedRobot | None:
    """The robot of this name, with what it trusts of this issuer."""
    found = conn.execute(select(USERS.c.id).where(USERS.c.username == username, USERS.c.kind == ROBOT))
    robot_id = found.scalar_one_or_none()
    if robot_id is None:
        return None
    mine = (TRUSTS.c.robot_id == robot_id) & (TRUSTS.c.issuer_id == issuer_id)
    rules = conn.scalars(select(TRUSTS.c.claims).where(mine).order_by(TRUSTS.c.id))
    return TrustedRobot(robot_id, username, list(rules))


def may_enter(conn: Connection, robot_id: int, *, now: int) -> bool:
    good = ~USERS.c.disabled & (USERS.c.expires_at.is_(None) | (USERS.c.expires_at > now))
    return conn.scalar(select(USERS.c.id).where(USERS.c.id == robot_id, good)) is not None


def note_use(conn: Connection, robot_id: int, *, now: int) -> None:
    conn.execute(update(USERS).where(USERS.c.id == robot_id).values(last_login_at=now))


def trusts_page(conn: Connection, robot_id: int, request: ListRequest) -> tuple[list[StoredTrust], int]:
    mine = _TRUSTS.where(TRUSTS.c.robot_id == robot_id)
    rows, total = page_of(conn, mine, request, TRUST_FIELDS, default=[TRUSTS.c.id])
    return [StoredTrust(**row) for row in rows], total


def trust_with_id(conn: Connection, robot_id: int, trust_id: int) -> StoredTrust | None:
    """Only as that robot's: a rule's number says nothing of whose it is."""
    mine = (TRUSTS.c.robot_id == robot_id) & (TRUSTS.c.id == trust_id)
    row = conn.execute(_TRUSTS.where(mine)).mappings().one_or_none()
    return None if row is None else StoredTrust(**row)


def count_trusts(conn: Connection, robot_id: int) -> int:
    return conn.scalar(select(func.count()).where(TRUSTS.c.robot_id == robot_id)) or 0


def add_trust(conn: Connection, robot_id: int, issuer_id: int, claims: Mapping[str, str], *, now: int) -> int:
    values = {"robot_id": robot_id, "issuer_id": issuer_id, "claims": dict(claims), "created_at": now}
    return insert_id(conn, RobotTrust, values)


def change_trust(conn: Connection, trust_id: int, claims: Mapping[str, str]) -> None:
    conn.execute(update(TRUSTS).where(TRUSTS.c.id == trust_id).values(claims=dict(claims)))


def remove_trust(conn: Connection, trust_id: int) -> None:
    conn.execute(delete(TRUSTS).where(TRUSTS.c.id == trust_id))
