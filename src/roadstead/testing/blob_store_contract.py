"""The promises of `storage/protocol.py`, as tests.  A driver proves itself by subclassing the suite.

    class TestFilesystem(BlobStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path: Path) -> Callable[[], BlobStore]:
            return lambda: FilesystemStore(tmp_path)

Each call of `open_store` is another process's view of the same place.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

import pytest

from roadstead.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    Conflict,
    RangeInvalid,
    RoadsteadError,
    Unavailable,
)
from roadstead.storage.hashing import RunningHash
from roadstead.storage.protocol import BlobStore, BlobWriter, StoredKey, StoreState, new_key

MIB = 1024 * 1024
OpenStore = Callable[[], BlobStore]

HOSTILE_KEYS = [
    "",
    ".",
    "..",
    "../../../etc/passwd",
    "/etc/passwd",
    "ab/../../ab",
    "a" * 31,
    "a" * 33,
    "A" * 32,
    "g" * 32,
    "a" * 31 + "\n",
    "a" * 32 + "\n",
    "a" * 31 + "\0",
    "a" * 31 + "\u0661",
    "%2e%2e%2f" + "a" * 23,
    "a" * 300,
]


async def put(store: BlobStore, data: bytes, *, key: str | None = None) -> str:
    """Store `data` whole, and return its key."""
    writer = await store.create(new_key() if key is None else key)
    await writer.finish(data)
    return writer.key


async def checkpointed(store: BlobStore, data: bytes) -> tuple[str, StoreState]:
    """Store `data`, unfinished, the way an upload's request does that ends well."""
    writer = await store.create(new_key())
    await writer.write(data)
    state = await writer.checkpoint()
    await writer.close()
    return writer.key, state


async def fetch(store: BlobStore, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, offset=offset, length=length)])


