"""Whose request is this?

Answers come from memory where they can: a token that was verified before, a password that was compared within
the last minute.  That is safe because an answer says only who asks and as of which epoch of the account; the
caller compares the epoch with the live row, in the statement that reads the request's facts, and reports an
answer that has been overtaken with `forget`.

Short-lived login tokens are looked up each time: each of them can be revoked by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Coroutine
from typing import NamedTuple, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from roadstead.audit.trail import Actor, Outcome
from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.db.tables.users import CHOSEN, HANDED_OVER
from roadstead.errors import Denied, RoadsteadError, TooManyRequests, Unauthenticated
from roadstead.identity import login_tokens, queries
from roadstead.identity.credentials import Bearer, Password, parse_authorization
from roadstead.identity.lockouts import KNOWN_NOTED_EVERY, Lockouts, SharedCount, source_of
from roadstead.identity.passwords import PasswordHasher, is_secret_hash, secret_matches
from roadstead.identity.principals import ANONYMOUS, Principal
from roadstead.identity.queries import Account, Credentials
from roadstead.identity.rules import RESERVED_PREFIX, canonical_login
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
REGISTRY = "registry"


class WrongCredentials(Unauthenticated):
    """One answer for a wrong password, an account that is not there and one that is disabled."""

    def __init__(self) -> None:
        super().__init__("the user name or the password is wrong", remedy="check both, then sign in again")


class PasswordHandedOver(Denied):
    """The password was made up, or somebody else chose it: it is good for choosing another."""

    def __init__(self, principal: Principal) -> None:
        super().__init__(
            "this password was handed over and must be changed before it opens anything here",
            remedy=f"PUT /api/v2.0/users/{principal.user_id}/password with"
            ' {"old_password": …, "new_password": …}, signed in with it',
        )


class SignInNotes(Protocol):
    """Where sign-ins and refused ones are written down: `audit.notes.AuditNotes` is one."""

    def note(
        self,
        actor: Actor,
        operation: str,
        resource_type: str,
        resource: str,
        *,
        outcome: Outcome,
        description: str = "",
    ) -> None:
        """One more.  Never waits."""
        ...  # fmt: skip


class _Remembered(NamedTuple):
    principal: Principal
    # In milliseconds since 1970.
    until: int = 0
    # Of the key ring, when a token was verified.
    generation: int = 0
    # The password is good for choosing another only.
    handed_over: bool = False


class Authenticator:
    """Turns proofs into principals.  One for each process."""

    def __init__(
        self,
        database: Database,
        issuer: TokenIssuer,
        hasher: PasswordHasher,
        settings: AuthSettings,
        *,
        notes: SignInNotes | None = None,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._ring = issuer.ring
        self._hasher = hasher
        self._notes = notes
        self._clock = clock
        self._throttle = SignInThrottle(
            max_failures=settings.max_failures, window=settings.failure_window, clock=clock
        )
        self._lockouts = Lockouts(database, settings, clock=clock)
        self._memory_ms = int(settings.credential_cache * 1000)
        # Passwords are remembered as MACs under a key that dies with the process.
        self._key = secrets.token_bytes(32)
        self._tokens: dict[str, _Remembered] = {}
        self._passwords: dict[bytes, _Remembered] = {}
        # Epochs of accounts that are known to be over.
        self._overtaken: dict[int, int] = {}
        self._checking: dict[bytes, asyncio.Task[_Remembered]] = {}
        self._chores: set[asyncio.Task[None]] = set()

    async def authenticate(
        self, authorization: str | None, *, client: str, door: str = REGISTRY, request_id: str = ""
    ) -> Principal:
        """Who sends a request with this `Authorization` header, from the address `client`, to a door.

        No header, and Basic with neither name nor password, is `ANONYMOUS`.  Raises `Unauthenticated`,
        `PasswordHandedOver`, `TooManyRequests` or `Unavailable`.
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
                return await self.sign_in(credentials, client=client, door=door, request_id=request_id)
        return ANONYMOUS

    async def sign_in(
        self,
        credentials: Password,
        *,
        client: str,
        live: bool = False,
        door: str = REGISTRY,
        request_id: str = "",
    ) -> Principal:
        """Whose name and password these are.

        With `live`, a remembered answer is compared with the account's row; else the caller does so.  A password
        that was handed over is refused at the registry's door; at the others, `Principal.must_change` says what
        it is good for.  Raises `WrongCredentials`, `PasswordHandedOver`, `TooManyRequests` or `Unavailable`.
        """
        key = self._mac(credentials)
        known = self._remembered(key)
        if known is not None and live and not await self._is_current(known.principal):
            self.forget(known.principal)
            known = None
        if known is None:
            here = ANONYMOUS.at(door, address=client, request_id=request_id)
            known = await self._prove(credentials, key, here)
        if known.handed_over and door == REGISTRY:
            raise PasswordHandedOver(known.principal)
        return known.principal

    async def _prove(self, credentials: Password, key: bytes, here: Principal) -> _Remembered:
        """Compare what was sent with what is kept, and write down what came of it."""
        name = canonical_login(credentials.username)
        if name is not None:
            # What cannot be guessed needs no limit to guesses, and nobody's guesses shut it out.
            strong = await self._strong(name, credentials.password, key)
            if strong is not None:
                return self._told(strong, here)
        # Any name is counted, whether there is such an account or not, and none takes much room.
        account = name or self._mac(Password(credentials.username, b"")).hex()
        source = source_of(here.address)
        shared = await self._lockouts.look(name or "", source)
        known = self._remembered(key)
        if known is not None:
            # Meanwhile another request brought the same proof.
            return known
        try:
            self._admit(account, source, shared)
        except TooManyRequests:
            self._refused(name, here, "too many wrong passwords")
            raise
        try:
            known = await self._compared(name, credentials.password, key)
        except WrongCredentials as error:
            counts = self._throttle.failed(account, source, key[:8])
            if counts:
                self._later(self._lockouts.failed(name or "", source, counts))
            self._refused(name, here, "the user name or the password is wrong")
            raise WrongCredentials from error
        self._throttle.succeeded(account, source)
        if self._clock() - shared.known_at >= KNOWN_NOTED_EVERY:
            self._later(self._lockouts.know(name or "", source))
        return self._told(known, here)

    def _admit(self, account: str, source: str, shared: SharedCount) -> None:
        """Raises `TooManyRequests` if strangers have had their tries, here or on any worker."""
        if shared.known_at:
            self._throttle.meet(account, source)
        if shared.lifted_at:
            self._throttle.forgive(account, before=shared.lifted_at)
        self._throttle.check(account, source)
        shared.check()

    async def _compared(self, name: str | None, password: bytes, key: bytes) -> _Remembered:
        """The same proof in many requests is compared once; a client that leaves stops only its own wait."""
        task = self._checking.get(key)
        if task is None:
            task = asyncio.create_task(self._check(name, password, key))
            self._checking[key] = task
            task.add_done_callback(lambda done: self._checked(key, done))
        return await asyncio.shield(task)

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

    async def _strong(self, name: str, secret: bytes, key: bytes) -> _Remembered | None:
        """Whose login token or generated robot's secret this is, if it is one that is good."""
        if secret.startswith(login_tokens.PREFIX.encode()):
            return await self._holder(name, secret)
        if name.startswith(RESERVED_PREFIX):
            found = await self._database.read(queries.credentials_of, name)
            if found is not None and self._may_enter(found.account) and _is_secret_of(found, secret):
                return self._accept(found, secret, key)
        return None

    async def _holder(self, name: str, secret: bytes) -> _Remembered | None:
        try:
            session = login_tokens.stored_id(secret.decode())
        except UnicodeDecodeError:
            return None
        now = self._clock()
        row = await self._database.first(login_tokens.HOLDER, {"id": session, "username": name, "now": now})
        if row is None:
            return None
        user_id, epoch, until, seen = row
        if now - seen >= login_tokens.SEEN_EVERY:
            self._later(self._database.write(login_tokens.touch, session, now))
        return _Remembered(Principal(user_id, name, epoch, scopes=None, until=until))

    async def _check(self, name: str | None, password: bytes, key: bytes) -> _Remembered:
        found = await self._database.read(_credentials, name)
        # Always, so that an account that is not there, or is disabled, takes as long as one that is.
        matches = await self._hasher.verify(found.password_hash if found else None, password)
        if found is None or not matches or not self._may_enter(found.account):
            raise WrongCredentials
        return self._accept(found, password, key)

    def _may_enter(self, account: Account) -> bool:
        expired = account.expires_at is not None and account.expires_at <= self._clock()
        return not account.disabled and not expired

    def _accept(self, found: Credentials, password: bytes, key: bytes) -> _Remembered:
        """The password is the account's: remember that for a while."""
        known = _Remembered(
            _principal(found.account),
            self._clock() + self._memory_ms,
            handed_over=found.account.password_state == HANDED_OVER,
        )
        if self._memory_ms:
            _remember(self._passwords, key, known)
        self._note(found, password)
        return known

    def _told(self, known: _Remembered, here: Principal) -> _Remembered:
        if self._notes is not None:
            who = known.principal
            actor = who.at(here.door, address=here.address, request_id=here.request_id)
            kind = "robot" if who.username.startswith(RESERVED_PREFIX) else "user"
            self._notes.note(actor, "login", kind, who.username, outcome="success")
        return known

    def _refused(self, name: str | None, here: Principal, why: str) -> None:
        if self._notes is not None:
            # What cannot be a name may be a password that was typed into the wrong field.
            self._notes.note(here, "login", "user", name or "", outcome="refused", description=why)

    def _checked(self, key: bytes, done: asyncio.Task[_Remembered]) -> None:
        self._checking.pop(key, None)
        if not done.cancelled():
            # Looked at, in case that nobody waits for it any more.
            done.exception()

    def _remembered(self, key: bytes) -> _Remembered | None:
        known = self._passwords.get(key)
        if known is None:
            return None
        principal = known.principal
        overtaken = self._overtaken.get(principal.user_id or 0, -1) >= principal.epoch
        if overtaken or self._clock() >= known.until:
            del self._passwords[key]
            return None
        return known

    def _mac(self, credentials: Password) -> bytes:
        # A name with NUL in it is nobody's, so that no two credentials that could be good share a MAC.
        message = credentials.username.encode() + b"\0" + credentials.password
        return hmac.digest(self._key, message, hashlib.sha256)

    async def _is_current(self, principal: Principal) -> bool:
        if principal.user_id is None:
            return True
        account = await self._database.read(queries.account_with_id, principal.user_id)
        return account is not None and self._may_enter(account) and account.epoch == principal.epoch

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


def _is_secret_of(found: Credentials, secret: bytes) -> bool:
    return is_secret_hash(found.password_hash) and secret_matches(found.password_hash, secret)


def _principal(account: Account) -> Principal:
    changes = account.password_state != CHOSEN
    return Principal(account.id, account.username, account.epoch, scopes=None, must_change=changes)


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    """Keep a value, at the cost of the oldest if there are too many."""
    memory.pop(key, None)
    if len(memory) >= MAX_REMEMBERED:
        del memory[next(iter(memory))]
    memory[key] = value
