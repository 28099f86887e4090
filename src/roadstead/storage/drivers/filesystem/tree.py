"""The folders of a store: opened without following links, made when missing, made durable once."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

from roadstead.errors import BlobUnknown, Unavailable
from roadstead.storage.drivers.filesystem.system import System
from roadstead.storage.layout import BLOBS, is_shard, shard_of

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Tree:
    """Every method blocks, and is for worker threads.  Raises `OSError`, to be explained by the caller."""

    def __init__(self, root: Path, system: System) -> None:
        self.root = root.absolute()
        self.system = system
        # Folders whose own entries this process knows to be durable.  Another process may have made a folder
        # and died before its fsync, so each process sees to each folder once.
        self._settled: set[str] = set()
        self._making = threading.Lock()
        # Folders above the root in which this process made an entry.
        self._unsettled: set[str] = set()

    def path(self, key: str) -> Path:
        return self.root / BLOBS / shard_of(key) / key

    def open(self, key: str, flags: int, *, make: bool = False) -> int:
        """The file of `key`.  Neither it nor its folder may be a link."""
        folder = self._open_shard(shard_of(key), make=make)
        try:
            return self.system.open(key, flags | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            self.system.close(folder)

    def open_whole(self, key: str, size: int) -> int:
        """The file of `key` for reading, which must have `size` bytes at least."""
        fd = self.open(key, os.O_RDONLY)
        try:
            self.check_size(fd, size)
        except BaseException:
            self.system.close(fd)
            raise
        return fd

    def size(self, key: str) -> int:
        folder = self._open_shard(shard_of(key), make=False)
        try:
            status = os.stat(key, dir_fd=folder, follow_symlinks=False)
        finally:
            self.system.close(folder)
        if not stat.S_ISREG(status.st_mode):
            raise BlobUnknown("the store holds no bytes under this key")
        return status.st_size

    def check_size(self, fd: int, size: int) -> int:
        """The size of an open file.  Raises `Unavailable` when that is less than `size`."""
        actual = os.fstat(fd).st_size
        if actual < size:
            raise Unavailable(
                "the store holds fewer bytes than were written",
                remedy="restore the file from a backup, or delete the blob and push it again",
                expected=size,
                actual=actual,
            )
        return actual

    def unlink(self, key: str) -> None:
        """No fsync: a deletion that a power cut undoes leaves bytes that nobody names."""
        with suppress(FileNotFoundError):
            folder = self._open_shard(shard_of(key), make=False)
            try:
                self.system.unlink(key, dir_fd=folder)
            finally:
                self.system.close(folder)

    def settle(self, key: str) -> None:
        """Make the file's name durable, and the names of the folders above it."""
        shard = shard_of(key)
        self._sync(self._shard_path(shard))
        if shard in self._settled:
            return
        with self._making:
            above = list(self._unsettled)
        for folder in (str(self.root / BLOBS), str(self.root), *above):
            self._sync(folder)
        with self._making:
            self._unsettled.difference_update(above)
        self._settled.add(shard)

    def make_root(self) -> None:
        wanted = (self.root / BLOBS, self.root, *self.root.parents)
        missing = [folder for folder in wanted if not os.path.lexists(folder)]
        for folder in reversed(missing):
            self._make(str(folder))
        with self._making:
            self._unsettled.update(str(folder.parent) for folder in missing)

    def shards(self) -> list[str]:
        """The shard folders there are, in order."""
        try:
            folder = self.system.open(str(self.root / BLOBS), _FOLDER)
        except FileNotFoundError:
            return []
        try:
            return sorted(filter(is_shard, os.listdir(folder)))  # noqa: PTH208 - a descriptor, not a path
        finally:
            self.system.close(folder)

    def open_shard(self, shard: str) -> int:
        return self._open_shard(shard, make=False)

    def _shard_path(self, shard: str) -> str:
        return f"{self.root}/{BLOBS}/{shard}"

    def _open_shard(self, shard: str, *, make: bool) -> int:
        path = self._shard_path(shard)
        try:
            return self.system.open(path, _FOLDER)
        except FileNotFoundError:
            if not make:
                raise
        self._settled.discard(shard)
        self.make_root()
        self._make(path)
        return self.system.open(path, _FOLDER)

    def _make(self, folder: str) -> None:
        with suppress(FileExistsError):
            self.system.mkdir(folder)

    def _sync(self, folder: str) -> None:
        fd = self.system.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.system.fsync(fd)
        finally:
            self.system.close(fd)
