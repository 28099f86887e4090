"""The SQL of robots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, RowMapping, Select, Table, delete, exists, false, or_, select, update

from roadstead.db.insert import insert, insert_id, insert_id_or_none
from roadstead.db.listing import Field, ListRequest, page_of
from roadstead.db.tables import GrantRow, Robot, User
from roadstead.db.tables.grants import IN_PROJECT
from roadstead.db.tables.users import ROBOT
from roadstead.projects.access import GRANTS, GROUP_MEMBERS, PROJECTS, ROLES, USERS
from roadstead.projects.robots.rules import PlacedBlock
from roadstead.projects.roles import Permission, Role

ROBOTS: Table = cast("Table", Robot.__table__)
_CREATORS = USERS.alias("creators")


@dataclass(frozen=True, slots=True)
class StoredRobot:
    """A robot as those who may see it see it: everything but the hash of its secret."""

    id: int
    # With the prefix and the project that it was made in.
    full_name: str
    name: str
    description: str
    # None: a robot of the system.
    project_id: int | None
    project_name: str | None
    duration: int
    disabled: bool
    expires_at: int | None
    creator_id: int | None
    creator_is_robot: bool
    created_at: int
    updated_at: int
    last_used_at: int | None
    blocks: tuple[PlacedBlock, ...]

    @property
    def level(self) -> str:
        return "system" if self.project_id is None else "project"


_SELECT = (
    select(
        ROBOTS.c.account_id,
        ROBOTS.c.name,
        ROBOTS.c.description,
        ROBOTS.c.project_id,
        ROBOTS.c.duration,
        ROBOTS.c.creator_id,
        ROBOTS.c.created_at,
        ROBOTS.c.updated_at,
        USERS.c.username,
        USERS.c.disabled,
        USERS.c.expires_at,
        USERS.c.last_login_at,
        PROJECTS.c.name.label("project_name"),
        _CREATORS.c.kind.label("creator_kind"),
    )
    .join(USERS, USERS.c.id == ROBOTS.c.account_id)
    .outerjoin(PROJECTS, PROJECTS.c.id == ROBOTS.c.project_id)
    .outerjoin(_CREATORS, _CREATORS.c.id == ROBOTS.c.creator_id)
)
FIELDS = {
    "id": Field(ROBOTS.c.account_id, "number"),
    "name": Field(USERS.c.username),
    "Name": Field(USERS.c.username),
    "description": Field(ROBOTS.c.description),
    "duration": Field(ROBOTS.c.duration, "number"),
    "disable": Field(USERS.c.disabled, "flag"),
    "creation_time": Field(ROBOTS.c.created_at, "time"),
    "update_time": Field(ROBOTS.c.updated_at, "time"),
}


def robot_with_id(conn: Connection, robot_id: int) -> StoredRobot | None:
    return next(iter(_read(conn, _SELECT.where(ROBOTS.c.account_id == robot_id))), None)


def robots_made_by(conn: Connection, robot_id: int) -> Sequence[StoredRobot]:
    return _read(conn, _SELECT.where(ROBOTS.c.creator_id == robot_id))


def robots_page(
    conn: Connection, project_id: int | None, request: ListRequest
) -> tuple[Sequence[StoredRobot], int]:
    """Robots of a project, or with None those of the system."""
    whose = ROBOTS.c.project_id.is_(None) if project_id is None else ROBOTS.c.project_id == project_id
    rows, total = page_of(
        conn, _SELECT.where(whose), request, FIELDS, default=[USERS.c.username, ROBOTS.c.account_id]
    )
    return _with_blocks(conn, rows), total


def is_robot(conn: Connection, user_id: int) -> bool:
    return conn.scalar(select(ROBOTS.c.account_id).where(ROBOTS.c.account_id == user_id)) is not None


def makes_robots_somewhere(conn: Connection, user_id: int) -> bool:
    """Whether an account may make robots in some project at least."""
    groups = select(GROUP_MEMBERS.c.group_id).where(GROUP_MEMBERS.c.user_id == user_id)
    makes = or_(
        GRANTS.c.role_id == int(Role.PROJECT_ADMIN),
        ROLES.c.permissions.contains("robot:create"),
        GRANTS.c.permissions.contains("robot:create"),
    )
    found = (
        exists()
        .select_from(GRANTS.outerjoin(ROLES, ROLES.c.id == GRANTS.c.role_id))
        .where(
            or_(GRANTS.c.user_id == user_id, GRANTS.c.group_id.in_(groups)),
            GRANTS.c.repositories == "",
            makes,
        )
    )
    return bool(conn.scalar(select(found)))


def permissions_at(conn: Connection, user_id: int, place: str) -> frozenset[Permission]:
    """What an account was itself given in a place that is no single project."""
    given = select(GRANTS.c.permissions).where(GRANTS.c.user_id == user_id, GRANTS.c.place == place)
    return frozenset(p for (text,) in conn.execute(given) for p in text.split(",") if p)


def add_robot(
    conn: Connection,
    *,
    full_name: str,
    name: str,
    project_id: int | None,
    description: str,
    duration: int,
    disabled: bool,
    expires_at: int | None,
    secret_hash: str,
    creator_id: int | None,
    blocks: Sequence[PlacedBlock],
    now: int,
) -> int | None:
    """The new robot's id; None if the name is taken."""
    account = {
        "username": full_name,
        "password_hash": secret_hash,
        "admin": False,
        "disabled": disabled,
        "credential_epoch": 1,
        "created_at": now,
        "last_login_at": None,
        "kind": ROBOT,
        "expires_at": expires_at,
        "updated_at": now,
    }
    robot_id = insert_id_or_none(conn, User, account, keys=("username",))
    if robot_id is None:
        return None
    values = {
        "account_id": robot_id,
        "project_id": project_id,
        "name": name,
        "description": description,
        "duration": duration,
        "creator_id": creator_id,
        "created_at": now,
        "updated_at": now,
    }
    conn.execute(insert(conn.dialect.name, Robot).values(values).inline())
    _give(conn, robot_id, blocks, now=now)
    return robot_id


