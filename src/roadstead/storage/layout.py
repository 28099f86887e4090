"""Where everything of a filesystem store lies.  Every path is built here.

ROOT/
  blobs/
    0b/
      0b5c…d1      the bytes of key 0b5c…d1, finished or not, mode 0600
    …              a folder for each first two digits, made when first needed, mode 0700

Nothing else is ours: other trees may lie beside `blobs`.  A file gets its final name at once; the row that
names its key is what makes it a blob.
"""

from __future__ import annotations

import re

from roadstead.errors import RoadsteadError

BLOBS = "blobs"
SHARD_DIGITS = 2

_KEY = re.compile(r"[0-9a-f]{32}")
_SHARD = re.compile(r"[0-9a-f]{2}")


class StorageKeyInvalid(RoadsteadError):
    """A key that `new_key()` cannot have made: a mistake of ours, or a row that somebody changed."""


def checked_key(key: str) -> str:
    """`key`, which can now be part of a path.  Raises `StorageKeyInvalid` before any disk is touched."""
    if _KEY.fullmatch(key) is None:
        raise StorageKeyInvalid(
            "a storage key is 32 lower-case hexadecimal digits",
            remedy="check the row that names it against a backup of the database",
        )
    return key


def shard_of(key: str) -> str:
    """The folder, inside `blobs`, that holds `key`."""
    return checked_key(key)[:SHARD_DIGITS]


def is_key(name: str) -> bool:
    return _KEY.fullmatch(name) is not None


def is_shard(name: str) -> bool:
    return _SHARD.fullmatch(name) is not None
