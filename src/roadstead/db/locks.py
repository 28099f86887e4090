"""The lock that hands SQLite's write turn from process to process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class WriterLock:
    """Held by one writer at a time among all processes that write to one SQLite file.

    SQLite itself makes waiting writers sleep and try again, which is slow and starves the unlucky.  Here they
    sleep in the kernel.  There are two files: whoever waits for `-writer.lock` holds `-turn.lock`, so a
    writer that has just finished cannot push in front of it.

    Not re-entrant, and not for several threads.  The files are empty, stay where they are, and mean nothing
    when nobody holds them.
    """

    def __init__(self, database: Path) -> None:
        self._turn = _open(database.with_name(database.name + "-turn.lock"))
        self._writer = _open(database.with_name(database.name + "-writer.lock"))

    def __enter__(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._writer, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._writer, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._writer)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
