"""The promises about what is there, and what is no more."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from roadstead.errors import (
    BlobUnknown,
    RoadsteadError,
)
from roadstead.storage.protocol import BlobStore, new_key
from roadstead.testing.blob_store_contract.acts import (
    HOSTILE_KEYS,
    checkpointed,
    fetch,
    listing,
    put,
)
from roadstead.testing.blob_store_contract.stores import Stores


class Keeping(Stores):
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
