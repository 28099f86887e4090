"""Short-lived login tokens: what somebody shows in place of a password, for some hours at most.

A token is 256 random bits, of which the SHA-256 is kept: there is nothing to guess, so it needs no slow hash and no
limit to tries.  It is looked up with every request and never remembered, so that it ends when its row does, and when
its account's epoch goes up.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_ignore
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Session, User
from roadstead.errors import Conflict, Invalid, NotFound

PREFIX = "rst_"
KIND = "token"
MAX_LIFETIME = 12 * 3600
DEFAULT_LIFETIME = 3600
# Of one account, at once.
MAX_TOKENS = 1000
# When a session was last used is written at most this often, in milliseconds.
SEEN_EVERY = 60_000

USERS: Table = User.__table__  # type: ignore[assignment]  # declared as FromClause
SESSIONS: Table = Session.__table__  # type: ignore[assignment]  # declared as FromClause

GOOD = (
    (SESSIONS.c.user_id == USERS.c.id)
    & (SESSIONS.c.epoch == USERS.c.credential_epoch)
    & ~USERS.c.disabled
    & (USERS.c.expires_at.is_(None) | (USERS.c.expires_at > bindparam("now")))
    & (SESSIONS.c.expires_at > bindparam("now"))
)
# Whose token this is: account, epoch, end, and when it was last seen.
HOLDER = PreparedQuery(
    select(USERS.c.id, USERS.c.credential_epoch, SESSIONS.c.expires_at, SESSIONS.c.last_seen_at).where(
        SESSIONS.c.id == bindparam("id"),
        SESSIONS.c.kind == KIND,
        USERS.c.username == bindparam("username"),
        GOOD,
    )
)
_SEEN = PreparedStatement(
    update(SESSIONS)
    .where(SESSIONS.c.id == bindparam("session"), SESSIONS.c.last_seen_at < bindparam("now"))
    .values(last_seen_at=bindparam("now"))
)


class IssuedLoginToken(NamedTuple):
    # Shown once.
    secret: str
    # In milliseconds since 1970.
    expires_at: int


class LifetimeInvalid(Invalid):
    """Nobody gets a login token for that long."""


class TooManyTokens(Conflict):
    """The account has as many login tokens as one may have."""


def issue_login_token(
    conn: Connection,
    user_id: int,
    name: str,
    lifetime: int,
    now: int,
    *,
    address: str = "",
    user_agent: str = "",
) -> IssuedLoginToken:
    """A new token for an account, good for `lifetime` seconds; `name` is what its holder calls it.

    Whoever calls this has made sure that the caller may sign in as that account, with more than a login token.
    Raises `LifetimeInvalid` or `TooManyTokens`.
    """
    if not 1 <= lifetime <= MAX_LIFETIME:
        raise LifetimeInvalid(
            f"a login token is good for 1 to {MAX_LIFETIME} seconds",
            remedy="ask for a shorter one, and for another when it ends",
            limit=MAX_LIFETIME,
        )
    epoch = conn.scalar(select(USERS.c.credential_epoch).where(USERS.c.id == user_id))
    if epoch is None:
        raise NotFound("there is no such account", remedy="check who is signed in")
    _make_room(conn, user_id, now)
    issued = IssuedLoginToken(PREFIX + secrets.token_urlsafe(32), now + lifetime * 1000)
    values = {
        "id": stored_id(issued.secret),
        "user_id": user_id,
        "kind": KIND,
        "name": name,
        "epoch": epoch,
        "address": address,
        "user_agent": user_agent,
        "created_at": now,
        "last_seen_at": now,
        "expires_at": issued.expires_at,
    }
    insert_ignore(conn, Session, values, keys=("id",))
    return issued


def stored_id(secret: str) -> str:
    """What the database knows a session or a login token by."""
    return hashlib.sha256(secret.encode()).hexdigest()


def touch(conn: Connection, session_id: str, now: int) -> None:
    """The session was used just now."""
    _SEEN.run(conn, {"session": session_id, "now": now})


def _make_room(conn: Connection, user_id: int, now: int) -> None:
    own = (SESSIONS.c.user_id == user_id) & (SESSIONS.c.kind == KIND)
    conn.execute(delete(SESSIONS).where(own, SESSIONS.c.expires_at <= now))
    if (conn.scalar(select(func.count()).select_from(SESSIONS).where(own)) or 0) >= MAX_TOKENS:
        raise TooManyTokens(
            f"an account has at most {MAX_TOKENS} login tokens at once",
            remedy="revoke some of them, or let them end",
            limit=MAX_TOKENS,
        )
