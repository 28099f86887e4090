"""A filesystem that is really full, and one that is really read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.errors import InsufficientStorage, Unavailable
from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.testing.blob_store_contract import checkpointed, fetch, pattern, put

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root mounts a filesystem; test_filesystem.py pretends"
    ),
]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


async def test_a_full_filesystem_keeps_what_was_checkpointed(small: Path) -> None:
    store = FilesystemStore(small)
    data = pattern(300_000)
    key, state = await checkpointed(store, data)
    writer = await store.resume(key, state, len(data), fence=False)
    with pytest.raises(InsufficientStorage) as refusal:
        await writer.write(pattern(2_000_000))
    assert refusal.value.remedy
    await writer.close()
    writer = await store.resume(key, state, len(data), fence=False)
    await writer.finish(b"!")
    assert await fetch(store, key) == data + b"!"
    with pytest.raises(InsufficientStorage):
        await store.probe()
    await store.close()


async def test_a_fence_without_room_for_the_copy_leaves_the_old_bytes(small: Path) -> None:
    store = FilesystemStore(small)
    data = pattern(700_000)
    key, state = await checkpointed(store, data)
    with pytest.raises(InsufficientStorage):
        await store.resume(key, state, len(data), fence=True)
    assert await fetch(store, key) == data
    await store.close()
    assert [stored.key async for stored in aiter(FilesystemStore(small).keys())] == [key]


async def test_a_read_only_filesystem_is_read(small: Path) -> None:
    store = FilesystemStore(small)
    key = await put(store, b"x")
    make_read_only(small)
    assert await fetch(store, key) == b"x"
    with pytest.raises(Unavailable) as refusal:
        await put(store, b"y")
    assert "read-only" in refusal.value.message
    with pytest.raises(Unavailable):
        await store.probe()
    await store.close()
