"""The drivers, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roadstead.config.settings import Settings
from roadstead.errors import Invalid
from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.storage.protocol import BlobStore


def _filesystem(settings: Settings) -> BlobStore:
    return FilesystemStore(settings.blobs_folder)


DRIVERS: Mapping[str, Callable[[Settings], BlobStore]] = {"filesystem": _filesystem}


def open_store(settings: Settings) -> BlobStore:
    """The store that the settings ask for.  Touches no disk yet; `probe()` does."""
    name = settings.storage.driver
    try:
        make = DRIVERS[name]
    except KeyError:
        known = ", ".join(sorted(DRIVERS))
        raise Invalid(
            f"storage.driver is {name!r}, and the drivers known are: {known}",
            remedy=f"set storage.driver to one of: {known}",
        ) from None
    return make(settings)
