"""The SQL of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, select

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_ignore
from roadstead.db.tables import Session
from roadstead.identity.login_tokens import GOOD, SESSIONS, USERS

BROWSER = "browser"
# Of one account, at once: the ones unused for longest end.
MAX_BROWSERS = 100
MAX_LISTED = 2000

# Whose cookie this is: account, name, epoch, the state of the password, and when it was last seen.
OF_COOKIE = PreparedQuery(
    select(
        USERS.c.id,
        USERS.c.username,
        USERS.c.credential_epoch,
        USERS.c.password_state,
        SESSIONS.c.last_seen_at,
    ).where(
        SESSIONS.c.id == bindparam("id"),
        SESSIONS.c.kind == BROWSER,
        SESSIONS.c.last_seen_at > bindparam("seen_after"),
        GOOD,
    )
)
_OF_USER = (
    select(SESSIONS)
    .join(USERS, USERS.c.id == SESSIONS.c.user_id)
    .where(SESSIONS.c.user_id == bindparam("user"), GOOD)
    .order_by(SESSIONS.c.created_at.desc(), SESSIONS.c.id)
    .limit(MAX_LISTED)
)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as its owner may see it; times are in milliseconds since 1970."""

    # Of no use to anybody who wants to sign in.
    id: str
    # "browser" or "token".
    kind: str
    name: str
    address: str
    user_agent: str
    created_at: int
    last_seen_at: int
    expires_at: int


def begin(
    conn: Connection, session_id: str, user_id: int, *, epoch: int, address: str, user_agent: str, now: int,
    expires_at: int,
) -> None:  # fmt: skip
    """A browser's session."""
    _make_room(conn, user_id)
    values = {
        "id": session_id,
        "user_id": user_id,
        "kind": BROWSER,
        "name": "",
        "epoch": epoch,
        "address": address,
        "user_agent": user_agent,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": expires_at,
    }
    insert_ignore(conn, Session, values, keys=("id",))


def _make_room(conn: Connection, user_id: int) -> None:
    last = (
        select(SESSIONS.c.id)
        .where(SESSIONS.c.user_id == user_id, SESSIONS.c.kind == BROWSER)
        .order_by(SESSIONS.c.last_seen_at.desc(), SESSIONS.c.id)
        .offset(MAX_BROWSERS - 1)
        .limit(MAX_BROWSERS)
    )
    surplus = list(conn.scalars(last))
    if surplus:
        conn.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(surplus)))


def of_user(conn: Connection, user_id: int, *, seen_after: int, now: int) -> Sequence[StoredSession]:
    """The sessions that are still good, the latest first."""
    rows = conn.execute(_OF_USER, {"user": user_id, "now": now}).mappings()
    return [_stored(row) for row in rows if row["kind"] != BROWSER or row["last_seen_at"] > seen_after]


def one_of_user(conn: Connection, user_id: int, session_id: str) -> StoredSession | None:
    statement = select(SESSIONS).where(SESSIONS.c.user_id == user_id, SESSIONS.c.id == session_id)
    row = conn.execute(statement).mappings().one_or_none()
    return None if row is None else _stored(row)


def end(conn: Connection, session_id: str) -> None:
    conn.execute(delete(SESSIONS).where(SESSIONS.c.id == session_id))


def end_all(conn: Connection, user_id: int) -> int:
    """How many there were."""
    return conn.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id)).rowcount


def forget_ended(conn: Connection, *, seen_after: int, now: int, limit: int) -> int:
    """Delete sessions that are good for nothing any more, at most `limit`, and return how many."""
    current = exists().where(USERS.c.id == SESSIONS.c.user_id, USERS.c.credential_epoch == SESSIONS.c.epoch)
    idle = (SESSIONS.c.kind == BROWSER) & (SESSIONS.c.last_seen_at <= seen_after)
    ended = select(SESSIONS.c.id).where((SESSIONS.c.expires_at <= now) | idle | ~current).limit(limit)
    return conn.execute(delete(SESSIONS).where(SESSIONS.c.id.in_(ended.scalar_subquery()))).rowcount


def _stored(row: RowMapping) -> StoredSession:
    return StoredSession(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        address=row["address"],
        user_agent=row["user_agent"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
    )
