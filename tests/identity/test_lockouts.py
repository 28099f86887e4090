"""Limits to guessing that workers keep together."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from tests.identity.building import PASSWORD, FakeClock, Identity

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database
from roadstead.errors import TooManyRequests
from roadstead.identity.authentication import WrongCredentials
from roadstead.identity.lockouts import Lockouts, source_of

pytestmark = pytest.mark.anyio
HOME = "198.51.100.1"


@pytest.fixture
async def workers(database: Database, clock: FakeClock) -> AsyncIterator[list[Identity]]:
    """Three workers of one registry, where alice is known at home."""
    built = [
        await Identity.build(database, clock, AuthSettings(max_failures=5, credential_cache=0))
        for _ in range(3)
    ]
    await built[0].users.create("alice", PASSWORD)
    await built[0].sign_in("alice", client=HOME)
    await settle(built)
    yield built
    for worker in built:
        await worker.close()


async def settle(workers: list[Identity]) -> None:
    for worker in workers:
        await worker.authenticator.close()


async def guess(workers: list[Identity], count: int, *, first: int = 0, account: str = "alice") -> int:
    """Guesses from as many addresses, worker by worker; how many were compared."""
    compared = 0
    for number in range(first, first + count):
        worker = workers[number % len(workers)]
        try:
            await worker.sign_in(account, f"guess {number}", client=f"203.0.{number // 250}.{number % 250}")
        except WrongCredentials:
            compared += 1
        except TooManyRequests:
            pass
        await settle(workers)
    return compared


async def refusal(worker: Identity, *, client: str = "203.0.113.9") -> TooManyRequests:
    with pytest.raises(TooManyRequests) as refused:
        await worker.sign_in("alice", client=client)
    return refused.value


async def test_A20_guesses_at_all_workers_add_up(workers: list[Identity]) -> None:
    # Five in all, and one for each worker: the first of a window is not told to the others.
    assert await guess(workers, 60) <= 5 + len(workers)
    for worker in workers:
        assert (await refusal(worker)).retry_after == 30


async def test_A20_an_account_that_is_not_there_is_locked_the_same(workers: list[Identity]) -> None:
    assert await guess(workers, 60, account="nobody") == await guess(workers, 60, first=100)


async def test_A20_nobody_locks_the_owner_out_at_home(workers: list[Identity]) -> None:
    await guess(workers, 60)
    for worker in workers:
        assert (await worker.sign_in("alice", client=HOME)).username == "alice"


async def test_each_further_guess_doubles_the_lock(workers: list[Identity], clock: FakeClock) -> None:
    await guess(workers, 60)
    waits = []
    for number in range(100, 107):
        wait = (await refusal(workers[0], client="")).retry_after
        assert wait is not None
        waits.append(wait)
        clock.advance(max(wait, 300))
        # A worker tells of the second in a window, and not of the first.
        await guess(workers[:1], 2, first=number * 10)
    assert waits[0] == 30
    assert waits == sorted(waits)
    assert waits[-1] == 900


async def test_a_lock_ends(workers: list[Identity], clock: FakeClock) -> None:
    await guess(workers, 60)
    clock.advance(301)
    assert (await workers[1].sign_in("alice", client="203.0.113.9")).username == "alice"


async def test_an_operator_lifts_a_lock_on_every_worker(workers: list[Identity]) -> None:
    await guess(workers, 60)
    await workers[0].users.unlock("alice")
    for worker in workers:
        assert (await worker.sign_in("alice", client="203.0.113.9")).username == "alice"


async def test_yesterdays_password_of_a_job_locks_nobody_out(
    workers: list[Identity], clock: FakeClock
) -> None:
    for number in range(40):
        with pytest.raises(WrongCredentials):
            await workers[number % 3].sign_in("alice", "yesterday", client="203.0.113.9")
        clock.advance(1)
    await settle(workers)
    assert (await workers[0].sign_in("alice", client="203.0.113.9")).username == "alice"


async def test_A20_one_address_guesses_at_many_accounts_only_so_often(workers: list[Identity]) -> None:
    compared = 0
    for number in range(40):
        try:
            await workers[number % 3].sign_in(f"user{number}", "guess", client="2001:db8::" + str(number))
        except WrongCredentials:
            compared += 1
        except TooManyRequests:
            pass
        await settle(workers)
    assert compared <= 5 + len(workers)
    # One customer's network of IPv6 is one address.
    await refusal(workers[0], client="2001:db8::ffff")
    assert (await workers[0].sign_in("alice", client="2001:db8:0:1::1")).username == "alice"


async def test_what_is_over_is_forgotten(
    workers: list[Identity], database: Database, clock: FakeClock
) -> None:
    await guess(workers, 60)
    lockouts = Lockouts(database, AuthSettings(), clock=clock)
    assert await lockouts.forget_ended() == 0
    clock.advance(2000)
    assert await lockouts.forget_ended() > 0
    clock.advance(91 * 24 * 3600)
    await lockouts.forget_ended()
    rows = await database.read(lambda conn: conn.execute(text("SELECT key FROM sign_in_failures")).all())
    assert rows == []


@pytest.mark.parametrize(
    ("client", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_a_network_of_one_customer_is_one_address(client: str, source: str) -> None:
    assert source_of(client) == source