def change_robot(
    conn: Connection, robot_id: int, *, description: str, duration: int, expires_at: int | None, now: int
) -> None:
    values = {"description": description, "duration": duration, "updated_at": now}
    conn.execute(update(ROBOTS).where(ROBOTS.c.account_id == robot_id).values(values))
    conn.execute(update(USERS).where(USERS.c.id == robot_id).values(expires_at=expires_at, updated_at=now))


def shorten(conn: Connection, robot_id: int, expires_at: int) -> None:
    """Let it end no later than that."""
    later = or_(USERS.c.expires_at.is_(None), USERS.c.expires_at > expires_at)
    conn.execute(update(USERS).where(USERS.c.id == robot_id, later).values(expires_at=expires_at))


def set_disabled(conn: Connection, robot_id: int, disabled: bool) -> None:
    """Both ways void what was proved before."""
    conn.execute(
        update(USERS)
        .where(USERS.c.id == robot_id, USERS.c.disabled != disabled)
        .values(disabled=disabled, credential_epoch=USERS.c.credential_epoch + 1)
    )


def replace_secret(conn: Connection, robot_id: int, secret_hash: str, *, now: int) -> None:
    """Whatever was proved with the old one is void."""
    changed = {"credential_epoch": USERS.c.credential_epoch + 1, "updated_at": now}
    conn.execute(update(USERS).where(USERS.c.id == robot_id).values(password_hash=secret_hash, **changed))


def replace_blocks(conn: Connection, robot_id: int, blocks: Sequence[PlacedBlock], *, now: int) -> None:
    conn.execute(delete(GRANTS).where(GRANTS.c.user_id == robot_id))
    _give(conn, robot_id, blocks, now=now)


def remove_robot(conn: Connection, robot_id: int) -> None:
    """Its grants, trusts and sessions go with its account."""
    conn.execute(delete(USERS).where(USERS.c.id == robot_id, USERS.c.kind == ROBOT))


def _give(conn: Connection, robot_id: int, blocks: Iterable[PlacedBlock], *, now: int) -> None:
    for block in blocks:
        values = {
            "place": block.place,
            "project_id": block.project_id,
            "user_id": robot_id,
            "group_id": None,
            "role_id": None,
            "permissions": ",".join(sorted(set(block.permissions))),
            "repositories": "",
            "created_at": now,
        }
        insert_id(conn, GrantRow, values)


def _read(conn: Connection, statement: Select[*tuple[object, ...]]) -> Sequence[StoredRobot]:
    return _with_blocks(conn, list(conn.execute(statement.order_by(USERS.c.username)).mappings()))


def _with_blocks(conn: Connection, rows: Sequence[RowMapping]) -> Sequence[StoredRobot]:
    ids = [row["account_id"] for row in rows]
    blocks: dict[int, list[PlacedBlock]] = {robot_id: [] for robot_id in ids}
    given = (
        select(GRANTS.c.user_id, GRANTS.c.place, GRANTS.c.project_id, PROJECTS.c.name, GRANTS.c.permissions)
        .outerjoin(PROJECTS, PROJECTS.c.id == GRANTS.c.project_id)
        .where(GRANTS.c.user_id.in_(ids) if ids else false())
        .order_by(GRANTS.c.id)
    )
    for robot_id, place, project_id, project_name, permissions in conn.execute(given):
        if place != IN_PROJECT or project_name is not None:
            held = tuple(p for p in permissions.split(",") if p)
            blocks[robot_id].append(PlacedBlock(place, project_id, project_name, held))
    return [_robot(row, blocks[row["account_id"]]) for row in rows]


def _robot(row: RowMapping, blocks: Sequence[PlacedBlock]) -> StoredRobot:
    return StoredRobot(
        id=row["account_id"],
        full_name=row["username"],
        name=row["name"],
        description=row["description"],
        project_id=row["project_id"],
        project_name=row["project_name"],
        duration=row["duration"],
        disabled=bool(row["disabled"]),
        expires_at=row["expires_at"],
        creator_id=row["creator_id"],
        creator_is_robot=row["creator_kind"] == ROBOT,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_used_at=row["last_login_at"],
        blocks=tuple(blocks),
    )
