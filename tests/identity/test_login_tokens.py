"""Short-lived login tokens."""

from __future__ import annotations

import pytest
from tests.identity.building import CLIENT, FakeClock, Identity

from roadstead.errors import TooManyRequests
from roadstead.identity.authentication import WrongCredentials
from roadstead.identity.login_tokens import (
    MAX_LIFETIME,
    IssuedLoginToken,
    LifetimeInvalid,
    issue_login_token,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def alice(identity: Identity) -> int:
    return (await identity.users.create("alice", "correct horse battery")).id


async def issue(identity: Identity, user_id: int, lifetime: int = 60) -> IssuedLoginToken:
    return await identity.database.write(issue_login_token, user_id, "laptop", lifetime, identity.clock())


async def test_a_login_token_stands_for_the_password(identity: Identity, alice: int) -> None:
    issued = await issue(identity, alice)
    principal = await identity.sign_in("alice", issued.secret)
    assert (principal.user_id, principal.username, principal.until) == (alice, "alice", issued.expires_at)


async def test_A14_a_login_token_is_good_for_its_own_account_only(identity: Identity, alice: int) -> None:
    await identity.users.create("bob", "correct horse battery")
    issued = await issue(identity, alice)
    with pytest.raises(WrongCredentials):
        await identity.sign_in("bob", issued.secret)


async def test_a_login_token_ends(identity: Identity, alice: int, clock: FakeClock) -> None:
    issued = await issue(identity, alice, lifetime=60)
    clock.advance(59)
    await identity.sign_in("alice", issued.secret)
    clock.advance(1)
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice", issued.secret)


async def test_A23_a_login_token_ends_with_the_password(identity: Identity, alice: int) -> None:
    issued = await issue(identity, alice)
    await identity.sign_in("alice", issued.secret)
    await identity.users.set_password("alice", "another password")
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice", issued.secret)


async def test_A23_a_login_token_ends_when_the_account_is_disabled(identity: Identity, alice: int) -> None:
    issued = await issue(identity, alice)
    await identity.users.disable("alice")
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice", issued.secret)
    await identity.users.enable("alice")
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice", issued.secret)


async def test_A10_a_login_token_does_not_fit_an_account_of_the_same_name(
    identity: Identity, alice: int
) -> None:
    issued = await issue(identity, alice)
    await identity.users.delete("alice")
    await identity.users.create("alice", "correct horse battery")
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice", issued.secret)


async def test_a_registry_token_made_from_a_login_token_ends_with_it(identity: Identity, alice: int) -> None:
    issued = await issue(identity, alice, lifetime=60)
    principal = await identity.sign_in("alice", issued.secret)
    assert identity.issuer.access_token(principal, []).expires_in == 60


async def test_A20_guesses_at_the_password_do_not_shut_a_login_token_out(
    identity: Identity, alice: int
) -> None:
    issued = await issue(identity, alice)
    for number in range(identity.settings.max_failures):
        with pytest.raises(WrongCredentials):
            await identity.sign_in("alice", f"guess {number}")
    with pytest.raises(TooManyRequests):
        await identity.sign_in("alice")
    assert (await identity.sign_in("alice", issued.secret, client=CLIENT)).user_id == alice


@pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME + 1])
async def test_a_login_token_is_good_for_some_hours_at_most(
    identity: Identity, alice: int, lifetime: int
) -> None:
    with pytest.raises(LifetimeInvalid):
        await issue(identity, alice, lifetime)


async def test_the_database_holds_no_login_token(identity: Identity, alice: int) -> None:
    issued = await issue(identity, alice)
    stored = await identity.database.read(
        lambda conn: str(conn.exec_driver_sql("SELECT * FROM sessions").all())
    )
    assert "laptop" in stored
    assert issued.secret not in stored
    assert issued.secret.removeprefix("rst_") not in stored
