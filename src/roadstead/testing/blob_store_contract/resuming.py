"""The promises about uploads that go on, elsewhere or behind a fence."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from roadstead.errors import (
    BlobUploadUnknown,
    RoadsteadError,
)
from roadstead.storage.hashing import RunningHash
from roadstead.storage.protocol import BlobStore, BlobWriter, new_key
from roadstead.testing.blob_store_contract.acts import (
    MIB,
    checkpointed,
    fetch,
    pattern,
)
from roadstead.testing.blob_store_contract.stores import Stores


class Resuming(Stores):
    async def test_a_checkpoint_is_resumed_elsewhere(self, store: BlobStore, other: BlobStore) -> None:
        key, state = await checkpointed(store, b"first, ")
        writer = await other.resume(key, state, 7, fence=False)
        assert (writer.key, writer.size) == (key, 7)
        await writer.write(b"second")
        await writer.commit()
        assert await fetch(store, key) == b"first, second"

    async def test_many_checkpoints_make_one_blob(self, store: BlobStore, other: BlobStore) -> None:
        data = pattern(200_000)
        key, state = await checkpointed(store, data[:1])
        at = 1
        for turn, step in enumerate((1, 63, 4096, 100_001, 12_345)):
            writer = await (store, other)[turn % 2].resume(key, state, at, fence=False)
            await writer.write(data[at : at + step])
            at += step
            state = await writer.checkpoint()
            await writer.close()
        writer = await other.resume(key, state, at, fence=False)
        await writer.finish(data[at:])
        assert await fetch(store, key) == data

    async def test_a_writer_goes_on_after_a_checkpoint(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.write(b"a")
        await writer.checkpoint()
        await writer.write(b"b")
        await writer.commit()
        assert await fetch(store, writer.key) == b"ab"

    async def test_bytes_after_the_checkpoint_are_forgotten(self, store: BlobStore, other: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.write(b"kept")
        state = await writer.checkpoint()
        await writer.write(b" but not this, which is long")
        await writer.close()
        resumed = await other.resume(writer.key, state, 4, fence=False)
        await resumed.finish(b", too")
        assert await fetch(store, writer.key) == b"kept, too"

    async def test_resuming_and_committing_adds_nothing(self, store: BlobStore, other: BlobStore) -> None:
        key, state = await checkpointed(store, b"whole")
        writer = await other.resume(key, state, 5, fence=False)
        await writer.commit()
        assert await fetch(store, key) == b"whole"

    @pytest.mark.parametrize("fence", [False, True])
    async def test_bytes_that_are_gone_are_not_resumed(self, store: BlobStore, fence: bool) -> None:
        key, state = await checkpointed(store, b"soon gone")
        await store.delete(key, state)
        with pytest.raises(BlobUploadUnknown):
            await store.resume(key, state, 9, fence=fence)

    @pytest.mark.parametrize("fence", [False, True])
    async def test_fewer_bytes_than_recorded_are_not_resumed(self, store: BlobStore, fence: bool) -> None:
        key, state = await checkpointed(store, b"short")
        with pytest.raises(BlobUploadUnknown):
            await store.resume(key, state, 6, fence=fence)

    @pytest.mark.parametrize("fence", [False, True])
    async def test_an_upload_of_no_bytes_yet_is_resumed(self, store: BlobStore, fence: bool) -> None:
        writer = await store.resume(new_key(), {}, 0, fence=fence)
        await writer.finish(b"from the start")
        assert await fetch(store, writer.key) == b"from the start"

    @pytest.mark.parametrize("fence", [False, True])
    async def test_a_checkpoint_of_no_bytes_is_resumed(
        self, store: BlobStore, other: BlobStore, fence: bool
    ) -> None:
        key, state = await checkpointed(store, b"")
        writer = await other.resume(key, state, 0, fence=fence)
        await writer.finish(b"x")
        assert await fetch(store, writer.key) == b"x"

    async def test_a_fence_moves_the_upload_to_a_new_key(self, store: BlobStore, other: BlobStore) -> None:
        key, state = await checkpointed(store, b"first")
        writer = await other.resume(key, state, 5, fence=True)
        assert writer.key != key
        await writer.finish(b", second")
        assert await fetch(store, writer.key) == b"first, second"
        assert await fetch(store, key) == b"first"

    async def test_nothing_the_fenced_writer_does_reaches_the_new_bytes(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        old = await store.create(new_key())
        await old.write(b"good")
        state = await old.checkpoint()
        await old.write(b" and stale")
        new = await other.resume(old.key, state, 4, fence=True)
        await old.write(b" and more")
        await new.write(b" and new")
        await old.commit()
        await new.commit()
        await other.delete(old.key, state)
        assert await fetch(store, new.key) == b"good and new"

    async def test_a_fence_holds_when_the_old_key_is_deleted_first(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        old = await store.create(new_key())
        await old.write(b"good")
        state = await old.checkpoint()
        new = await other.resume(old.key, state, 4, fence=True)
        await other.delete(old.key, state)
        with suppress(RoadsteadError):
            await old.write(b" and stale")
            await old.commit()
        await old.close()
        await new.finish(b"!")
        assert await fetch(store, new.key) == b"good!"

    async def test_a_fenced_copy_can_itself_be_resumed(self, store: BlobStore, other: BlobStore) -> None:
        data = pattern(5 * MIB + 3)
        key, state = await checkpointed(store, data)
        fenced = await other.resume(key, state, len(data) - 1, fence=True)
        state = await fenced.checkpoint()
        await fenced.close()
        writer = await store.resume(fenced.key, state, len(data) - 1, fence=False)
        await writer.finish(data[-1:])
        assert await fetch(other, writer.key) == data

    async def test_a_cancelled_write_leaves_hash_and_bytes_agreeing(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        piece = pattern(MIB)
        for turns in range(12):
            running = RunningHash.new("sha256")
            writer = await store.create(new_key())
            await writer.write(b"start", also=running.update)
            task = asyncio.ensure_future(writer.write(piece, also=running.update))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await writer.checkpoint()
            assert writer.size == running.length
            await writer.finish(b"end", also=running.update)
            whole = RunningHash.new("sha256")
            whole.update(await fetch(other, writer.key))
            assert running.digest() == whole.digest()

    async def test_a_cancelled_writer_can_be_resumed_elsewhere(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        writer = await store.create(new_key())
        await writer.write(b"start")
        state = await writer.checkpoint()
        task = asyncio.ensure_future(self._write_and_close(writer, pattern(MIB)))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        resumed = await other.resume(writer.key, state, 5, fence=True)
        await resumed.finish(b", end")
        assert await fetch(store, resumed.key) == b"start, end"

    async def _write_and_close(self, writer: BlobWriter, data: bytes) -> None:
        try:
            await writer.write(data)
        finally:
            await writer.close()
