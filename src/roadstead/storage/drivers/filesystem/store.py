"""The store itself: which thread does what."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from roadstead.errors import BlobUnknown, InsufficientStorage, RangeInvalid, Unavailable
from roadstead.storage.drivers.filesystem.failures import explained
from roadstead.storage.drivers.filesystem.reading import FileReader, ShardReader
from roadstead.storage.drivers.filesystem.system import System
from roadstead.storage.drivers.filesystem.tree import Tree
from roadstead.storage.drivers.filesystem.writer import FilesystemWriter
from roadstead.storage.layout import checked_key
from roadstead.storage.protocol import BlobStore, StoredKey, StoreState, new_key

T = TypeVar("T")

# A store with less than this is full, says `probe`: what has begun, and the database beside it, need room.
RESERVE_BYTES = 16 * 1024 * 1024


class FilesystemStore(BlobStore):
    """Blobs as files under `root`.  Any number of processes may share one folder.

    Writes and reads have threads of their own, `threads` each: an fsync that takes seconds holds up no pull.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None = None,
        reserve: int = RESERVE_BYTES,
        system: System | None = None,
    ) -> None:
        threads = threads or min(32, 4 * (os.cpu_count() or 1))
        self._tree = Tree(root, system or System())
        self._writes = ThreadPoolExecutor(threads, thread_name_prefix="store-write")
        self._reads = ThreadPoolExecutor(threads, thread_name_prefix="store-read")
        self._reserve = reserve

    async def create(self, key: str) -> FilesystemWriter:
        return FilesystemWriter(self._tree, self._writes, checked_key(key))

    async def resume(self, key: str, state: StoreState, size: int, *, fence: bool) -> FilesystemWriter:  # noqa: ARG002 - the file says it all
        writer = await self.create(key)
        await (writer.take_over(size) if fence else writer.reopen(size))
        return writer

    async def read(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        if offset < 0 or (length is not None and length < 0):
            raise RangeInvalid("a range of a blob begins at 0 or later and has no negative length")
        reader = FileReader(self._tree, checked_key(key), offset, length)
        try:
            while not reader.done:
                if piece := await self._run(self._reads, reader.next):
                    yield piece
        finally:
            reader.close(self._reads)

    async def size(self, key: str) -> int:
        return await self._run(self._reads, self._size, checked_key(key))

    async def delete(self, key: str, state: StoreState | None = None) -> None:  # noqa: ARG002 - the file says it all
        await self._run(self._writes, self._delete, checked_key(key))

    def local_path(self, key: str) -> Path | None:
        return self._tree.path(key)

    async def keys(self) -> AsyncGenerator[StoredKey, None]:
        for shard in await self._run(self._reads, self._shards):
            reader = ShardReader(self._tree, shard)
            try:
                while not reader.done:
                    for stored in await self._run(self._reads, reader.next) or ():
                        yield stored
            finally:
                reader.close(self._reads)

    async def probe(self) -> None:
        # An ordinary key: what a crash leaves behind goes with everything else that no row names.
        key, data = new_key(), os.urandom(64)
        writer = await self.create(key)
        try:
            await writer.finish(data)
            async for piece in self.read(key):
                if piece != data:
                    raise Unavailable(
                        "the filesystem of the blobs gives back other bytes than were written",
                        remedy="look at the kernel's log, and at the disk or the server behind the mount",
                    )
        finally:
            await writer.close()
            await self.delete(key)
        free = await self.free_bytes()
        if free < self._reserve:
            raise InsufficientStorage(
                f"the filesystem of the blobs has {free} bytes left, and {self._reserve} are the least",
                remedy="free some space, enlarge the filesystem or raise its quota",
                free=free,
                least=self._reserve,
            )

    async def free_bytes(self) -> int:
        """Bytes that we may still write, as the filesystem tells."""
        return await self._run(self._reads, self._free_bytes)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        for pool in (self._writes, self._reads):
            await loop.run_in_executor(None, pool.shutdown)

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *args)

    def _size(self, key: str) -> int:
        with explained(BlobUnknown):
            return self._tree.size(key)

    def _delete(self, key: str) -> None:
        with explained():
            self._tree.unlink(key)

    def _shards(self) -> list[str]:
        with explained():
            return self._tree.shards()

    def _free_bytes(self) -> int:
        with explained():
            self._tree.make_root()
            status = os.statvfs(self._tree.root)
        return status.f_bavail * status.f_frsize