async def listing(store: BlobStore) -> list[StoredKey]:
    everything = store.keys()
    return [stored async for stored in everything]


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes that differ from one place to the next, so that none can be swapped unseen."""
    block = b"".join((number * 2_654_435_761 + seed).to_bytes(8, "big") for number in range(8192))
    return (block * (length // len(block) + 1))[:length]


class BlobStoreContract:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError("a driver's test says how its store is opened")

    @pytest.fixture
    async def store(self, open_store: OpenStore) -> AsyncIterator[BlobStore]:
        store = open_store()
        yield store
        await store.close()

    @pytest.fixture
    async def other(self, open_store: OpenStore) -> AsyncIterator[BlobStore]:
        """The same place, seen from another process."""
        store = open_store()
        yield store
        await store.close()

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────

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

    # ── resuming ────────────────────────────────────────────────────────────────────────────────────────

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

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (0, 10, b"0123456789"),
            (0, 0, b""),
            (0, 1, b"0"),
            (3, 4, b"3456"),
            (9, 1, b"9"),
            (9, None, b"9"),
            (10, None, b""),
            (10, 0, b""),
        ],
    )
    async def test_a_part_is_read(
        self, store: BlobStore, offset: int, length: int | None, expected: bytes
    ) -> None:
        key = await put(store, b"0123456789")
        assert await fetch(store, key, offset=offset, length=length) == expected

    @pytest.mark.parametrize(("offset", "length"), [(0, 11), (10, 1), (11, 0), (11, None), (1 << 62, None)])
    async def test_a_part_that_is_not_there_is_never_silently_short(
        self, store: BlobStore, offset: int, length: int | None
    ) -> None:
        key = await put(store, b"0123456789")
        with pytest.raises(Unavailable):
            await fetch(store, key, offset=offset, length=length)

    @pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
    async def test_a_negative_range_is_refused(
        self, store: BlobStore, offset: int, length: int | None
    ) -> None:
        key = await put(store, b"0123456789")
        with pytest.raises(RangeInvalid):
            await fetch(store, key, offset=offset, length=length)

    async def test_parts_across_pieces_join(self, store: BlobStore) -> None:
        data = pattern(3 * MIB)
        key = await put(store, data)
        for offset, length in ((MIB - 1, 2), (MIB, MIB), (1, 2 * MIB + 5), (2 * MIB, None)):
            end = None if length is None else offset + length
            assert await fetch(store, key, offset=offset, length=length) == data[offset:end]

    async def test_an_unknown_key_is_refused_before_the_first_piece(self, store: BlobStore) -> None:
        with pytest.raises(BlobUnknown):
            await anext(store.read(new_key()))
        with pytest.raises(BlobUnknown):
            await anext(store.read(new_key(), offset=5, length=5))
        with pytest.raises(BlobUnknown):
            await store.size(new_key())

    async def test_a_reader_may_stop_early(self, store: BlobStore) -> None:
        key = await put(store, pattern(3 * MIB))
        async with aclosing(store.read(key)) as pieces:
            assert len(await anext(pieces)) <= MIB
        assert await store.size(key) == 3 * MIB

    async def test_many_read_one_blob_at_once(self, store: BlobStore) -> None:
        data = pattern(2 * MIB)
        key = await put(store, data)
        results = await asyncio.gather(*(fetch(store, key, offset=offset) for offset in range(30)))
        assert all(result == data[offset:] for offset, result in enumerate(results))

    async def test_size_counts_every_byte(self, store: BlobStore) -> None:
        assert await store.size(await put(store, bytes(123_456))) == 123_456

    async def test_a_local_path_holds_the_bytes(self, store: BlobStore) -> None:
        key = await put(store, b"on disk")
        path = store.local_path(key)
        assert path is None or await asyncio.to_thread(path.read_bytes) == b"on disk"

    # ── deleting and listing ────────────────────────────────────────────────────────────────────────────

    async def test_deleting_twice_is_deleting_once(self, store: BlobStore, other: BlobStore) -> None:
        key = await put(store, b"x")
        await store.delete(key)
        await store.delete(key)
        await other.delete(key)
        with pytest.raises(BlobUnknown):
            await fetch(other, key)

    async def test_deleting_what_never_was_is_no_error(self, store: BlobStore) -> None:
        await store.delete(new_key())

    async def test_unfinished_bytes_are_deleted(self, store: BlobStore, other: BlobStore) -> None:
        key, state = await checkpointed(store, b"unfinished")
        await other.delete(key, state)
        assert await listing(store) == []

    async def test_an_empty_store_lists_nothing(self, store: BlobStore) -> None:
        assert await listing(store) == []

    async def test_every_key_is_listed_once(self, store: BlobStore, other: BlobStore) -> None:
        keys = await asyncio.gather(*(put(store, b"x" * size) for size in range(150)))
        unfinished, _ = await checkpointed(store, b"unfinished")
        listed = [(stored.key, stored.size) for stored in await listing(other)]
        assert sorted(listed) == sorted([*zip(keys, range(150), strict=True), (unfinished, 10)])

    async def test_a_listing_tells_when_a_key_was_written(self, store: BlobStore) -> None:
        for _ in range(2):
            await put(store, b"x")
        first, second = [stored.modified_at for stored in await listing(store)]
        # Milliseconds since 1970, this century.
        assert 10**12 < first < 10**13
        assert abs(first - second) < 60_000

    async def test_a_listing_may_stop_early(self, store: BlobStore) -> None:
        await asyncio.gather(*(put(store, b"x") for _ in range(10)))
        async with aclosing(store.keys()) as listing:
            await anext(listing)

    async def test_keys_may_come_and_go_under_a_listing(self, store: BlobStore) -> None:
        kept = set(await asyncio.gather(*(put(store, b"x") for _ in range(20))))
        doomed = await asyncio.gather(*(put(store, b"x") for _ in range(20)))
        listed: set[str] = set()
        async for stored in store.keys():
            listed.add(stored.key)
            if doomed:
                await store.delete(doomed.pop())
                await put(store, b"new")
        assert kept <= listed

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_a_key_of_another_form_is_refused(self, store: BlobStore, key: str) -> None:
        with pytest.raises(RoadsteadError):
            await put(store, b"x", key=key)
        with pytest.raises(RoadsteadError):
            await store.resume(key, {}, 0, fence=False)
        with pytest.raises(RoadsteadError):
            await store.resume(key, {}, 0, fence=True)
        with pytest.raises(RoadsteadError):
            await fetch(store, key)
        with pytest.raises(RoadsteadError):
            await store.size(key)
        with pytest.raises(RoadsteadError):
            await store.delete(key)
        with pytest.raises(RoadsteadError):
            store.local_path(key)

    async def test_a_probe_of_a_sound_store_leaves_nothing(self, store: BlobStore) -> None:
        await store.probe()
        assert await listing(store) == []
