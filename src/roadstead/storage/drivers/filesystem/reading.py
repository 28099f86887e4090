"""Files and folders that are read a piece at a time, one thread hop a piece."""

from __future__ import annotations

import os
import stat
import threading
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Generic, TypeVar

from roadstead.errors import BlobUnknown, Unavailable
from roadstead.storage.drivers.filesystem.failures import explained
from roadstead.storage.drivers.filesystem.tree import Tree
from roadstead.storage.layout import is_key
from roadstead.storage.protocol import StoredKey

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024
PAGE_ENTRIES = 1000


class Reader(Generic[T]):
    """Something read in steps by worker threads, and closed once, whatever happened to who asked for it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._closed = False
        self.done = False

    def next(self) -> T | None:
        """The next step's result.  `done` says when it was the last; None when there was nothing."""
        with self._turn:
            if self._closed:
                return None
            result = self._step()
            if self.done:
                self._close()
            return result

    def close(self, pool: Executor) -> None:
        """Close now, or as soon as the step that runs has ended.  Never waits."""
        if self._turn.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._turn.release()
        else:
            pool.submit(self._close_in_turn)

    def _close_in_turn(self) -> None:
        with self._turn:
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._release()

    @abstractmethod
    def _step(self) -> T: ...

    @abstractmethod
    def _release(self) -> None: ...


class FileReader(Reader[bytes]):
    """`length` bytes from `offset`, or all the rest: never fewer without an error."""

    def __init__(self, tree: Tree, key: str, offset: int, length: int | None) -> None:
        super().__init__()
        self._tree = tree
        self._key = key
        self._offset = offset
        self._left = length
        self._fd = -1

    def _step(self) -> bytes:
        left = self._open() if self._fd < 0 or self._left is None else self._left
        with explained():
            piece = self._tree.system.pread(self._fd, min(left, PIECE_BYTES), self._offset)
        if left and not piece:
            raise Unavailable(
                "the file shrank while it was read", remedy="nothing but this server may change it"
            )
        self._offset += len(piece)
        self._left = left - len(piece)
        self.done = self._left == 0
        return piece

    def _open(self) -> int:
        """Open the file; the number of bytes to come."""
        with explained(BlobUnknown):
            self._fd = self._tree.open(self._key, os.O_RDONLY)
        with explained():
            if self._left is None:
                return self._tree.check_size(self._fd, self._offset) - self._offset
            self._tree.check_size(self._fd, self._offset + self._left)
        return self._left

    def _release(self) -> None:
        if self._fd >= 0:
            self._tree.system.close(self._fd)


class ShardReader(Reader[list[StoredKey]]):
    """The keys of one shard, a page a step."""

    def __init__(self, tree: Tree, shard: str) -> None:
        super().__init__()
        self._tree = tree
        self._shard = shard
        self._held = ExitStack()
        self._entries: Iterator[os.DirEntry[str]] | None = None

    def _step(self) -> list[StoredKey]:
        page: list[StoredKey] = []
        with explained():
            for entry in self._open():
                if is_key(entry.name) and (found := _stored(entry)) is not None:
                    page.append(found)
                    if len(page) == PAGE_ENTRIES:
                        return page
        self.done = True
        return page

    def _open(self) -> Iterator[os.DirEntry[str]]:
        if self._entries is None:
            try:
                fd = self._tree.open_shard(self._shard)
            except FileNotFoundError:
                return iter(())
            self._held.callback(self._tree.system.close, fd)
            self._entries = self._held.enter_context(os.scandir(fd))
        return self._entries

    def _release(self) -> None:
        self._held.close()


def _stored(entry: os.DirEntry[str]) -> StoredKey | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # Deleted since the folder was read.
    if not stat.S_ISREG(status.st_mode):
        return None
    return StoredKey(entry.name, status.st_size, status.st_mtime_ns // 1_000_000)
