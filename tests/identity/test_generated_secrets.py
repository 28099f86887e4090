"""Secrets that we made: kept by a quick hash, and as slow to guess at as any password."""

from __future__ import annotations

import pytest
from tests.identity.building import QUICK_ARGON2

from roadstead.identity.passwords import PasswordHasher, generate_secret, hash_secret, is_secret_hash
from roadstead.identity.rules import canonical_login

pytestmark = pytest.mark.anyio


class Counted(PasswordHasher):
    """Counts the slow comparisons."""

    slow = 0

    def _matches(self, encoded: str, password: bytes) -> bool:
        self.slow += 1
        return super()._matches(encoded, password)


async def test_a_generated_secret_fits_its_own_hash_only_and_costs_nothing() -> None:
    hasher = Counted(concurrency=1, argon2_hasher=QUICK_ARGON2)
    secret = generate_secret().encode()
    assert await hasher.verify(hash_secret(secret), secret)
    assert hasher.slow == 0
    assert not hasher.needs_rehash(hash_secret(secret))


async def test_A14_a_wrong_secret_costs_what_a_wrong_password_and_an_unknown_account_cost() -> None:
    hasher = Counted(concurrency=1, argon2_hasher=QUICK_ARGON2)
    assert not await hasher.verify(hash_secret(b"right"), b"wrong")
    assert not await hasher.verify(None, b"wrong")
    assert not await hasher.verify(await hasher.hash(b"right"), b"wrong")
    assert hasher.slow == 3


async def test_a_chosen_password_is_never_kept_by_the_quick_hash() -> None:
    hasher = PasswordHasher(concurrency=1, argon2_hasher=QUICK_ARGON2)
    assert not is_secret_hash(await hasher.hash(b"sha256$"))


def test_generated_secrets_have_every_kind_of_character_and_are_all_different() -> None:
    found = {generate_secret() for _ in range(100)}
    assert len(found) == 100
    for secret in found:
        assert len(secret) == 32
        assert secret.isalnum()
        assert secret != secret.lower()
        assert secret != secret.upper()


@pytest.mark.parametrize(
    "name", ["robot$ci", "robot$a+ci", "robot$my-team+ci.2", "robot$my__team+ci", "robot$a--b+ci"]
)
def test_robots_have_names_that_sign_in(name: str) -> None:
    assert canonical_login(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "robot$",
        "robot$+ci",
        "robot$a+",
        "robot$a+b+c",
        "Robot$ci",
        "robot$CI",
        "robot$ci ",
        "robot$ci.",
        "robot$ci\0",
        "robot$" + "x" * 250,
    ],
)
def test_R18_what_only_resembles_a_robots_name_is_nobodys(name: str) -> None:
    assert canonical_login(name) is None
