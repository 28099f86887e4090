"""Operating systems that record what they are asked, refuse it, take their time over it, or die."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from roadstead.storage.drivers.filesystem.system import System


class Recording(System):
    """Notes which file each call was about, relative to `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.calls: list[tuple[str, str]] = []

    def _note(self, name: str, fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        self.calls.append((name, os.path.relpath(path, self._root)))

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._note("write", fd)
        return super().pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        self._note("fsync", fd)
        super().fsync(fd)


class Refusing(System):
    """Answers the calls named in `refusals` with the error number there."""

    def __init__(self, **refusals: int) -> None:
        self.refusals = refusals

    def _refuse(self, name: str) -> None:
        if name in self.refusals:
            raise OSError(self.refusals[name], os.strerror(self.refusals[name]))

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        self._refuse("open")
        return super().open(path, flags, mode, dir_fd=dir_fd)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._refuse("pread")
        return super().pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        if "pwrite" in self.refusals:
            super().pwrite(fd, data[: len(data) // 2], offset)
        self._refuse("pwrite")
        return super().pwrite(fd, data, offset)

    def copy_range(self, source: int, target: int, length: int, offset: int) -> int:
        self._refuse("copy_range")
        return super().copy_range(source, target, length, offset)

    def fsync(self, fd: int) -> None:
        self._refuse("fsync")
        super().fsync(fd)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._refuse("unlink")
        super().unlink(name, dir_fd=dir_fd)


class Hesitant(System):
    """Writes and copies a few bytes at a time, as it is allowed to."""

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return super().pwrite(fd, data[:1000], offset)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return super().pread(fd, min(length, 1000), offset)

    def copy_range(self, source: int, target: int, length: int, offset: int) -> int:
        return super().copy_range(source, target, min(length, 1000), offset) if offset < 3000 else 0


class Gated(System):
    """The call named `at` waits, and says so, until it is let go."""

    def __init__(self, at: str) -> None:
        self._at = at
        self.reached = threading.Event()
        self.gate = threading.Event()

    def _wait(self, name: str) -> None:
        if name == self._at:
            self.reached.set()
            assert self.gate.wait(30)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        self._wait("pread")
        return super().pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._wait("pwrite")
        return super().pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        self._wait("fsync")
        super().fsync(fd)


class Mortal(System):
    """Dies, as if by `kill -9`, just before the call numbered `at`."""

    def __init__(self, at: int) -> None:
        self._left = at

    def _live(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        self._live()
        return super().open(path, flags, mode, dir_fd=dir_fd)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        self._live()
        return super().pwrite(fd, data, offset)

    def copy_range(self, source: int, target: int, length: int, offset: int) -> int:
        self._live()
        return super().copy_range(source, target, length, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._live()
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        self._live()
        super().fsync(fd)

    def mkdir(self, path: str) -> None:
        self._live()
        super().mkdir(path)

    def unlink(self, name: str, *, dir_fd: int) -> None:
        self._live()
        super().unlink(name, dir_fd=dir_fd)
