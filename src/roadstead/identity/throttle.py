"""How many wrong passwords may be tried, by account and by address.

What is counted is different wrong credentials, so that a job with yesterday's password does not shut out the
office it runs in.  Repeating the same ones is free until `REPEATS` times that many.

Whoever has signed in to an account from an address before is counted apart from the rest of the world:
strangers who guess at the account, or neighbours behind the same address, do not lock its owner out.  Tokens
and remembered passwords never come here at all.  An account that does not exist is counted like any other.

Counts are this process's own; `lockouts` adds up those of all workers and replicas.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

from roadstead.errors import TooManyRequests
from roadstead.identity.rules import RESERVED_PREFIX
from roadstead.telemetry.clock import Clock, now_ms

K = TypeVar("K")
V = TypeVar("V")

# Accounts, addresses and pairs of them that are remembered.  The oldest are forgotten first.
MAX_TRACKED = 20_000
REPEATS = 10
# A robot comes from a new address with every build, and its secret is not guessed in a thousand years: it takes that
# many times the strangers' guesses to shut it out.
PATIENCE_WITH_ROBOTS = 100

# What is counted.
ACCOUNT = "account"
ADDRESS = "address"
_PAIR = "pair"
_Key = tuple[str, ...]


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
        self._windows: OrderedDict[_Key, _Window] = OrderedDict()
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

    def failed(self, account: str, client: str, attempt: bytes) -> list[str]:
        """`attempt` stands for the credentials that were wrong; it must not reveal them.

        Returns which counts of strangers went up, `ACCOUNT` or `ADDRESS`: all workers should know.  The first wrong
        credentials of a window are nobody else's concern: each worker sees a job's old password once.
        """
        told = []
        for key in self._keys(account, client):
            window = self._current(key)
            if window is None:
                window = self._windows[key] = _Window(self._clock())
                _forget_oldest(self._windows, self._max_tracked)
            before = len(window.different)
            window.different.add(attempt)
            window.total += 1
            if key[0] != _PAIR and len(window.different) > max(1, before):
                told.append(key[0])
        return told

    def succeeded(self, account: str, client: str) -> None:
        """The account's owner is at this address.  The counts of the world around them stay."""
        self.meet(account, client)
        self._windows.pop((_PAIR, account, client), None)

    def meet(self, account: str, client: str) -> None:
        """The account's owner has been at this address."""
        self._known[account, client] = None
        self._known.move_to_end((account, client))
        _forget_oldest(self._known, self._max_tracked)

    def forgive(self, account: str, *, before: int) -> None:
        """Forget what strangers did to the account before then, in milliseconds since 1970."""
        window = self._windows.get((ACCOUNT, account))
        if window is not None and window.began <= before:
            del self._windows[ACCOUNT, account]

    def _keys(self, account: str, client: str) -> list[_Key]:
        if (account, client) in self._known:
            return [(_PAIR, account, client)]
        # Without an address (a Unix socket's peer has none) all the world would share one count.
        return [(ACCOUNT, account), (ADDRESS, client)] if client else [(ACCOUNT, account)]

    def _current(self, key: _Key) -> _Window | None:
        window = self._windows.get(key)
        if window is not None and self._clock() - window.began >= self._window_ms:
            del self._windows[key]
            return None
        return window

    def _wait(self, key: _Key) -> int:
        """Seconds until this key may try again; 0 is now."""
        window = self._current(key)
        most = self._max_failures * (PATIENCE_WITH_ROBOTS if _is_robot(key) else 1)
        if window is None or (len(window.different) < most and window.total < most * REPEATS):
            return 0
        return max(1, -(-(window.began + self._window_ms - self._clock()) // 1000))


def _is_robot(key: _Key) -> bool:
    return key[0] == ACCOUNT and key[1].startswith(RESERVED_PREFIX)


def _forget_oldest(kept: OrderedDict[K, V], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
