"""Accounts."""

from __future__ import annotations

import asyncio

import pytest
from tests.identity.building import PASSWORD, Identity

from roadstead.identity.authentication import WrongCredentials
from roadstead.identity.rules import PasswordUnfit, UsernameInvalid
from roadstead.identity.service import LastAdministrator, UserExists, UserUnknown

pytestmark = pytest.mark.anyio


async def epoch(identity: Identity, username: str) -> int:
    return (await identity.users.get(username)).epoch


async def test_a_user_who_was_created_can_sign_in(identity: Identity) -> None:
    account = await identity.users.create("Alice", PASSWORD)
    principal = await identity.sign_in("alice")
    assert (principal.user_id, principal.username, principal.epoch) == (account.id, "alice", 1)
    assert principal.scopes is None


async def test_a_name_is_given_once_in_whatever_case(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    with pytest.raises(UserExists):
        await identity.users.create("ALICE", PASSWORD)


async def test_a_name_is_given_once_when_asked_for_at_once(identity: Identity) -> None:
    results = await asyncio.gather(
        *(identity.users.create("alice", PASSWORD) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, UserExists) for result in results) == 4


async def test_nothing_is_created_with_a_bad_name_or_password(identity: Identity) -> None:
    with pytest.raises(UsernameInvalid):
        await identity.users.create("robot$ci", PASSWORD)
    with pytest.raises(PasswordUnfit):
        await identity.users.create("alice", "short")
    assert not (await identity.users.list()).accounts


async def test_users_are_listed_by_name_in_pages(identity: Identity) -> None:
    for name in ("carol", "alice", "bob"):
        await identity.users.create(name, PASSWORD)
    first = await identity.users.list(limit=2)
    assert ([account.username for account in first.accounts], first.more) == (["alice", "bob"], True)
    rest = await identity.users.list(after="bob", limit=2)
    assert ([account.username for account in rest.accounts], rest.more) == (["carol"], False)


@pytest.mark.parametrize("name", ["nobody", "no:body", "", "x" * 1000])
async def test_a_user_who_is_not_there_is_unknown(identity: Identity, name: str) -> None:
    with pytest.raises(UserUnknown):
        await identity.users.get(name)
    with pytest.raises(UserUnknown):
        await identity.users.delete(name)
    with pytest.raises(UserUnknown):
        await identity.users.set_password(name, PASSWORD)


async def test_a_new_password_ends_the_epoch(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    await identity.users.set_password("alice", "another password")
    assert await epoch(identity, "alice") == 2
    assert (await identity.sign_in("alice", "another password")).epoch == 2


async def test_disabling_and_enabling_each_end_the_epoch(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    await identity.users.disable("alice")
    assert await epoch(identity, "alice") == 2
    await identity.users.enable("alice")
    assert await epoch(identity, "alice") == 3


async def test_disabling_twice_changes_nothing(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    await identity.users.disable("alice")
    await identity.users.disable("alice")
    assert await epoch(identity, "alice") == 2


async def test_a_disabled_user_cannot_sign_in(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    await identity.users.disable("alice")
    with pytest.raises(WrongCredentials):
        await identity.sign_in("alice")


async def test_A10_an_account_of_the_same_name_is_another_account(identity: Identity) -> None:
    before = await identity.users.create("alice", PASSWORD)
    await identity.users.delete("alice")
    after = await identity.users.create("alice", PASSWORD)
    assert after.id != before.id


async def test_becoming_an_administrator_keeps_the_epoch(identity: Identity) -> None:
    await identity.users.create("alice", PASSWORD)
    await identity.users.set_admin("alice", True)
    account = await identity.users.get("alice")
    assert (account.admin, account.epoch) == (True, 1)


async def test_the_last_administrator_stays(identity: Identity) -> None:
    await identity.users.create("root", PASSWORD, admin=True)
    await identity.users.create("alice", PASSWORD)
    for change in (
        identity.users.delete("root"),
        identity.users.disable("root"),
        identity.users.set_admin("root", False),
    ):
        with pytest.raises(LastAdministrator) as refused:
            await change
        assert refused.value.remedy
    assert (await identity.users.get("root")).epoch == 1


async def test_a_disabled_administrator_does_not_count(identity: Identity) -> None:
    await identity.users.create("root", PASSWORD, admin=True)
    await identity.users.create("other", PASSWORD, admin=True)
    await identity.users.disable("other")
    with pytest.raises(LastAdministrator):
        await identity.users.delete("root")
    await identity.users.delete("other")


async def test_two_administrators_cannot_remove_each_other_at_once(identity: Identity) -> None:
    await identity.users.create("one", PASSWORD, admin=True)
    await identity.users.create("two", PASSWORD, admin=True)
    results = await asyncio.gather(
        identity.users.delete("one"), identity.users.disable("two"), return_exceptions=True
    )
    assert sum(isinstance(result, LastAdministrator) for result in results) == 1
