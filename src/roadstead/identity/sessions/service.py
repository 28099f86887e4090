"""What people may ask about who is signed in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from roadstead.audit.trail import record as record_audit
from roadstead.db.database import Database
from roadstead.db.tables.users import CHOSEN, PERSON
from roadstead.errors import Denied, NotFound, Precondition
from roadstead.events.outbox import record
from roadstead.identity import login_tokens
from roadstead.identity import queries as accounts
from roadstead.identity.accounts.authority import SystemAuthority
from roadstead.identity.accounts.changes import person
from roadstead.identity.login_tokens import SEEN_EVERY, IssuedLoginToken, issue_login_token, stored_id
from roadstead.identity.principals import Principal
from roadstead.identity.rules import check_profile_text
from roadstead.identity.sessions import queries
from roadstead.identity.sessions.queries import StoredSession
from roadstead.telemetry.clock import Clock, now_ms

TOKEN_CREATED = "login_token.created"  # noqa: S105 - an event's name
REVOKED = "session.revoked"

PREFIX = "rss_"
LONGEST_AGENT = 255
_BATCH = 1000


class SessionUnknown(NotFound):
    """There is no such session, or it is somebody else's."""


class ProofTooWeak(Denied):
    """What the caller signed in with is not good for this."""


class Begun(NamedTuple):
    # What the cookie holds.
    secret: str
    # In seconds from now.
    lifetime: int


class Sessions:
    """A session ends after `idle` seconds without a request, and after `lifetime` seconds in any case; with a new
    password, a disabled or a deleted account, at once, as every other proof does.
    """

    def __init__(
        self,
        database: Database,
        authority: SystemAuthority,
        *,
        idle: Callable[[], Awaitable[float]],
        lifetime: float,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._authority = authority
        self._idle = idle
        self._lifetime = int(lifetime)
        self._clock = clock

    async def begin(self, principal: Principal, *, user_agent: str) -> Begun:
        """Sign a person in who has just shown their password.  Raises `ProofTooWeak` for anything else."""
        await self._authority.signed_in(principal)
        if principal.until is not None:
            raise ProofTooWeak("a login token begins no session", remedy="sign in with the password")
        account = await self._database.read(accounts.account_with_id, principal.user_id or 0)
        if account is None or account.kind != PERSON:
            raise ProofTooWeak("robots have no sessions", remedy="send the secret with each request")
        begun, now = Begun(PREFIX + secrets.token_urlsafe(32), self._lifetime), self._clock()
        await self._database.write(
            queries.begin,
            stored_id(begun.secret),
            account.id,
            epoch=principal.epoch,
            address=principal.address,
            user_agent=user_agent[:LONGEST_AGENT],
            now=now,
            expires_at=now + self._lifetime * 1000,
        )
        return begun

    async def principal_of(self, secret: str) -> Principal | None:
        """Whose session this is, if it is good."""
        now = self._clock()
        seen_after = now - await self._idle_ms()
        session = stored_id(secret)
        row = await self._database.first(
            queries.OF_COOKIE, {"id": session, "now": now, "seen_after": seen_after}
        )
        if row is None:
            return None
        user_id, username, epoch, state, seen = row
        if now - seen >= SEEN_EVERY:
            await self._database.write(login_tokens.touch, session, now)
        return Principal(user_id, username, epoch, scopes=None, must_change=state != CHOSEN)

    async def end(self, secret: str) -> None:
        """Sign out."""
        await self._database.write(queries.end, stored_id(secret))

    async def list(self, principal: Principal, user_id: int | None = None) -> Sequence[StoredSession]:
        """One's own; or, with `session:list`, somebody else's.  Raises `UserUnknown`."""
        whose = await self._whose(principal, user_id, "session:list")
        now = self._clock()
        seen_after = now - await self._idle_ms()
        return await self._database.read(queries.of_user, whose, seen_after=seen_after, now=now)

    async def revoke(self, principal: Principal, session_id: str) -> None:
        """End one of one's own.  Raises `SessionUnknown`."""
        whose = await self._whose(principal, None, "session:delete")
        await self._database.write(_revoke, principal, whose, session_id, self._clock())

    async def revoke_all(self, principal: Principal, user_id: int) -> None:
        """End all of one's own; or, with `session:delete`, of somebody else's.  Raises `UserUnknown`."""
        whose = await self._whose(principal, user_id, "session:delete")
        await self._database.write(_revoke_all, principal, whose, self._clock())

    async def create_token(
        self, principal: Principal, name: str, lifetime: int, *, user_agent: str
    ) -> IssuedLoginToken:
        """A login token of one's own.

        Raises `ProofTooWeak` for robots, and for whoever signed in with a login token: it would never end.
        """
        await self._authority.signed_in(principal)
        if principal.until is not None:
            raise ProofTooWeak("a login token makes no other", remedy="sign in with the password")
        account = await self._database.read(accounts.account_with_id, principal.user_id or 0)
        if account is None or account.kind != PERSON:
            raise Precondition(
                "login tokens are for people", remedy="refresh the robot's secret, or trust a CI"
            )
        name = check_profile_text(name, "name of a token")
        return await self._database.write(
            _create_token, principal, account.id, name, lifetime, now=self._clock(), agent=user_agent
        )

    async def forget_ended(self) -> int:
        """Delete what is good for nothing any more, and return how many."""
        now = self._clock()
        seen_after, total = now - await self._idle_ms(), 0
        while True:
            found = await self._database.write(
                queries.forget_ended, seen_after=seen_after, now=now, limit=_BATCH
            )
            total += found
            if found < _BATCH:
                return total
            await asyncio.sleep(0)

    async def _idle_ms(self) -> int:
        return int(await self._idle() * 1000)

    async def _whose(self, principal: Principal, user_id: int | None, permission: str) -> int:
        await self._authority.signed_in(principal)
        if user_id is None or user_id == principal.user_id:
            return principal.user_id or 0
        await self._authority.system(principal, permission)
        return (await self._database.read(person, user_id)).id


def _create_token(
    conn: Connection,
    principal: Principal,
    user_id: int,
    name: str,
    lifetime: int,
    *,
    now: int,
    agent: str,
) -> IssuedLoginToken:
    issued = issue_login_token(
        conn, user_id, name, lifetime, now, address=principal.address, user_agent=agent[:LONGEST_AGENT]
    )
    record(
        conn, TOKEN_CREATED, project_id=None, now=now,
        user_id=user_id, username=principal.username, name=name, expires_at=issued.expires_at,
    )  # fmt: skip
    record_audit(conn, principal, "create", "login-token", name, now=now, payload={"lifetime": lifetime})
    return issued


def _revoke(conn: Connection, principal: Principal, user_id: int, session_id: str, now: int) -> None:
    found = queries.one_of_user(conn, user_id, session_id)
    if found is None:
        raise SessionUnknown("you have no such session", remedy="list your sessions to see their ids")
    queries.end(conn, session_id)
    _tell_ended(conn, principal, user_id, 1, now, name=found.name or found.kind)


def _revoke_all(conn: Connection, principal: Principal, user_id: int, now: int) -> None:
    ended = queries.end_all(conn, user_id)
    if ended:
        _tell_ended(conn, principal, user_id, ended, now, name=f"of user {user_id}")


def _tell_ended(
    conn: Connection, principal: Principal, user_id: int, count: int, now: int, *, name: str
) -> None:
    record(conn, REVOKED, project_id=None, now=now, user_id=user_id, count=count)
    record_audit(conn, principal, "delete", "session", name, now=now, payload={"count": count})
