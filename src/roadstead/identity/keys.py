"""The installation's own keys, the same for all its workers and replicas.

Token keys are numbered.  Whoever needs a key that is not there adds the next number, and the database keeps
the first of those; so any number of processes that start at once agree without a lock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.errors import RoadsteadError, Unavailable
from roadstead.identity import queries
from roadstead.identity.queries import StoredKey
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

TOKEN_SIGNING = "token-signing"  # noqa: S105 - a purpose, no secret
UPLOAD_STATE = "upload-state"
_UPLOAD_SECRET_BYTES = 32

# Every process reads the keys again after this long, in milliseconds.
RELOAD_EVERY = 60_000
# A token of an unknown key makes a process look for new keys, but not more often than this.
RELOAD_AT_MOST_EVERY = 1_000


class KeyUnreadable(RoadsteadError):
    """A key of the installation cannot be used.  The server does not start without it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair on P-256, named by its `kid`."""

    kid: str
    private: ec.EllipticCurvePrivateKey
    public: ec.EllipticCurvePublicKey
    retired_at: int | None


class KeyRing:
    """The token keys as this process last saw them.  `open` reads them, and makes the first.

    `generation` goes up when a key is no longer what it was: whatever was verified before may be void.
    """

    def __init__(self, database: Database, keys: Sequence[SigningKey], *, keep: float, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._keep_ms = int(keep * 1000) + RELOAD_EVERY
        self._reloading: asyncio.Task[None] | None = None
        self.generation = 0
        self._take(keys)
        self._read_at = clock()
        # When the keys ought to be read again.
        self.due = self._read_at + RELOAD_EVERY

    @classmethod
    async def open(cls, database: Database, *, keep: float, clock: Clock = now_ms) -> KeyRing:
        """`keep` is how long a retired key goes on to verify: the life, in seconds, of what it signed last.

        Raises `KeyUnreadable`.
        """
        stored = await database.write(_keys_or_first, new_key_pem(), now=clock())
        return cls(database, [_parse(key) for key in stored], keep=keep, clock=clock)

    @property
    def signing(self) -> SigningKey:
        """The newest key that is not retired."""
        return self._signing

    @property
    def verifying(self) -> Mapping[str, SigningKey]:
        """By `kid`: the keys whose tokens may still be good."""
        return self._verifying

    async def refresh(self) -> None:
        """Read the keys again, now that they are due.  A database that is away is no reason to stop."""
        self.due = self._clock() + RELOAD_EVERY
        await self._reload()

    async def look_for_new(self) -> bool:
        """Read the keys again because somebody showed one that is not known here.

        False when that was done a moment ago: nobody makes us ask the database with each made-up key.
        """
        under_way = self._reloading is not None and not self._reloading.done()
        if not under_way and self._clock() - self._read_at < RELOAD_AT_MOST_EVERY:
            return False
        await self._reload()
        return True

    async def rotate(self, *, distrust: bool = False) -> str:
        """Sign with a new key from now on; its `kid`.  Other processes follow within `RELOAD_EVERY`.

        The keys before it verify what they signed until that has expired.  With `distrust` they are dropped,
        because somebody else may have them: everybody has to sign in again.
        """
        now = self._clock()
        horizon = now + 1 if distrust else now - self._keep_ms
        stored = await self._database.write(_rotate, new_key_pem(), now=now, forget_before=horizon)
        self._take([_parse(key) for key in stored])
        return self.signing.kid

    async def _reload(self) -> None:
        # Many requests may want this at once: one asks, and all wait for it.
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._read())
        await asyncio.shield(self._reloading)

    async def _read(self) -> None:
        self._read_at = self._clock()
        try:
            stored = await self._database.read(queries.keys_for, TOKEN_SIGNING)
            self._take([_parse(key) for key in stored])
        except (Unavailable, KeyUnreadable) as error:
            log.warning("identity.keys_not_read", error=error.message)

    def _take(self, keys: Sequence[SigningKey]) -> None:
        active = [key for key in keys if key.retired_at is None]
        if not active:
            raise KeyUnreadable(
                "there is no token key that is not retired", remedy="restart the server, which makes one"
            )
        now = self._clock()
        verifying = {
            key.kid: key for key in keys if key.retired_at is None or key.retired_at + self._keep_ms > now
        }
        before: Mapping[str, SigningKey] = getattr(self, "_verifying", {})
        if any(kid not in verifying or not _same(verifying[kid], key) for kid, key in before.items()):
            self.generation += 1
        self._verifying = verifying
        self._signing = max(active, key=lambda key: _number(key.kid))


async def upload_secret(database: Database, *, clock: Clock = now_ms) -> bytes:
    """What seals the hash states of uploads: 32 bytes, the same for all.  Raises `KeyUnreadable`."""
    stored = await database.write(_upload_secret, secrets.token_bytes(_UPLOAD_SECRET_BYTES), now=clock())
    if len(stored) != _UPLOAD_SECRET_BYTES:
        raise KeyUnreadable(
            f"the secret {UPLOAD_STATE} in the table secrets has not {_UPLOAD_SECRET_BYTES} bytes",
            remedy="restore it from a backup, or delete its row: uploads under way are then hashed again",
        )
    return stored


def new_key_pem() -> bytes:
    """A new private key on P-256, as PKCS#8 in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _keys_or_first(conn: Connection, pem: bytes, *, now: int) -> Sequence[StoredKey]:
    stored = queries.keys_for(conn, TOKEN_SIGNING)
    if all(key.retired_at is not None for key in stored):
        queries.keep_key(conn, _next_kid(stored), TOKEN_SIGNING, pem, now=now)
        stored = queries.keys_for(conn, TOKEN_SIGNING)
    return stored


def _rotate(conn: Connection, pem: bytes, *, now: int, forget_before: int) -> Sequence[StoredKey]:
    kid = _next_kid(queries.keys_for(conn, TOKEN_SIGNING))
    queries.keep_key(conn, kid, TOKEN_SIGNING, pem, now=now)
    queries.retire_keys(conn, TOKEN_SIGNING, but=kid, now=now)
    queries.forget_keys(conn, TOKEN_SIGNING, retired_before=forget_before)
    return queries.keys_for(conn, TOKEN_SIGNING)


def _upload_secret(conn: Connection, fresh: bytes, *, now: int) -> bytes:
    queries.keep_key(conn, UPLOAD_STATE, UPLOAD_STATE, fresh, now=now)
    return queries.keys_for(conn, UPLOAD_STATE)[-1].value


def _next_kid(stored: Sequence[StoredKey]) -> str:
    return f"{TOKEN_SIGNING}-{max((_number(key.id) for key in stored), default=0) + 1}"


def _number(kid: str) -> int:
    digits = kid.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _same(one: SigningKey, other: SigningKey) -> bool:
    return one.public.public_numbers() == other.public.public_numbers()


def _parse(stored: StoredKey) -> SigningKey:
    try:
        private = load_pem_private_key(stored.value, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise KeyUnreadable(
            f"the token key {stored.id} in the table secrets is no P-256 private key",
            remedy="restore it from a backup, or delete its row: everybody then has to sign in again",
            kid=stored.id,
        )
    return SigningKey(stored.id, private, private.public_key(), stored.retired_at)
