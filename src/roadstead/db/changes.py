"""Waking those who wait for somebody's commit."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary


class Changes:
    """Counts changes, and remembers how far each task has heard.  Belongs to one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._heard: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._waiting: set[asyncio.Future[None]] = set()

    def bump(self) -> None:
        """Something was written."""
        self._count += 1
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, seconds: float) -> bool:
        """Whether anything was written since this task last heard of it; waits that long for it at most."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of asyncio runs in a task
        if self._heard.get(task) == self._count:
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await asyncio.wait((future,), timeout=seconds)
            finally:
                self._waiting.discard(future)
            if self._heard[task] == self._count:
                return False
        self._heard[task] = self._count
        return True
