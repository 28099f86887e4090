"""The promises about bytes coming out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from roadstead.errors import (
    BlobUnknown,
    RangeInvalid,
    Unavailable,
)
from roadstead.storage.protocol import BlobStore, new_key
from roadstead.testing.blob_store_contract.acts import (
    MIB,
    fetch,
    pattern,
    put,
)
from roadstead.testing.blob_store_contract.stores import Stores


class Reading(Stores):
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
