"""What is really there: the rows of the database, and the files of the blobs."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

# Rows that nobody's request makes, and that come and go by themselves.
_NOT_COUNTED = frozenset(
    {
        "alembic_version",
        "jobs",
        "schedules",
        "events",
        "event_cursors",
        "secrets",
        # Written beside the requests: who signed in, and from where.
        "audit_log",
        "sign_in_failures",
    }
)


@dataclass(frozen=True)
class UploadRow:
    id: str
    repository: str
    storage_key: str | None
    size: int
    algorithm: str


@dataclass(frozen=True)
class Inventory:
    """How much there is of everything."""

    rows: Mapping[str, int]
    files: int


class Inside:
    """Looks at a registry's data behind its back.  Changes nothing, but for `make_due`."""

    def __init__(self, data: Path, database_url: str = "") -> None:
        self._data = data
        self._url = database_url
        self.blobs = data / "blobs" / "blobs"

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        if self._url:
            with psycopg.connect(self._url) as connection:
                return connection.execute(statement).fetchall()
        with self._sqlite() as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def _sqlite(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._data / "roadstead.db", timeout=30)) as connection:
            yield connection

    def uploads(self) -> list[UploadRow]:
        found = self.rows(
            "SELECT u.id, p.name || '/' || r.path, u.storage_key, u.size, u.algorithm FROM uploads u"
            " JOIN repositories r ON r.id = u.repository_id JOIN projects p ON p.id = r.project_id"
        )
        return [UploadRow(*row) for row in found]

    def make_due(self, schedule: str) -> None:
        """Let the clock's next job of that name be due at once."""
        statement = f"UPDATE schedules SET next_at = 0 WHERE name = '{schedule}'"
        if self._url:
            with psycopg.connect(self._url) as connection:
                connection.execute(statement)
            return
        with self._sqlite() as connection:
            connection.execute(statement)
            connection.commit()

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────

    def path(self, key: str) -> Path:
        return self.blobs / key[:2] / key

    def files(self) -> dict[str, int]:
        """Every file there is, by its key, with its size."""
        return (
            {
                file.name: file.stat().st_size
                for shard in sorted(self.blobs.iterdir())
                for file in shard.iterdir()
            }
            if self.blobs.exists()
            else {}
        )

    def inventory(self) -> Inventory:
        tables = [name for (name,) in self.rows(_TABLES_POSTGRESQL if self._url else _TABLES_SQLITE)]
        counts = {
            name: self.rows(f"SELECT count(*) FROM {name}")[0][0]
            for name in sorted(tables)
            if name not in _NOT_COUNTED
        }
        return Inventory(counts, len(self.files()))

    # ── promises ────────────────────────────────────────────────────────────────────────────────────────

    def broken_promises(self) -> list[str]:
        """Every row whose bytes are not there, whole and right, in words."""
        return [
            *self._wrong_blobs(),
            *self._wrong_manifests(),
            *self._wrong_uploads(),
            *self._wrong_database(),
        ]

    def orphans(self) -> dict[str, int]:
        """Files that no row names, with their sizes: what a sweep would collect."""
        named = {key for (key,) in self.rows("SELECT storage_key FROM blobs")}
        named |= {
            key for (key,) in self.rows("SELECT storage_key FROM uploads WHERE storage_key IS NOT NULL")
        }
        return {key: size for key, size in self.files().items() if key not in named}

    def _wrong_blobs(self) -> Iterator[str]:
        for digest, size, key in self.rows("SELECT digest, size, storage_key FROM blobs"):
            try:
                found, actual = file_digest(self.path(key), digest.partition(":")[0])
            except FileNotFoundError:
                yield f"the row of blob {digest} has no file {key}"
                continue
            if (found, actual) != (digest, size):
                yield f"the row says {digest} with {size} bytes, and its file is {found} with {actual}"

    def _wrong_manifests(self) -> Iterator[str]:
        for digest, size, payload in self.rows("SELECT digest, size, payload FROM manifests"):
            data = bytes(payload)
            if len(data) != size or f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                yield f"the manifest {digest} has other bytes than its digest says"
        for digest, reference in self.rows(
            "SELECT m.digest, f.digest FROM manifests m JOIN manifest_references f ON f.manifest_id = m.id"
            " LEFT JOIN repository_blobs l ON l.blob_id = f.blob_id AND l.repository_id = m.repository_id"
            " WHERE f.kind = 'blob' AND l.blob_id IS NULL"
        ):
            yield f"the manifest {digest} names {reference}, and its repository may not serve it"
        for (digest,) in self.rows(
            "SELECT b.digest FROM blobs b JOIN manifest_references f ON f.blob_id = b.id"
            " WHERE b.unreferenced_since IS NOT NULL"
        ):
            yield f"the blob {digest} is named by a manifest, and counted as unreferenced"

    def _wrong_uploads(self) -> Iterator[str]:
        for row in self.uploads():
            if row.storage_key is None:
                if row.size:
                    yield f"the upload {row.id} has {row.size} bytes and no file"
                continue
            try:
                actual = self.path(row.storage_key).stat().st_size
            except FileNotFoundError:
                yield f"the upload {row.id} has no file {row.storage_key}"
                continue
            if actual < row.size:
                yield f"the upload {row.id} has {row.size} bytes, and its file {actual}"

    def _wrong_database(self) -> Iterator[str]:
        if not self._url:
            for row in self.rows("PRAGMA foreign_key_check"):
                yield f"a row points at nothing: {row}"
            [(verdict,), *_] = self.rows("PRAGMA quick_check")
            if verdict != "ok":
                yield f"SQLite says: {verdict}"


def file_digest(path: Path, algorithm: str, size: int | None = None) -> tuple[str, int]:
    """The digest of a file, or of its first `size` bytes, and how many bytes that were."""
    running = hashlib.new(algorithm)
    count = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20 if size is None else min(1 << 20, size - count)):
            running.update(piece)
            count += len(piece)
    return f"{algorithm}:{running.hexdigest()}", count


def wrong_prefixes(inside: Inside, expected: Sequence[tuple[UploadRow, str]]) -> list[str]:
    """Uploads whose durable bytes are not the first ones of what was sent."""
    wrong = []
    for row, digest in expected:
        if row.storage_key is not None:
            found, count = file_digest(inside.path(row.storage_key), digest.partition(":")[0], row.size)
            if (found, count) != (digest, row.size):
                wrong.append(f"the upload {row.id} holds other bytes than were sent: {count} of {row.size}")
    return wrong


_TABLES_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_TABLES_POSTGRESQL = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
