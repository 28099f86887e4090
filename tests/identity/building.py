"""What the tests of identity are made from."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass

import argon2

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.identity.authentication import Authenticator
from roadstead.identity.keys import KeyRing
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.principals import Principal
from roadstead.identity.scopes import GrantedScope, RequestedScope
from roadstead.identity.service import Users
from roadstead.identity.tokens import TokenIssuer

SERVICE = "roadstead"
PASSWORD = "correct horse battery"
CLIENT = "192.0.2.7"
# A thousandth of the work: these tests are not about what a hash costs.
QUICK_ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class FakeClock:
    """A wall clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class HeldArgon2(argon2.PasswordHasher):
    """Compares when it is told to, and knows how many do so at once."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.running = self.most = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002 - argon2's name
        self.running += 1
        self.most = max(self.most, self.running)
        self.go.wait(10)
        self.running -= 1
        return True


class CountingHasher(PasswordHasher):
    """Counts the comparisons, and those with the hash of nobody."""

    def __init__(self, *, concurrency: int, argon2_hasher: argon2.PasswordHasher) -> None:
        super().__init__(concurrency=concurrency, argon2_hasher=argon2_hasher)
        self.verified = 0
        self.verified_nobody = 0

    async def verify(self, encoded: str | None, password: bytes) -> bool:
        self.verified += 1
        self.verified_nobody += encoded is None
        return await super().verify(encoded, password)


@dataclass
class Identity:
    """One worker's view of the accounts."""

    database: Database
    clock: FakeClock
    settings: AuthSettings
    hasher: CountingHasher
    ring: KeyRing
    issuer: TokenIssuer
    authenticator: Authenticator
    users: Users

    @classmethod
    async def build(
        cls,
        database: Database,
        clock: FakeClock,
        settings: AuthSettings,
        argon2_hasher: argon2.PasswordHasher = QUICK_ARGON2,
    ) -> Identity:
        hasher = CountingHasher(concurrency=settings.max_concurrent_hashes, argon2_hasher=argon2_hasher)
        ring = await KeyRing.open(database, keep=settings.refresh_token_lifetime, clock=clock)
        issuer = TokenIssuer(
            ring,
            service=settings.service,
            lifetime=settings.token_lifetime,
            refresh_lifetime=settings.refresh_token_lifetime,
            clock=clock,
        )
        authenticator = Authenticator(database, issuer, hasher, settings, clock=clock)
        return cls(
            database,
            clock,
            settings,
            hasher,
            ring,
            issuer,
            authenticator,
            Users(database, hasher, clock=clock),
        )

    async def close(self) -> None:
        await self.authenticator.close()
        self.hasher.close()

    async def sign_in(self, username: str, password: str = PASSWORD, *, client: str = CLIENT) -> Principal:
        return await self.authenticator.authenticate(basic(username, password), client=client)

    async def bearer(self, token: str) -> Principal:
        return await self.authenticator.authenticate(f"Bearer {token}", client=CLIENT)


def basic(username: str, password: str | bytes = PASSWORD) -> str:
    raw = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(username.encode() + b":" + raw).decode()


async def pulls_only(principal: Principal, wanted: list[RequestedScope]) -> list[GrantedScope]:
    """Projects where everybody may pull from `pub`, and `alice` may do anything in `a`."""
    return [
        GrantedScope(
            scope.type,
            scope.name,
            scope.actions
            if principal.username == "alice" and scope.name.startswith("a/")
            else scope.actions & {"pull"}
            if scope.name.startswith("pub/")
            else frozenset(),
        )
        for scope in wanted
    ]


ALICE = Principal(1, "alice", 1, None)
GRANT = GrantedScope("repository", "a/app", frozenset({"pull", "push"}))
