"""Database addresses, read once."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from roadstead.errors import RoadsteadError

_KNOWN = "sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgres")


class DatabaseUrlInvalid(RoadsteadError):
    """The address of the database cannot be read.  Never repeats it: it may hold a password."""


def parse_url(text: str) -> Path | URL:
    """The file of an SQLite database, or the address of a PostgreSQL one, for psycopg."""
    for scheme in _SQLITE:
        if text.startswith(f"{scheme}:"):
            return _sqlite_path(text.removeprefix(f"{scheme}:"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not chained: the parser's own words may quote a piece of the password.
        raise DatabaseUrlInvalid("database.url is not an address", remedy=f"Write it as {_KNOWN}.") from None
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseUrlInvalid(
        f"database.url begins with {url.drivername}://, which is not known", remedy=f"Write it as {_KNOWN}."
    )


def _sqlite_path(rest: str) -> Path:
    """What follows `sqlite:///` is the path as it is: `%` and `?` are letters like any other."""
    path = rest.removeprefix("///")
    if path == rest or path in ("", ":memory:"):
        raise DatabaseUrlInvalid(
            "an SQLite database must be a file: several connections share it", remedy="Write sqlite:///PATH."
        )
    return Path(path).absolute()
