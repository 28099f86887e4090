"""Whose request is this?

Answers come from memory where they can: a token that was verified before, a password that was compared within
the last minute.  That is safe because an answer says only who asks and as of which epoch of the account; the
caller compares the epoch with the live row, in the statement that reads the request's facts, and reports an
answer that has been overtaken with `forget`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Coroutine
from typing import NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.errors import RoadsteadError, Unauthenticated
from roadstead.identity import queries
from roadstead.identity.credentials import Bearer, Password, parse_authorization
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.principals import ANONYMOUS, Principal
from roadstead.identity.queries import Account, Credentials
from roadstead.identity.rules import canonical_login
from roadstead.identity.throttle import SignInThrottle
from roadstead.identity.tokens import TokenInvalid, TokenIssuer
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

K = TypeVar("K")
V = TypeVar("V")

MAX_REMEMBERED = 10_000
# Tokens longer than this are verified each time: what is remembered stays within 20 MB.
MAX_REMEMBERED_TOKEN = 2048
# `last_login_at` is written at most this often for an account, in milliseconds.
LOGIN_NOTED_EVERY = 3_600_000


class WrongCredentials(Unauthenticated):
    """One answer for a wrong password, an account that is not there and one that is disabled."""

    def __init__(self) -> None:
        super().__init__("the user name or the password is wrong", remedy="check both, then sign in again")


class _Remembered(NamedTuple):
    principal: Principal
    # In milliseconds since 1970.
    until: int
    # Of the key ring, when a token was verified.
    generation: int


class Authenticator:
    """Turns proofs into principals.  One for each process."""

    def __init__(
        self,
        database: Database,
        issuer: TokenIssuer,
        hasher: PasswordHasher,
        settings: AuthSettings,
        *,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._ring = issuer.ring
        self._hasher = hasher
        self._clock = clock
        self._throttle = SignInThrottle(
            max_failures=settings.max_failures, window=settings.failure_window, clock=clock
        )
        self._memory_ms = int(settings.credential_cache * 1000)
        # Passwords are remembered as MACs under a key that dies with the process.
        self._key = secrets.token_bytes(32)
        self._tokens: dict[str, _Remembered] = {}
        self._passwords: dict[bytes, _Remembered] = {}
        # Epochs of accounts that are known to be over.
        self._overtaken: dict[int, int] = {}
        self._checking: dict[bytes, asyncio.Task[Principal]] = {}
        self._chores: set[asyncio.Task[None]] = set()

    async def authenticate(
        self,
        authorization: str | None,
        *,
        client: str,
        door: str = "registry",  # noqa: ARG002 - doors will differ in what a handed-over password opens
    ) -> Principal:
        """Who sends a request with this `Authorization` header, from the address `client`, to a door.

        No header, and Basic with neither name nor password, is `ANONYMOUS`.  Raises `Unauthenticated`,
        `TooManyRequests` or `Unavailable`.
        """
        if authorization is None:
            return ANONYMOUS
        now = self._clock()
        if now >= self._ring.due:
            await self._ring.refresh()
        known = self._tokens.get(authorization)
        if known is not None and now < known.until and known.generation == self._ring.generation:
            return known.principal
        match parse_authorization(authorization):
            case Bearer(token):
                return await self._verify(authorization, token)
            case Password() as credentials:
                return await self.sign_in(credentials, client=client)
        return ANONYMOUS

    async def sign_in(self, credentials: Password, *, client: str, live: bool = False) -> Principal:
        """Whose name and password these are.

        With `live`, a remembered answer is compared with the account's row; else the caller does so.  Raises
        `WrongCredentials`, `TooManyRequests` or `Unavailable`.
        """
        key = self._mac(credentials)
        principal = self._remembered(key)
        if principal is not None:
            if not live or await self._is_current(principal):
                return principal
            self.forget(principal)
        name = canonical_login(credentials.username)
        # Any name is counted, whether there is such an account or not, and none takes much room.
        account = name or self._mac(Password(credentials.username, b"")).hex()
        self._throttle.check(account, client)
        task = self._checking.get(key)
        if task is None:
            task = asyncio.create_task(self._check(name, credentials.password, key))
            self._checking[key] = task
            task.add_done_callback(lambda done: self._checked(key, done))
        try:
            # The same proof in many requests is compared once; a client that leaves stops only its own wait.
            principal = await asyncio.shield(task)
        except WrongCredentials as error:
            self._throttle.failed(account, client, key[:8])
            raise WrongCredentials from error
        self._throttle.succeeded(account, client)
        return principal

    async def renew(self, refresh_token: str) -> Principal:
        """Whose refresh token this is, as the account's row has it now.  Raises `TokenInvalid`."""
        claims = await self._issuer.verify_refresh(refresh_token)
        principal = Principal(claims.user_id, claims.username, claims.epoch, scopes=None)
        if principal.anonymous or not await self._is_current(principal):
            raise TokenInvalid
        return principal

    def forget(self, principal: Principal) -> None:
        """The account's epoch is no longer this principal's: compare its password again next time."""
        if principal.user_id is not None:
            epoch = max(principal.epoch, self._overtaken.get(principal.user_id, 0))
            _remember(self._overtaken, principal.user_id, epoch)

    async def close(self) -> None:
        """Finish what was begun off the requests' path."""
        await asyncio.gather(*self._chores, return_exceptions=True)

    async def _verify(self, authorization: str, token: str) -> Principal:
        generation = self._ring.generation
        claims = await self._issuer.verify_access(token)
        principal = claims.principal
        if len(authorization) <= MAX_REMEMBERED_TOKEN:
            # A token has several spellings (its signature has two forms).  That is harmless: each of them is
            # verified before it is remembered, and what revokes a token is in its claims.
            _remember(
                self._tokens, authorization, _Remembered(principal, claims.expires_at * 1000, generation)
            )
        return principal

    async def _check(self, name: str | None, password: bytes, key: bytes) -> Principal:
        found = await self._database.read(_credentials, name)
        # Always, so that an account that is not there, or is disabled, takes as long as one that is.
        matches = await self._hasher.verify(found.password_hash if found else None, password)
        if found is None or not matches or found.account.disabled:
            raise WrongCredentials
        principal = _principal(found.account)
        if self._memory_ms:
            _remember(self._passwords, key, _Remembered(principal, self._clock() + self._memory_ms, 0))
        self._note(found, password)
        return principal

    def _checked(self, key: bytes, done: asyncio.Task[Principal]) -> None:
        self._checking.pop(key, None)
        if not done.cancelled():
            # Looked at, in case that nobody waits for it any more.
            done.exception()

    def _remembered(self, key: bytes) -> Principal | None:
        known = self._passwords.get(key)
        if known is None:
            return None
        principal = known.principal
        overtaken = self._overtaken.get(principal.user_id or 0, -1) >= principal.epoch
        if overtaken or self._clock() >= known.until:
            del self._passwords[key]
            return None
        return principal

    def _mac(self, credentials: Password) -> bytes:
        # A name with NUL in it is nobody's, so that no two credentials that could be good share a MAC.
        message = credentials.username.encode() + b"\0" + credentials.password
        return hmac.digest(self._key, message, hashlib.sha256)

    async def _is_current(self, principal: Principal) -> bool:
        if principal.user_id is None:
            return True
        account = await self._database.read(queries.account_with_id, principal.user_id)
        return account is not None and not account.disabled and account.epoch == principal.epoch

    def _note(self, found: Credentials, password: bytes) -> None:
        now, last = self._clock(), found.account.last_login_at
        if last is None or now - last >= LOGIN_NOTED_EVERY:
            self._later(
                self._database.write(
                    queries.note_login, found.account.id, now=now, unless_after=now - LOGIN_NOTED_EVERY
                )
            )
        if self._hasher.needs_rehash(found.password_hash):
            self._later(self._rehash(found, password))

    async def _rehash(self, found: Credentials, password: bytes) -> None:
        renewed = await self._hasher.hash(password)
        await self._database.write(
            queries.renew_hash, found.account.id, before=found.password_hash, after=renewed
        )

    def _later(self, chore: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(_quietly(chore))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


async def _quietly(chore: Coroutine[None, None, None]) -> None:
    try:
        await chore
    except RoadsteadError as error:
        # The next sign-in tries again.
        log.warning("identity.sign_in_not_noted", error=error.message)


def _credentials(conn: Connection, name: str | None) -> Credentials | None:
    return queries.credentials_of(conn, name or "")


def _principal(account: Account) -> Principal:
    return Principal(account.id, account.username, account.epoch, scopes=None)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Keep a value, at the cost of the oldest if there are too many."""
    memory.pop(key, None)
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
