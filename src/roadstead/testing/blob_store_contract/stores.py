"""The stores under test: a driver supplies `open_store`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from roadstead.storage.protocol import BlobStore
from roadstead.testing.blob_store_contract.acts import OpenStore


class Stores:
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
