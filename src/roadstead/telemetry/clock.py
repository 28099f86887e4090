"""The wall clock, as a value that tests replace."""

from __future__ import annotations

import time
from collections.abc import Callable

# Milliseconds since 1970, UTC.
Clock = Callable[[], int]


def now_ms() -> int:
    return time.time_ns() // 1_000_000
