"""Which store the settings open."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.config.settings import FilesystemSettings, Settings, StorageSettings
from roadstead.errors import Invalid
from roadstead.storage.drivers import DRIVERS, open_store
from roadstead.storage.protocol import new_key

pytestmark = pytest.mark.anyio


async def test_blobs_lie_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    store = open_store(Settings(data=tmp_path))
    key = new_key()
    assert store.local_path(key) == tmp_path / "blobs" / "blobs" / key[:2] / key


async def test_blobs_lie_where_the_settings_say(tmp_path: Path) -> None:
    storage = StorageSettings(filesystem=FilesystemSettings(rootdirectory=tmp_path / "elsewhere"))
    store = open_store(Settings(data=tmp_path, storage=storage))
    key = new_key()
    assert store.local_path(key) == tmp_path / "elsewhere" / "blobs" / key[:2] / key


def test_an_unknown_driver_stops_and_names_the_known() -> None:
    storage = StorageSettings.model_construct(driver="filesytem")
    with pytest.raises(Invalid) as refusal:
        open_store(Settings.model_construct(storage=storage))
    assert all(name in refusal.value.message for name in DRIVERS)
