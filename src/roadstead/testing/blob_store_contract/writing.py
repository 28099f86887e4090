"""The promises about bytes going in."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

from roadstead.errors import (
    BlobUnknown,
    Conflict,
)
from roadstead.storage.hashing import RunningHash
from roadstead.storage.protocol import BlobStore, new_key
from roadstead.testing.blob_store_contract.acts import (
    MIB,
    fetch,
    pattern,
    put,
)
from roadstead.testing.blob_store_contract.stores import Stores


class Writing(Stores):
    async def test_what_was_committed_is_read_by_another_store(
        self, store: BlobStore, other: BlobStore
    ) -> None:
        writer = await store.create(new_key())
        await writer.write(b"hello, ")
        await writer.write(b"harbour")
        await writer.commit()
        assert await fetch(other, writer.key) == b"hello, harbour"

    async def test_finish_writes_and_commits(self, store: BlobStore, other: BlobStore) -> None:
        seen: list[bytes] = []
        writer = await store.create(new_key())
        await writer.write(b"one ", also=seen.append)
        await writer.finish(b"two", also=seen.append)
        assert await fetch(other, writer.key) == b"one two"
        assert seen == [b"one ", b"two"]
        assert writer.size == 7

    async def test_a_blob_may_be_empty(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.commit()
        assert await fetch(store, writer.key) == b""
        assert await store.size(writer.key) == 0

    async def test_a_blob_may_be_empty_in_one_step(self, store: BlobStore) -> None:
        key = await put(store, b"")
        assert await fetch(store, key) == b""

    async def test_an_empty_write_adds_nothing(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.write(b"")
        await writer.write(b"x")
        await writer.write(b"")
        await writer.commit()
        assert await fetch(store, writer.key) == b"x"

    async def test_size_counts_what_was_accepted(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        assert writer.size == 0
        await writer.write(b"12345")
        assert writer.size == 5
        await writer.close()

    async def test_also_sees_the_bytes_in_order(self, store: BlobStore) -> None:
        running = RunningHash.new("sha256")
        data = pattern(3 * MIB + 17)
        writer = await store.create(new_key())
        for start in range(0, len(data), 500_000):
            await writer.write(data[start : start + 500_000], also=running.update)
        await writer.commit()
        whole = RunningHash.new("sha256")
        whole.update(data)
        assert running.digest() == whole.digest()
        assert await fetch(store, writer.key) == data

    async def test_also_runs_off_the_event_loop(self, store: BlobStore) -> None:
        def also(data: bytes) -> None:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            seen.append(data)

        seen: list[bytes] = []
        writer = await store.create(new_key())
        await writer.finish(b"x", also=also)
        assert seen == [b"x"]

    async def test_a_write_whose_also_failed_did_not_happen(self, store: BlobStore) -> None:
        def refuse(data: bytes) -> None:
            raise ValueError("no")

        writer = await store.create(new_key())
        await writer.write(b"kept")
        with pytest.raises(ValueError, match="no"):
            await writer.write(b" thrown away", also=refuse)
        assert writer.size == 4
        await writer.write(b"!")
        await writer.commit()
        assert await fetch(store, writer.key) == b"kept!"

    async def test_a_key_is_written_once(self, store: BlobStore, other: BlobStore) -> None:
        key = await put(store, b"first")
        with pytest.raises(Conflict):
            await put(other, b"second", key=key)
        assert await fetch(store, key) == b"first"

    async def test_close_is_harmless_after_commit(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.finish(b"x")
        await writer.close()
        await writer.close()
        assert await fetch(store, writer.key) == b"x"

    async def test_a_closed_writer_takes_no_more(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.write(b"x")
        await writer.close()
        with pytest.raises(RuntimeError):
            await writer.write(b"y")
        with pytest.raises(RuntimeError):
            await writer.commit()

    async def test_a_writer_that_wrote_nothing_leaves_nothing(self, store: BlobStore) -> None:
        writer = await store.create(new_key())
        await writer.close()
        with pytest.raises(BlobUnknown):
            await store.size(writer.key)

    async def test_a_hundred_writers_do_not_disturb_each_other(self, store: BlobStore) -> None:
        async def upload(seed: int) -> tuple[str, bytes]:
            data = pattern(20_000 + seed, seed)
            writer = await store.create(new_key())
            for start in range(0, len(data), 7000):
                await writer.write(data[start : start + 7000])
            await writer.commit()
            return writer.key, data

        for key, data in await asyncio.gather(*(upload(seed) for seed in range(100))):
            assert await fetch(store, key) == data

    async def test_a_large_blob_passes_in_bounded_memory(self, store: BlobStore) -> None:
        piece = pattern(MIB)
        running, read_back = RunningHash.new("sha256"), RunningHash.new("sha256")
        gc.collect()
        tracemalloc.start()
        try:
            writer = await store.create(new_key())
            for _ in range(96):
                await writer.write(piece, also=running.update)
            await writer.commit()
            async for data in store.read(writer.key):
                assert len(data) <= MIB
                read_back.update(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert read_back.digest() == running.digest()
        assert peak < 48 * MIB
