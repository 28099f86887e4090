"""One blob on its way into a file."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from roadstead.errors import BlobUploadUnknown, RoadsteadError, Unavailable
from roadstead.storage.drivers.filesystem.failures import explained
from roadstead.storage.drivers.filesystem.tree import Tree
from roadstead.storage.protocol import Also, StoreState, new_key

T = TypeVar("T")

# The disk starts on every so many bytes, so that the last fsync of a large blob waits for few (a GiB: 20 ms
# rather than 550, for a twentieth of a CPU-second).
WRITEBACK_BYTES = 32 * 1024 * 1024
COPY_BYTES = 64 * 1024 * 1024


class FilesystemWriter:
    """The file is opened by the first hop that needs it, so that a small blob costs one hop in all.

    A job that lost its waiter (the task was cancelled) runs on in its thread.  `_turn` makes whatever comes
    next wait for it, and bytes and running hash always move together.
    """

    def __init__(self, tree: Tree, pool: ThreadPoolExecutor, key: str) -> None:
        self._tree = tree
        self._system = tree.system
        self._pool = pool
        self._key = key
        self._size = 0
        self._fd = -1
        self._turn = threading.Lock()
        self._closed = False
        # The file, down to its name, may differ from what the disk would hold after a power cut.  It may also
        # be longer than `_size`, by what a failed write left.
        self._dirty = True
        # Bytes that the disk was told to start on.
        self._begun = 0
        self._broken: RoadsteadError | None = None

    @property
    def key(self) -> str:
        return self._key

    @property
    def size(self) -> int:
        return self._size

    async def write(self, data: bytes, *, also: Also | None = None) -> None:
        await self._run(self._append, data, also)

    async def checkpoint(self) -> StoreState:
        await self._run(self._make_durable)
        return {}

    async def commit(self) -> None:
        await self._run(self._commit)

    async def finish(self, data: bytes, *, also: Also | None = None) -> None:
        await self._run(self._finish, data, also)

    async def close(self) -> None:
        if self._turn.acquire(blocking=False):
            try:
                if self._fd < 0:
                    self._closed = True
                    return
            finally:
                self._turn.release()
        await asyncio.shield(self._abandon(keep=True))

    # ── for the store ───────────────────────────────────────────────────────────────────────────────────

    async def reopen(self, size: int) -> None:
        """Go on in the file that is there."""
        await self._begin(self._reopen, size, keep=True)

    async def take_over(self, size: int) -> None:
        """Go on in a file of a new key, which no other writer has open."""
        source, self._key = self._key, new_key()
        await self._begin(self._take_over, source, size, keep=False)

    # ── on the event loop ───────────────────────────────────────────────────────────────────────────────

    async def _begin(self, function: Callable[..., None], *args: object, keep: bool) -> None:
        try:
            await self._run(function, *args)
        except BaseException:
            self._abandon(keep=keep)
            raise

    def _abandon(self, *, keep: bool) -> asyncio.Future[None]:
        """Close as soon as the running job ends, whether or not anyone waits for it."""
        return asyncio.get_running_loop().run_in_executor(self._pool, self._let_go, keep)

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._take_turn, function, args)

    # ── in a worker thread ──────────────────────────────────────────────────────────────────────────────

    def _take_turn(self, function: Callable[..., T], args: tuple[object, ...]) -> T:
        with self._turn:
            if self._closed:
                raise RuntimeError("the writer is closed")
            if self._broken is not None:
                raise self._broken
            return function(*args)

    def _reopen(self, size: int) -> None:
        try:
            with explained(BlobUploadUnknown):
                self._fd = self._tree.open(self._key, os.O_WRONLY)
        except BlobUploadUnknown:
            if size == 0:
                return  # Nothing was ever written: the first write makes the file.
            raise
        with explained():
            actual = os.fstat(self._fd).st_size
            if actual < size:
                raise _lost()
            if actual > size:
                self._system.truncate(self._fd, size)
                self._system.fsync(self._fd)
        # What was checkpointed is durable; an empty file may be all that is left of a first write.
        self._dirty = size == 0
        self._size = self._begun = size

    def _take_over(self, source_key: str, size: int) -> None:
        if size == 0:
            return
        with explained(BlobUploadUnknown):
            source = self._tree.open(source_key, os.O_RDONLY)
        try:
            with explained():
                if os.fstat(source).st_size < size:
                    raise _lost()
                self._copy(source, self._descriptor(), size)
                self._size = self._begun = size
        finally:
            self._system.close(source)
        self._make_durable()

    def _copy(self, source: int, target: int, size: int) -> None:
        done = 0
        # Not every filesystem can; what is wrong in earnest shows below.
        with suppress(OSError):
            while done < size:
                copied = self._system.copy_range(source, target, min(COPY_BYTES, size - done), done)
                if copied == 0:
                    break
                done += copied
        while done < size:
            piece = self._system.pread(source, min(1024 * 1024, size - done), done)
            if not piece:
                raise _lost()
            self._write_all(target, piece, done)
            done += len(piece)

    def _append(self, data: bytes, also: Also | None) -> None:
        before = self._size
        self._dirty = True
        with explained():
            fd = self._descriptor()
            self._write_all(fd, data, before)
        if also is not None:
            also(data)
        self._size = before + len(data)
        if self._size - self._begun >= WRITEBACK_BYTES:
            self._system.begin_writeback(fd, self._begun, self._size - self._begun)
            self._begun = self._size

    def _write_all(self, fd: int, data: bytes, offset: int) -> None:
        written = self._system.pwrite(fd, data, offset)
        if written < len(data):
            rest = memoryview(data)
            while written < len(data):
                written += self._system.pwrite(fd, rest[written:], offset + written)

    def _descriptor(self) -> int:
        if self._fd < 0:
            self._fd = self._tree.open(self._key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True)
        return self._fd

    def _make_durable(self) -> None:
        if not self._dirty:
            return
        try:
            with explained():
                fd = self._descriptor()
                if os.fstat(fd).st_size > self._size:
                    self._system.truncate(fd, self._size)
                self._system.fsync(fd)
                self._tree.settle(self._key)
                if os.fstat(fd).st_nlink == 0:
                    raise BlobUploadUnknown("the upload was cancelled", remedy="begin the upload again")
        except RoadsteadError as error:
            # The kernel reports a lost page once, and a second fsync would be content: never try again here.
            self._broken = Unavailable("an earlier fsync of this upload failed", remedy="resume the upload")
            self._broken.__cause__ = error
            raise
        self._dirty = False

    def _commit(self) -> None:
        self._make_durable()
        self._closed = True
        with explained():
            self._release()

    def _finish(self, data: bytes, also: Also | None) -> None:
        self._append(data, also)
        self._commit()

    def _let_go(self, keep: bool) -> None:
        # Nothing was promised of these bytes, and nobody may be there to hear of a failure.
        with self._turn, suppress(OSError):
            self._closed = True
            self._release()
            if not keep:
                self._tree.unlink(self._key)

    def _release(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            self._system.close(fd)


def _lost() -> BlobUploadUnknown:
    return BlobUploadUnknown("the store lost bytes of this upload", remedy="begin the upload again")
