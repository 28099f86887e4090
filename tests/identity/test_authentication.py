"""Whose request it is."""

from __future__ import annotations

import asyncio
import base64

import argon2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.identity.building import CLIENT, GRANT, PASSWORD, FakeClock, HeldArgon2, Identity, basic

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.errors import RoadsteadError, TooManyRequests, Unauthenticated, Unavailable
from roadstead.identity import queries
from roadstead.identity.authentication import WrongCredentials
from roadstead.identity.credentials import MalformedCredentials, Password
from roadstead.identity.passwords import hash_password
from roadstead.identity.principals import ANONYMOUS
from roadstead.identity.tokens import TokenInvalid

pytestmark = pytest.mark.anyio


@pytest.fixture
async def alice(identity: Identity) -> int:
    return (await identity.users.create("alice", PASSWORD)).id


async def authenticate(identity: Identity, header: str | None) -> object:
    return await identity.authenticator.authenticate(header, client=CLIENT)


@pytest.mark.parametrize("header", [None, "", "Basic Og=="])
async def test_no_credentials_are_nobodys(identity: Identity, header: str | None) -> None:
    assert await authenticate(identity, header) is ANONYMOUS


async def test_a_password_is_compared_once_a_minute(identity: Identity, alice: int, clock: FakeClock) -> None:
    for _ in range(5):
        assert (await identity.sign_in("alice")).user_id == alice
    assert identity.hasher.verified == 1
    clock.advance(60)
    await identity.sign_in("alice")
    assert identity.hasher.verified == 2


async def test_a_password_in_many_requests_at_once_is_compared_once(identity: Identity, alice: int) -> None:
    principals = await asyncio.gather(*(identity.sign_in("alice") for _ in range(100)))
    assert {principal.user_id for principal in principals} == {alice}
    assert identity.hasher.verified == 1


