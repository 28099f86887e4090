"""Whatever the step at which the process dies, what was promised holds and the rest is garbage."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.testing.blob_store_contract import fetch, listing

pytestmark = pytest.mark.anyio

CHECKOUT = Path(__file__).parents[2]


def deaths(root: Path) -> Iterator[tuple[Path, int, list[list[str]]]]:
    """For each step to die at: the folder, the exit code, and what was promised before."""
    command = [sys.executable, "-m", "tests.storage.mortal_upload", str(root)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    promises: list[list[str]] = []
    for words in map(str.split, done.stdout.splitlines()):
        if words[0] == "ended":
            yield root / words[1], int(words[2]), promises
            promises = []
        else:
            promises.append(words)


async def hold_to(promise: list[str], store: FilesystemStore) -> None:
    what, key, size = promise
    if what == "committed":
        assert await fetch(store, key) == b"a" * 3000
    else:
        writer = await store.resume(key, {}, int(size), fence=True)
        await writer.finish(b"b")
        assert await fetch(store, writer.key) == b"a" * int(size) + b"b"


async def test_killed_at_any_step_the_promises_hold(tmp_path: Path) -> None:
    endings = await asyncio.to_thread(lambda: list(deaths(tmp_path)))
    for root, _, promises in endings:
        store = FilesystemStore(root)
        if promises:
            await hold_to(promises[-1], store)
        # What is left over is listed, so that a sweep finds it.
        for stored in await listing(store):
            await store.delete(stored.key)
        assert await listing(store) == []
        await store.close()
    assert [code for _, code, _ in endings[:-1]] == [-signal.SIGKILL] * (len(endings) - 1)
    assert len(endings) > 20
    assert [what for what, _, _ in endings[-1][2]] == [
        "durable",
        "durable",
        "durable",
        "deleted",
        "committed",
    ]
