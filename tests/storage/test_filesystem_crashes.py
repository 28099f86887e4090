"""Whatever the step at which the process dies, what was promised holds and the rest is garbage."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.testing.blob_store_contract import fetch, listing

pytestmark = pytest.mark.anyio

CHECKOUT = Path(__file__).parents[2]


def die_at(step: int, root: Path) -> tuple[int, list[list[str]]]:
    command = [sys.executable, "-m", "tests.storage.mortal_upload", str(root), str(step)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [line.split() for line in done.stdout.splitlines()]


async def hold_to(promises: list[list[str]], store: FilesystemStore) -> None:
    """Every promise made before the end holds."""
    for what, key, size in promises[-1:]:
        if what == "committed":
            assert await fetch(store, key) == b"a" * 3000
            continue
        writer = await store.resume(key, {}, int(size), fence=True)
        await writer.finish(b"b")
        assert await fetch(store, writer.key) == b"a" * int(size) + b"b"


@pytest.mark.timeout(300)
async def test_killed_at_any_step_the_promises_hold(tmp_path: Path) -> None:
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        root = tmp_path / str(step)
        code, promises = await asyncio.to_thread(die_at, step, root)
        store = FilesystemStore(root)
        await hold_to(promises, store)
        # What is left over is listed, so that a sweep finds it.
        for stored in await listing(store):
            await store.delete(stored.key)
        assert await listing(store) == []
        await store.close()
        step += 1
    assert code == 0
    assert [what for what, _, _ in promises] == ["durable", "durable", "durable", "deleted", "committed"]
    assert step > 20
