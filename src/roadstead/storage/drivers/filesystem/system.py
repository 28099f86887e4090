"""The calls to the operating system that this driver makes, in one place, so that a test can break them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

# From <fcntl.h>: begin to write dirty pages, wait for nothing.
_SYNC_FILE_RANGE_WRITE = 2


class System:
    """The real thing.  Tests subclass it to record, to fail or to die."""

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return os.pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def copy_range(self, source: int, target: int, length: int, offset: int) -> int:
        """Copy inside the kernel, by reference where the filesystem can.  Raises OSError when it cannot."""
        return os.copy_file_range(source, target, length, offset, offset)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def begin_writeback(self, fd: int, offset: int, length: int) -> None:
        """Have the disk start on these bytes now, so that a later `fsync` waits for few.  May do nothing."""
        call = _sync_file_range()
        if call is not None:
            call(fd, offset, length, _SYNC_FILE_RANGE_WRITE)

    def mkdir(self, path: str) -> None:
        Path(path).mkdir(0o700)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    call.restype = ctypes.c_int
    return call  # type: ignore[no-any-return]  # ctypes does not tell
