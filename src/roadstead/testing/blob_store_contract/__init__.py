"""The promises of `storage/protocol.py`, as tests.  A driver proves itself by subclassing the suite.

    class TestFilesystem(BlobStoreContract):
        @pytest.fixture
        def open_store(self, tmp_path: Path) -> Callable[[], BlobStore]:
            return lambda: FilesystemStore(tmp_path)

Each call of `open_store` is another process's view of the same place.
"""

from __future__ import annotations

from roadstead.testing.blob_store_contract.acts import OpenStore, checkpointed, fetch, listing, pattern, put
from roadstead.testing.blob_store_contract.keeping import Keeping
from roadstead.testing.blob_store_contract.reading import Reading
from roadstead.testing.blob_store_contract.resuming import Resuming
from roadstead.testing.blob_store_contract.writing import Writing

__all__ = ["BlobStoreContract", "OpenStore", "checkpointed", "fetch", "listing", "pattern", "put"]


class BlobStoreContract(Writing, Resuming, Reading, Keeping):
    """All of it."""
