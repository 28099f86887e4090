"""How many wrong passwords may be tried, by account and by address.

What is counted is different wrong credentials, so that a job with yesterday's password does not shut out the
office it runs in.  Repeating the same ones is free until `REPEATS` times that many.

Whoever has signed in to an account from an address before is counted apart from the rest of the world:
strangers who guess at the account, or neighbours behind the same address, do not lock its owner out.  Tokens
and remembered passwords never come here at all.  An account that does not exist is counted like any other.

Counts are this process's own: with N workers an attacker has at most N times the tries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from roadstead.errors import TooManyRequests
from roadstead.telemetry.clock import Clock, now_ms

K = TypeVar("K")
V = TypeVar("V")

# Accounts, addresses and pairs of them that are remembered.  The oldest are forgotten first.
MAX_TRACKED = 20_000
REPEATS = 10


@dataclass(slots=True)
class _Window:
    """The failures since `began`."""

    began: int
    different: set[bytes] = field(default_factory=set)
    total: int = 0


class SignInThrottle:
    """Ask `check` before a password is compared, and report afterwards with `failed` or `succeeded`."""

    def __init__(
        self, *, max_failures: int, window: float, clock: Clock = now_ms, max_tracked: int = MAX_TRACKED
    ) -> None:
        self._max_failures = max_failures
        self._window_ms = int(window * 1000)
        self._clock = clock
        self._max_tracked = max_tracked
        self._windows: OrderedDict[Hashable, _Window] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, account: str, client: str) -> None:
        """Raises `TooManyRequests`, with the time to wait, if this account or address has had its tries."""
        waits = [self._wait(key) for key in self._keys(account, client)]
        longest = max(waits)
        if longest > 0:
            raise TooManyRequests(
                f"{self._max_failures} wrong passwords in {self._window_ms // 1000} seconds are the limit",
                remedy=f"wait {longest} seconds; tokens you already have stay good",
                retry_after=longest,
            )

    def failed(self, account: str, client: str, attempt: bytes) -> None:
        """`attempt` stands for the credentials that were wrong; it must not reveal them."""
        for key in self._keys(account, client):
            window = self._current(key)
            if window is None:
                window = self._windows[key] = _Window(self._clock())
                _forget_oldest(self._windows, self._max_tracked)
            window.different.add(attempt)
            window.total += 1

    def succeeded(self, account: str, client: str) -> None:
        """The account's owner is at this address.  The counts of the world around them stay."""
        self._known[account, client] = None
        self._known.move_to_end((account, client))
        _forget_oldest(self._known, self._max_tracked)
        self._windows.pop(("pair", account, client), None)

    def _keys(self, account: str, client: str) -> list[Hashable]:
        if (account, client) in self._known:
            return [("pair", account, client)]
        # Without an address (a Unix socket's peer has none) all the world would share one count.
        return [("account", account), ("address", client)] if client else [("account", account)]

    def _current(self, key: Hashable) -> _Window | None:
        window = self._windows.get(key)
        if window is not None and self._clock() - window.began >= self._window_ms:
            del self._windows[key]
            return None
        return window

    def _wait(self, key: Hashable) -> int:
        """Seconds until this key may try again; 0 is now."""
        window = self._current(key)
        if window is None or (
            len(window.different) < self._max_failures and window.total < self._max_failures * REPEATS
        ):
            return 0
        return max(1, -(-(window.began + self._window_ms - self._clock()) // 1000))


def _forget_oldest(kept: OrderedDict[K, V], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
