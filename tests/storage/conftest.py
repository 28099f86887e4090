"""Nothing in the storage tests may block the event loop or leave a file open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx
from tests.storage.descriptors import open_below

pytest.register_assert_rewrite("roadstead.testing.blob_store_contract")


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    with blockbuster_ctx("roadstead.storage"):
        yield


@pytest.fixture(autouse=True)
def no_descriptor_left_open(tmp_path: Path) -> Iterator[None]:
    yield
    assert open_below(tmp_path) == []
