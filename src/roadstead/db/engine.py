"""Opening the database that an address names."""

from __future__ import annotations

from pathlib import Path

from roadstead.db.database import Database
from roadstead.db.sqlite import SqliteDatabase
from roadstead.db.urls import parse_url


def open_database(url: str, *, pool_size: int, pool_timeout: float) -> Database:
    """The database at `url`.  Connects when first used; `migrations.upgrade` has been run before.

    `pool_size` is the most PostgreSQL connections to hold (three at least), or SQLite reader threads (four at
    most). `pool_timeout` is how long to wait for a connection or for the write lock, in seconds.
    """
    place = parse_url(url)
    if isinstance(place, Path):
        return SqliteDatabase(place, readers=min(4, pool_size), timeout=pool_timeout)
    # SQLite installations do without psycopg in memory.
    from roadstead.db.postgresql import PostgresqlDatabase  # noqa: PLC0415

    return PostgresqlDatabase(place, pool_size=pool_size, pool_timeout=pool_timeout)
