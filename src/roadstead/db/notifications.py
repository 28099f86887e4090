"""Telling other processes that there is something new."""

from __future__ import annotations

from sqlalchemy import Connection, text

CHANNEL = "roadstead"
_NOTIFY = text(f"NOTIFY {CHANNEL}")


def notify(conn: Connection) -> None:
    """Wake whoever waits in `Database.changed`, when this transaction commits.

    SQLite needs nothing: every commit shows.  On PostgreSQL it is one round trip, and once in a transaction
    is enough.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(_NOTIFY)
