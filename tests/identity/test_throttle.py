"""Limits to guessing."""

from __future__ import annotations

import pytest
from tests.identity.building import FakeClock

from roadstead.errors import TooManyRequests
from roadstead.identity.throttle import SignInThrottle


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throttle(clock: FakeClock) -> SignInThrottle:
    return SignInThrottle(max_failures=3, window=60, clock=clock, max_tracked=100)


def guess(throttle: SignInThrottle, account: str, client: str, times: int, *, first: int = 0) -> None:
    for number in range(first, first + times):
        throttle.check(account, client)
        throttle.failed(account, client, str(number).encode())


def refusal(throttle: SignInThrottle, account: str, client: str) -> TooManyRequests:
    with pytest.raises(TooManyRequests) as refused:
        throttle.check(account, client)
    return refused.value


def test_A20_an_account_is_guessed_at_only_so_often_from_many_addresses(throttle: SignInThrottle) -> None:
    for number in range(3):
        guess(throttle, "alice", f"address {number}", 1, first=number)
    refusal(throttle, "alice", "another address")


def test_A20_an_address_guesses_only_so_often_at_many_accounts(throttle: SignInThrottle) -> None:
    for number in range(3):
        guess(throttle, f"user {number}", "here", 1, first=number)
    refusal(throttle, "another user", "here")


def test_a_refusal_says_when_to_come_back(throttle: SignInThrottle, clock: FakeClock) -> None:
    guess(throttle, "alice", "here", 3)
    clock.advance(20.5)
    error = refusal(throttle, "alice", "here")
    assert error.retry_after == 40
    assert "40 seconds" in error.remedy
    clock.advance(40)
    throttle.check("alice", "here")


def test_A20_strangers_do_not_lock_the_owner_out(throttle: SignInThrottle) -> None:
    throttle.succeeded("alice", "home")
    for number in range(3):
        guess(throttle, "alice", f"elsewhere {number}", 1, first=number)
    refusal(throttle, "alice", "elsewhere")
    throttle.check("alice", "home")


def test_neighbours_behind_one_address_do_not_lock_its_known_users_out(throttle: SignInThrottle) -> None:
    throttle.succeeded("alice", "office")
    guess(throttle, "bob", "office", 3)
    refusal(throttle, "carol", "office")
    throttle.check("alice", "office")


def test_callers_without_an_address_are_not_counted_as_one(throttle: SignInThrottle) -> None:
    for number in range(3):
        guess(throttle, f"user {number}", "", 1, first=number)
    throttle.check("alice", "")


def test_a_known_address_guesses_only_so_often_too(throttle: SignInThrottle) -> None:
    throttle.succeeded("alice", "home")
    guess(throttle, "alice", "home", 3)
    refusal(throttle, "alice", "home")


def test_the_same_wrong_password_again_is_no_new_guess(throttle: SignInThrottle) -> None:
    for _ in range(29):
        throttle.check("alice", "ci")
        throttle.failed("alice", "ci", b"yesterday's")
    throttle.check("bob", "ci")


def test_the_same_wrong_password_is_not_compared_for_ever(throttle: SignInThrottle) -> None:
    for _ in range(30):
        throttle.failed("alice", "ci", b"yesterday's")
    refusal(throttle, "alice", "ci")


def test_signing_in_to_ones_own_account_does_not_buy_more_guesses(throttle: SignInThrottle) -> None:
    guess(throttle, "alice", "here", 2)
    throttle.succeeded("mallory", "here")
    guess(throttle, "alice", "here", 1, first=2)
    refusal(throttle, "alice", "here")


def test_what_is_remembered_is_bounded(throttle: SignInThrottle) -> None:
    for number in range(1000):
        throttle.failed(f"user {number}", f"address {number}", b"x")
        throttle.succeeded(f"user {number}", f"address {number}")
    assert len(throttle._windows) <= 100
    assert len(throttle._known) <= 100
