"""Limits to guessing that all workers and replicas keep together.

Each process counts for itself first (`throttle`).  What strangers do to an account, or from an address, is written
down off the requests' path, and adds up: as many different wrong passwords as may be within the window lock the
account, or the address, for half a minute, and each one after that for twice as long, up to a quarter of an hour.

A lock is for strangers.  Whoever signed in to the account from an address within the last months is let through
there; so are tokens, sessions and remembered passwords, which never come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from sqlalchemy import Connection, Table, bindparam, case, delete, or_, select, update

from roadstead.audit.trail import Actor
from roadstead.audit.trail import record as record_audit
from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database, PreparedQuery
from roadstead.db.insert import insert, upsert
from roadstead.db.tables import SignInFailure
from roadstead.errors import TooManyRequests
from roadstead.events.outbox import record
from roadstead.identity.principals import ANONYMOUS
from roadstead.identity.queries import Account, account_named
from roadstead.identity.rules import RESERVED_PREFIX
from roadstead.identity.throttle import ACCOUNT, ADDRESS, PATIENCE_WITH_ROBOTS
from roadstead.telemetry.clock import Clock, now_ms

LOCKED = "user.locked"
UNLOCKED = "user.unlocked"
FIRST_LOCK_MS = 30_000
LONGEST_LOCK_MS = 900_000
# An address at which an account's owner was is known for that long, in milliseconds.
KNOWN_FOR = 90 * 24 * 3_600_000
KNOWN_NOTED_EVERY = 24 * 3_600_000
_KNOWN = "known"
_BATCH = 1000

_FAILURES: Table = SignInFailure.__table__  # type: ignore[assignment]  # declared as FromClause
_LOOK = PreparedQuery(
    select(_FAILURES.c.key, _FAILURES.c.began_at, _FAILURES.c.failures, _FAILURES.c.locked_until).where(
        or_(*(_FAILURES.c.key == bindparam(name) for name in (ACCOUNT, ADDRESS, _KNOWN)))
    )
)


class SharedCount(NamedTuple):
    """What is known of an account and an address, here and elsewhere."""

    # Seconds until strangers may try again; 0 is now.
    wait: int
    # When the account's owner was last noted at the address; 0 is never.
    known_at: int
    # When an administrator lifted the account's lock, if nothing happened since; 0 is never.
    lifted_at: int

    def check(self) -> None:
        """Raises `TooManyRequests`."""
        if self.wait and not self.known_at:
            raise TooManyRequests(
                "there were too many wrong passwords",
                remedy=f"wait {self.wait} seconds; tokens you already have stay good",
                retry_after=self.wait,
            )


class Lockouts:
    def __init__(self, database: Database, settings: AuthSettings, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._max_failures = settings.max_failures
        self._window_ms = int(settings.failure_window * 1000)
        self._clock = clock

    async def look(self, account: str, source: str) -> SharedCount:
        """`account` is empty where there can be none of that name; `source` is from `source_of`."""
        now = self._clock()
        keys = {
            ACCOUNT: f"{ACCOUNT}:{account}",
            ADDRESS: f"{ADDRESS}:{source}",
            _KNOWN: f"{_KNOWN}:{account}:{source}",
        }
        wait = known_at = lifted_at = 0
        for key, began, failures, until in await self._database.all(_LOOK, keys):
            if key == keys[_KNOWN]:
                known_at = began if until > now else 0
                continue
            wait = max(wait, -(-(until - now) // 1000))
            if key == keys[ACCOUNT] and not failures:
                lifted_at = began
        return SharedCount(wait, known_at, lifted_at)

    async def failed(self, account: str, source: str, counts: Sequence[str]) -> None:
        """Strangers' wrong credentials: `counts` are those of `throttle.SignInThrottle.failed`."""
        names = {ACCOUNT: account, ADDRESS: source}
        told = [(kind, names[kind]) for kind in sorted(counts) if names[kind]]
        if told:
            await self._database.write(_count, told, self._max_failures, self._window_ms, self._clock())

    async def know(self, account: str, source: str) -> None:
        """The account's owner is at this address."""
        if account and source:
            now = self._clock()
            row = {
                "key": f"{_KNOWN}:{account}:{source}",
                "began_at": now,
                "failures": 0,
                "locked_until": now + KNOWN_FOR,
            }
            await self._database.write(_keep, row)

    async def forget_ended(self) -> int:
        """Delete what counts for nothing any more, and return how many."""
        total, found = 0, _BATCH
        while found == _BATCH:
            found = await self._database.write(_forget, self._window_ms, self._clock())
            total += found
        return total


def lift(conn: Connection, actor: Actor, account: Account, now: int) -> None:
    """Let strangers to an account try again, at once and on every worker."""
    _keep(conn, {"key": f"{ACCOUNT}:{account.username}", "began_at": now, "failures": 0, "locked_until": 0})
    record(conn, UNLOCKED, project_id=None, now=now, user_id=account.id, username=account.username)
    record_audit(conn, actor, "update", "user", account.username, now=now, payload={"locked": False})


def source_of(client: str) -> str:
    """What counts as one address: one of IPv4's, and with IPv6 the network that one customer gets."""
    try:
        found = ip_address(client)
    except ValueError:
        return client
    if not isinstance(found, IPv6Address):
        return client
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _keep(conn: Connection, row: dict[str, object]) -> None:
    upsert(conn, SignInFailure, row, keys=["key"], update=["began_at", "failures", "locked_until"])


def _count(
    conn: Connection, told: Sequence[tuple[str, str]], max_failures: int, window_ms: int, now: int
) -> None:
    for kind, name in told:
        failures = _add_one(conn, f"{kind}:{name}", window_ms, now)
        robot = kind == ACCOUNT and name.startswith(RESERVED_PREFIX)
        beyond = failures - max_failures * (PATIENCE_WITH_ROBOTS if robot else 1)
        if beyond < 0:
            continue
        lock = min(FIRST_LOCK_MS << min(beyond, 10), LONGEST_LOCK_MS)
        conn.execute(
            update(_FAILURES).where(_FAILURES.c.key == f"{kind}:{name}").values(locked_until=now + lock)
        )
        if kind == ACCOUNT and beyond == 0:
            _tell_locked(conn, name, now)


def _add_one(conn: Connection, key: str, window_ms: int, now: int) -> int:
    """How many there are now."""
    statement = insert(conn.dialect.name, SignInFailure).values(
        key=key, began_at=now, failures=1, locked_until=0
    )
    over = or_(
        _FAILURES.c.failures == 0,
        (_FAILURES.c.began_at <= now - window_ms) & (_FAILURES.c.locked_until <= now - LONGEST_LOCK_MS),
    )
    counted = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((over, 1), else_=_FAILURES.c.failures + 1),
            "began_at": case((over, now), else_=_FAILURES.c.began_at),
        },
    )
    return int(conn.execute(counted.returning(_FAILURES.c.failures)).scalar_one())


def _tell_locked(conn: Connection, username: str, now: int) -> None:
    account = account_named(conn, username)
    if account is not None:
        record(conn, LOCKED, project_id=None, now=now, user_id=account.id, username=username)
        record_audit(conn, ANONYMOUS, "update", "user", username, now=now, payload={"locked": True})


def _forget(conn: Connection, window_ms: int, now: int) -> int:
    ended = (
        select(_FAILURES.c.key)
        .where(_FAILURES.c.locked_until <= now - LONGEST_LOCK_MS, _FAILURES.c.began_at <= now - window_ms)
        .limit(_BATCH)
    )
    return conn.execute(delete(_FAILURES).where(_FAILURES.c.key.in_(ended.scalar_subquery()))).rowcount
