"""Connections to an SQLite file, and what SQLite's errors mean to us."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from roadstead.errors import InsufficientStorage, RoadsteadError, Unavailable

MINIMUM_VERSION = (3, 35, 0)  # RETURNING
BUSY_MS = 5_000

_DURABLE = (
    "PRAGMA journal_mode = WAL",
    # FULL: what was answered with 201 survives a power cut.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 67108864",
    # Savepoints keep the old pages in memory, not in a temporary file.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -32768",
)
_READ_ONLY = (
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA mmap_size = 268435456",
)


def connect(path: Path, *, write: bool, busy_ms: int = BUSY_MS) -> sqlite3.Connection:
    """A connection that never begins a transaction by itself.  Raises what `translated` says."""
    check_version()
    with translated():
        connection = sqlite3.connect(
            path,
            timeout=busy_ms / 1000,
            isolation_level=None,
            # Handed from thread to thread, never used by two at once.
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            for pragma in _DURABLE if write else _READ_ONLY:
                connection.execute(pragma).close()
            # Reads the file's head, so that a file of something else is refused here.
            connection.execute("PRAGMA schema_version").fetchone()
        except BaseException:
            connection.close()
            raise
    return connection


def check_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    if version < MINIMUM_VERSION:
        raise RoadsteadError(
            f"SQLite {'.'.join(map(str, version))} is too old: 3.35 is the oldest that works",
            remedy="Use a Python that is built with a newer SQLite, or PostgreSQL.",
        )


@contextmanager
def translated() -> Iterator[None]:
    """Let SQLite's errors out in our words.  Broken constraints and wrong SQL pass unchanged."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        if ours := explain(error.orig):
            raise ours from error
        raise
    except sqlite3.Error as error:
        if ours := explain(error):
            raise ours from error
        raise


def explain(error: BaseException | None) -> RoadsteadError | None:  # noqa: PLR0911 - a table
    """Our word for one of SQLite's errors, or nothing where it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    # The low byte is the kind; the rest is detail.
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return busy()
        case sqlite3.SQLITE_FULL:
            return InsufficientStorage(
                "there is no room left for the database", remedy="Free space on its disk.", retry_after=30
            )
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return Unavailable(
                "the database's file cannot be read or written", remedy="Check its disk.", retry_after=10
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return Unavailable(
                "the database's file cannot be opened for writing",
                remedy="Check that its folder exists, and that it and the file belong to this account.",
                retry_after=10,
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return Unavailable(
                "the database's file is damaged, or not a database",
                remedy="Check `database.url`, or restore the file from a backup.",
                retry_after=60,
            )
        case _:
            return None


def busy() -> Unavailable:
    return Unavailable(
        "the database is busy with other writers",
        remedy="Try again. If this lasts, find the process that writes for long, or use PostgreSQL.",
        retry_after=1,
    )