async def test_a_client_that_leaves_does_not_spoil_the_sign_in_of_others(
    identity: Identity, alice: int
) -> None:
    first = asyncio.create_task(identity.sign_in("alice"))
    second = asyncio.create_task(identity.sign_in("alice"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).user_id == alice


async def test_the_case_of_a_user_name_does_not_matter(identity: Identity, alice: int) -> None:
    assert (await identity.sign_in("ALICE")).user_id == alice


async def test_a_wrong_password_is_remembered_as_nothing(identity: Identity, alice: int) -> None:
    for _ in range(2):
        with pytest.raises(WrongCredentials):
            await identity.sign_in("alice", "wrong password")
    assert identity.hasher.verified == 2


async def test_A14_one_answer_for_unknown_disabled_and_wrong(identity: Identity, alice: int) -> None:
    await identity.users.create("bob", PASSWORD)
    await identity.users.disable("bob")
    answers = set()
    for name, password in (
        ("alice", "wrong password"),
        ("bob", PASSWORD),
        ("nobody", PASSWORD),
        ("a:b", "x"),
    ):
        with pytest.raises(WrongCredentials) as refused:
            await identity.sign_in(name, password)
        error = refused.value
        answers.add((error.message, error.remedy, error.code, error.retry_after, tuple(error.facts)))
    assert len(answers) == 1
    # As many comparisons as attempts: each takes its time.
    assert identity.hasher.verified == 4
    assert identity.hasher.verified_nobody == 2


@pytest.mark.parametrize("password", [b"", b"\0", b" ", b"\xff\xfe", "pässword".encode(), b"p" * 1_000])
async def test_A13_a_password_of_any_bytes_is_wrong_and_no_failure_of_ours(
    identity: Identity, alice: int, password: bytes
) -> None:
    with pytest.raises(WrongCredentials):
        await authenticate(identity, basic("alice", password))


async def test_a_password_beyond_ascii_is_compared_as_its_bytes(identity: Identity) -> None:
    await identity.users.create("carol", "pässwörter")
    assert (await identity.sign_in("carol", "pässwörter")).username == "carol"
    with pytest.raises(WrongCredentials):
        await authenticate(identity, basic("carol", "pässwörter".encode("latin-1")))


async def test_A18_a_megabyte_of_password_is_refused_before_it_is_hashed(
    identity: Identity, alice: int
) -> None:
    with pytest.raises(MalformedCredentials):
        await authenticate(identity, basic("alice", "p" * 1_000_000))
    assert identity.hasher.verified == 0


async def test_the_name_and_the_password_are_told_apart_in_memory(identity: Identity) -> None:
    await identity.users.create("al", "\u0101" + PASSWORD)
    await identity.sign_in("al", "\u0101" + PASSWORD)
    with pytest.raises(WrongCredentials):
        await identity.sign_in("al\0\u0101", PASSWORD)


async def test_no_password_is_kept_in_memory(identity: Identity, alice: int) -> None:
    await identity.sign_in("alice")
    assert PASSWORD not in repr(vars(identity.authenticator))


async def test_with_no_memory_each_request_is_compared(identity: Identity, clock: FakeClock) -> None:
    await identity.users.create("alice", PASSWORD)
    settings = identity.settings.model_copy(update={"credential_cache": 0.0})
    forgetful = await Identity.build(identity.database, clock, settings)
    await forgetful.sign_in("alice")
    await forgetful.sign_in("alice")
    assert forgetful.hasher.verified == 2
    await forgetful.close()


# ── epochs ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_forgotten_principal_is_compared_again(identity: Identity, alice: int) -> None:
    remembered = await identity.sign_in("alice")
    await identity.users.disable("alice")
    await identity.users.enable("alice")
    # The caller finds that the row's epoch has moved on.
    assert (await identity.sign_in("alice")).epoch == 1
    identity.authenticator.forget(remembered)
    assert (await identity.sign_in("alice")).epoch == 3
    assert (await identity.sign_in("alice")).epoch == 3
    assert identity.hasher.verified == 2


async def test_a_live_sign_in_does_not_trust_memory(identity: Identity, alice: int) -> None:
    await identity.sign_in("alice")
    await identity.users.set_password("alice", "another password")
    with pytest.raises(WrongCredentials):
        await identity.authenticator.sign_in(Password("alice", PASSWORD.encode()), client=CLIENT, live=True)


async def test_a_token_is_verified_once(identity: Identity, alice: int) -> None:
    token = identity.issuer.access_token(await identity.sign_in("alice"), [GRANT]).text
    assert await identity.bearer(token) is await identity.bearer(token)


async def test_a_remembered_token_expires_all_the_same(
    identity: Identity, alice: int, clock: FakeClock
) -> None:
    token = identity.issuer.access_token(await identity.sign_in("alice"), [GRANT]).text
    await identity.bearer(token)
    clock.advance(1800)
    with pytest.raises(TokenInvalid):
        await identity.bearer(token)


async def test_what_is_remembered_is_bounded(
    identity: Identity, alice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadstead.identity.authentication.MAX_REMEMBERED", 3)
    principal = await identity.sign_in("alice")
    for _ in range(10):
        await identity.bearer(identity.issuer.access_token(principal, [GRANT]).text)
    assert len(identity.authenticator._tokens) == 3


# ── refresh tokens ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_refresh_token_renews_its_owner(identity: Identity, alice: int, clock: FakeClock) -> None:
    token = identity.issuer.refresh_token(await identity.sign_in("alice")).text
    clock.advance(29 * 86_400)
    assert (await identity.authenticator.renew(token)).user_id == alice


async def test_A23_a_refresh_token_ends_with_a_new_password(identity: Identity, alice: int) -> None:
    token = identity.issuer.refresh_token(await identity.sign_in("alice")).text
    await identity.users.set_password("alice", "another password")
    with pytest.raises(TokenInvalid):
        await identity.authenticator.renew(token)


async def test_A23_a_refresh_token_ends_with_its_account(identity: Identity, alice: int) -> None:
    token = identity.issuer.refresh_token(await identity.sign_in("alice")).text
    await identity.users.delete("alice")
    await identity.users.create("alice", PASSWORD)
    with pytest.raises(TokenInvalid):
        await identity.authenticator.renew(token)


async def test_a_disabled_account_renews_nothing(identity: Identity, alice: int) -> None:
    token = identity.issuer.refresh_token(await identity.sign_in("alice")).text
    await identity.users.disable("alice")
    with pytest.raises(TokenInvalid):
        await identity.authenticator.renew(token)


async def test_nobody_has_a_refresh_token(identity: Identity) -> None:
    with pytest.raises(TokenInvalid):
        await identity.authenticator.renew(identity.issuer.refresh_token(ANONYMOUS).text)


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────


async def test_A20_guessing_from_one_address_is_stopped(identity: Identity, alice: int) -> None:
    outcomes = [await guess(identity, "alice", number, "203.0.113.9") for number in range(1000)]
    assert outcomes.count(WrongCredentials) == 10
    assert outcomes.count(TooManyRequests) == 990
    assert identity.hasher.verified == 10


async def test_A20_guessing_from_fifty_addresses_is_stopped(identity: Identity, alice: int) -> None:
    outcomes = [await guess(identity, "alice", n, f"203.0.113.{n % 50}") for n in range(1000)]
    assert outcomes.count(WrongCredentials) == 10


async def test_A20_a_throttled_account_gives_away_nothing(identity: Identity, alice: int) -> None:
    known = [await guess(identity, "alice", n, f"203.0.113.{n}") for n in range(20)]
    unknown = [await guess(identity, "nobody", n, f"198.51.100.{n}") for n in range(20)]
    assert known == unknown


async def test_A20_a_guessed_at_account_keeps_its_token_and_its_remembered_password(
    identity: Identity, alice: int
) -> None:
    token = identity.issuer.access_token(await identity.sign_in("alice"), [GRANT]).text
    for number in range(20):
        await guess(identity, "alice", number, "203.0.113.9")
        await guess(identity, "alice", number, CLIENT)
    assert (await identity.bearer(token)).user_id == alice
    assert (await identity.sign_in("alice")).user_id == alice
    assert (await identity.sign_in("alice", client="203.0.113.9")).user_id == alice


async def test_A20_the_owner_signs_in_from_home_while_strangers_guess(
    identity: Identity, alice: int, clock: FakeClock
) -> None:
    await identity.sign_in("alice")
    clock.advance(100)
    for number in range(20):
        await guess(identity, "alice", number, f"203.0.113.{number}")
    assert (await identity.sign_in("alice")).user_id == alice


async def test_a_throttled_caller_may_try_again_when_told(
    identity: Identity, alice: int, clock: FakeClock
) -> None:
    for number in range(10):
        await guess(identity, "alice", number, CLIENT)
    with pytest.raises(TooManyRequests) as refused:
        await identity.sign_in("alice")
    assert refused.value.retry_after == 300
    clock.advance(300)
    assert (await identity.sign_in("alice")).user_id == alice


async def test_D14_a_crowd_of_unknown_users_is_asked_to_come_back(
    database: Database, clock: FakeClock
) -> None:
    argon2_hasher = HeldArgon2()
    identity = await Identity.build(database, clock, AuthSettings(), argon2_hasher)
    await identity.users.create("alice", PASSWORD)
    argon2_hasher.go.set()
    await identity.sign_in("alice")
    argon2_hasher.go.clear()

    crowd = [
        asyncio.create_task(identity.sign_in(f"user{n}", client=f"203.0.113.{n % 250}")) for n in range(500)
    ]
    refused, _ = await asyncio.wait(crowd, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    assert (await identity.sign_in("alice")).username == "alice"
    assert all(isinstance(task.exception(), Unavailable) for task in refused)

    argon2_hasher.go.set()
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert all(isinstance(result, WrongCredentials | Unavailable | TooManyRequests) for result in results)
    await identity.close()


async def guess(identity: Identity, username: str, number: int, client: str) -> type[Exception]:
    with pytest.raises(RoadsteadError) as refused:
        await identity.sign_in(username, f"guess {number}", client=client)
    return refused.type


# ── off the path ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_last_login_is_noted_once_an_hour(identity: Identity, alice: int, clock: FakeClock) -> None:
    began = clock.now
    await identity.sign_in("alice")
    await identity.authenticator.close()
    assert (await identity.users.get("alice")).last_login_at == began
    for seconds, noted in ((1800, began), (1800, began + 3_600_000)):
        clock.advance(seconds)
        await identity.sign_in("alice")
        await identity.authenticator.close()
        assert (await identity.users.get("alice")).last_login_at == noted


async def test_an_old_hash_is_renewed_at_sign_in(identity: Identity) -> None:
    old = hash_password(PASSWORD.encode(), argon2.PasswordHasher(2, 8, 1))
    await identity.database.write(queries.add_account, "alice", old, admin=False, now=0)
    assert (await identity.sign_in("alice")).epoch == 1
    await identity.authenticator.close()
    found = await identity.database.read(queries.credentials_of, "alice")
    assert found is not None
    assert found.password_hash != old
    assert not identity.hasher.needs_rehash(found.password_hash)
    assert found.account.epoch == 1


@given(header=st.text() | st.binary(max_size=64).map(lambda raw: "Basic " + base64.b64encode(raw).decode()))
@hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_header_is_somebody_nobody_or_a_refusal(identity: Identity, header: str) -> None:
    try:
        principal = await authenticate(identity, header)
    except (Unauthenticated, TooManyRequests):
        return
    assert principal is ANONYMOUS
