"""Passwords: hashed with argon2id, off the event loop, a few at a time.

A hash costs 20 ms of a core and 19 MiB.  Anyone may make us compute one, so only `concurrency` of them run at
once and only a short queue waits; whoever comes after that is asked to try again.

A secret that we made ourselves has more entropy than any guesser has time: SHA-256 keeps it as well as argon2id
would, and costs a build's hundred requests nothing.  A wrong one still costs what a wrong password does, so that
nobody learns from the time whether there is such an account.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from roadstead.errors import Unavailable
from roadstead.identity.rules import MAX_PASSWORD_BYTES

T = TypeVar("T")

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_ARGON2 = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Waiting places for each hash that runs: at 20 ms each, nobody waits for more than half a second.
_QUEUE_PER_SLOT = 20

# Marks the hash of a generated secret; argon2id's begin with "$".
_FAST = "sha256$"
_SECRET_LETTERS = string.ascii_letters + string.digits
SECRET_LENGTH = 32

_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeio"
# 4 bits and 2 bits a letter: ten syllables of two letters are 60 bits.
_SYLLABLES_PER_WORD = 2
_WORDS = 5


class PasswordHasher:
    """Hashes and verifies in threads of its own.

    One for each process.  `verify` takes the same time whether or not there is a hash to compare with.
    """

    def __init__(self, *, concurrency: int, argon2_hasher: argon2.PasswordHasher = _ARGON2) -> None:
        self._argon2 = argon2_hasher
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="password")
        self._limit = concurrency * (1 + _QUEUE_PER_SLOT)
        self._pending = 0
        # What a password for an account that is not there is compared with: nobody knows its password.
        self._nobody = hash_password(secrets.token_bytes(32), argon2_hasher)

    async def hash(self, password: bytes) -> str:
        """The encoded hash of a password that has passed `rules.check_new_password`."""
        return await self._run(lambda: hash_password(password, self._argon2))

    async def verify(self, encoded: str | None, password: bytes) -> bool:
        """Whether `password` made `encoded`.  None, an account that is not there, costs as much and is False.

        Raises `Unavailable` when too many are waiting.
        """
        if len(password) > MAX_PASSWORD_BYTES:
            # The sender knows how long it is: nothing is given away by answering at once.
            return False
        if encoded is not None and is_secret_hash(encoded):
            if secret_matches(encoded, password):
                return True
            encoded = None
        matches = await self._run(lambda: self._matches(encoded or self._nobody, password))
        return matches and encoded is not None

    def needs_rehash(self, encoded: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return not is_secret_hash(encoded) and self._argon2.check_needs_rehash(encoded)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, encoded: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pending >= self._limit:
            raise Unavailable(
                f"{self._limit} sign-ins are waiting, the most that may",
                remedy="try again in a moment; use a token instead of a password for many requests",
                retry_after=1,
            )
        self._pending += 1
        future = self._threads.submit(work)
        # A caller who gives up does not free the thread: the place is given back when the work has ended.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._give_back(loop))
        return await asyncio.wrap_future(future)

    def _give_back(self, loop: asyncio.AbstractEventLoop) -> None:
        def decrement() -> None:
            self._pending -= 1

        if not loop.is_closed():
            loop.call_soon_threadsafe(decrement)


def hash_password(password: bytes, hasher: argon2.PasswordHasher = _ARGON2) -> str:
    """The same hash, made right here: for commands and for the first start, where no loop runs."""
    return hasher.hash(password)


def generate_secret() -> str:
    """A robot's secret: 32 letters and digits, 190 random bits, at least one of each kind that people must use."""
    while True:
        found = "".join(secrets.choice(_SECRET_LETTERS) for _ in range(SECRET_LENGTH))
        if any(map(str.islower, found)) and any(map(str.isupper, found)) and any(map(str.isdigit, found)):
            return found


def hash_secret(secret: bytes) -> str:
    """What is stored of a generated secret.  Never for one that a person chose."""
    return _FAST + hashlib.sha256(secret).hexdigest()


def secret_matches(encoded: str, secret: bytes) -> bool:
    return hmac.compare_digest(encoded.encode(), hash_secret(secret).encode())


def is_secret_hash(encoded: str) -> bool:
    return encoded.startswith(_FAST)


def generate_password() -> str:
    """Five pronounceable words, such as `Kelo-bida-…`, of 60 random bits, then a digit.

    It is fit for `rules.check_chosen_password`.
    """
    return "-".join(_word() for _ in range(_WORDS)).capitalize() + str(secrets.randbelow(10))


def _word() -> str:
    return "".join(secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(_SYLLABLES_PER_WORD))
