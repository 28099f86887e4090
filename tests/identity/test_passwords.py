"""Hashing and verifying."""

from __future__ import annotations

import asyncio
import time

import argon2
import pytest
from tests.identity.building import QUICK_ARGON2, HeldArgon2

from roadstead.errors import Unavailable
from roadstead.identity.passwords import PasswordHasher, hash_password

pytestmark = pytest.mark.anyio


@pytest.fixture
def hasher() -> PasswordHasher:
    return PasswordHasher(concurrency=1, argon2_hasher=QUICK_ARGON2)


async def test_a_password_fits_its_own_hash_only(hasher: PasswordHasher) -> None:
    encoded = await hasher.hash(b"correct horse")
    assert await hasher.verify(encoded, b"correct horse")
    assert not await hasher.verify(encoded, b"correct hors")
    assert not await hasher.verify(encoded, b"")


async def test_nobody_has_no_password(hasher: PasswordHasher) -> None:
    assert not await hasher.verify(None, b"")
    assert not await hasher.verify(None, b"correct horse")


async def test_A18_every_byte_of_a_long_password_counts(hasher: PasswordHasher) -> None:
    encoded = await hasher.hash(b"p" * 72 + b"x")
    assert not await hasher.verify(encoded, b"p" * 72)
    assert not await hasher.verify(encoded, b"p" * 72 + b"y")
    assert await hasher.verify(encoded, b"p" * 72 + b"x")


async def test_A18_a_password_does_not_end_at_nul(hasher: PasswordHasher) -> None:
    encoded = await hasher.hash(b"correct\0horse")
    assert not await hasher.verify(encoded, b"correct")
    assert not await hasher.verify(encoded, b"correct\0")
    assert await hasher.verify(encoded, b"correct\0horse")


async def test_A18_a_megabyte_of_password_is_refused_before_it_is_hashed(hasher: PasswordHasher) -> None:
    encoded = await hasher.hash(b"p" * 100)
    began = time.perf_counter()
    for _ in range(1000):
        assert not await hasher.verify(encoded, b"p" * 1_000_000)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("encoded", ["", "no hash", "$2y$05$abc", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA"])
async def test_a_hash_that_is_none_fits_no_password(hasher: PasswordHasher, encoded: str) -> None:
    assert not await hasher.verify(encoded, b"correct horse")


async def test_a_hash_of_other_parameters_is_to_be_renewed(hasher: PasswordHasher) -> None:
    assert hasher.needs_rehash(hash_password(b"x", argon2.PasswordHasher(2, 8, 1)))
    assert not hasher.needs_rehash(await hasher.hash(b"x"))


def test_a_hash_is_argon2id_with_19_MiB_and_two_passes() -> None:
    assert hash_password(b"correct horse").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_D14_few_hashes_run_at_once_and_few_wait() -> None:
    argon2_hasher = HeldArgon2()
    hasher = PasswordHasher(concurrency=2, argon2_hasher=argon2_hasher)
    waiting = [asyncio.create_task(hasher.verify("x", b"p")) for _ in range(500)]
    await asyncio.sleep(0.05)
    refused = [task for task in waiting if task.done()]
    argon2_hasher.go.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert argon2_hasher.most == 2
    assert results.count(True) == 42
    assert len(refused) == 458
    errors = [result for result in results if isinstance(result, Unavailable)]
    assert len(errors) == 458
    assert all(error.retry_after == 1 for error in errors)
    # The places are free again.
    assert await hasher.verify("x", b"p")


async def test_a_caller_who_gives_up_leaves_no_place_taken() -> None:
    argon2_hasher = HeldArgon2()
    hasher = PasswordHasher(concurrency=1, argon2_hasher=argon2_hasher)
    waiting = [asyncio.create_task(hasher.verify("x", b"p")) for _ in range(21)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    argon2_hasher.go.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert all(await asyncio.gather(*(hasher.verify("x", b"p") for _ in range(20))))


async def test_the_event_loop_runs_while_a_password_is_hashed() -> None:
    hasher = PasswordHasher(concurrency=1)
    hashing = asyncio.create_task(hasher.hash(b"correct horse"))
    ticks = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 1
