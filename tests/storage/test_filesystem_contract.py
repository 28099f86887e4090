"""The filesystem driver keeps every promise of a blob store."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.testing.blob_store_contract import BlobStoreContract, OpenStore


class TestFilesystem(BlobStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: FilesystemStore(tmp_path / "store")
