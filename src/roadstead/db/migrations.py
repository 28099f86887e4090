"""Bringing the schema up to date, and saying how it stands.

A migration is one file in `migrations/versions`, and there is no way back: restore a backup instead.  All
that are pending run in one transaction, under a lock that further starters wait for, so a failed upgrade
changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

import roadstead
from roadstead.db.locks import WriterLock
from roadstead.db.sqlite_connection import connect, translated
from roadstead.db.tables import Base
from roadstead.db.urls import parse_url
from roadstead.errors import RoadsteadError

VERSION_TABLE = "schema_version"
# Any number will do, as long as it is always the same one.
_ADVISORY_LOCK = 7_236_103_348


class SchemaTooNew(RoadsteadError):
    """A newer Roadstead has been here."""


class SchemaTooOld(RoadsteadError):
    """Migrations are pending, and we were told not to run them."""


class DatabaseForeign(RoadsteadError):
    """The database holds something else."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`current` is None in a new database.  `pending` names the migrations to come, in their order."""

    current: str | None
    head: str
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `upgrade` did.  `applied` is empty when there was nothing to do."""

    before: str | None
    after: str
    applied: tuple[str, ...]


def upgrade(url: str) -> MigrationReport:
    """Run the pending migrations, once, however many processes ask for it at the same time.  Blocks.

    Creates an SQLite file.  Raises `SchemaTooNew`, `DatabaseForeign`, `Unavailable`.
    """
    return _upgrade_to(url, "head")


def _upgrade_to(url: str, revision: str) -> MigrationReport:
    place = parse_url(url)
    with _sqlite_upgrade(place) if isinstance(place, Path) else _postgresql_upgrade(place) as connection:
        before = _state(connection)
        config = _config()
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        if before.pending:
            command.upgrade(config, revision)
        after = _current(connection)
        left = _state(connection).pending
        assert after is not None  # noqa: S101 - there is always a first migration
        return MigrationReport(before.current, after, tuple(m for m in before.pending if m not in left))


def state(url: str) -> SchemaState:
    """How the schema stands.  Changes nothing, and does not create a file.  Raises as `upgrade` does."""
    place = parse_url(url)
    if isinstance(place, Path):
        if not place.exists():
            return _describe(None)
        with _sqlite_connection(place, write=False) as connection:
            return _state(connection)
    with _postgresql_connection(place) as connection:
        return _state(connection)


def require_current(url: str) -> None:
    """Raise `SchemaTooOld` unless there is nothing to migrate."""
    found = state(url)
    if found.pending:
        raise SchemaTooOld(
            f"the database's schema is {found.current or 'empty'}, and {found.head} is needed",
            remedy="Run `roadstead migrate`, or set `database.auto_migrate`.",
        )


def folder() -> Path:
    """Where the migrations are: inside the package when installed from a wheel, else at the top of the
    checkout.
    """
    package = Path(roadstead.__file__).parent
    for candidate in (package / "migrations", package.parents[1] / "migrations"):
        if (candidate / "env.py").is_file():
            return candidate
    raise RoadsteadError("the migrations are missing from this installation", remedy="Install it again.")


def _config() -> Config:
    config = Config()
    # `%` is the configuration format's own.
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _state(connection: Connection) -> SchemaState:
    current = _current(connection)
    if current is None:
        _refuse_foreign(connection)
    return _describe(current)


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _describe(current: str | None) -> SchemaState:
    script = ScriptDirectory.from_config(_config())
    known = [revision.revision for revision in script.walk_revisions()]
    known.reverse()
    if current is not None and current not in known:
        raise SchemaTooNew(
            f"the database's schema is {current}, and the newest that this version knows is {known[-1]}",
            remedy="Run the version that ran here last, or a newer one. To go back, restore a backup.",
        )
    done = 0 if current is None else known.index(current) + 1
    names = [Path(script.get_revision(revision).path).stem for revision in known[done:]]
    return SchemaState(current, known[-1], tuple(names))


def _refuse_foreign(connection: Connection) -> None:
    """A database without our version that has tables: those of somebody else, or ours half restored."""
    tables = set(inspect(connection).get_table_names())
    if connection.dialect.name == "postgresql":
        # Others may live in the same schema; they must only not be in the way.
        tables &= set(Base.metadata.tables)
    if tables:
        raise DatabaseForeign(
            f"the database has a table {min(tables)!r}, but no {VERSION_TABLE!r}: it is not one of ours",
            remedy="Give `database.url` an empty database, or restore the backup whole.",
        )


@contextmanager
def _sqlite_connection(path: Path, *, write: bool) -> Iterator[Connection]:
    engine = create_engine(
        "sqlite://", creator=partial(connect, path, write=write), poolclass=NullPool, hide_parameters=True
    )
    with translated(), engine.connect() as connection:
        yield connection


@contextmanager
def _sqlite_upgrade(path: Path) -> Iterator[Connection]:
    _create_private(path)
    if path.stat().st_size:
        # Before anything of it is touched: opening for writing would change somebody else's file.
        with _sqlite_connection(path, write=False) as connection:
            _state(connection)
    lock = WriterLock(path)
    try:
        with lock, _sqlite_connection(path, write=True) as connection:
            # A table that is rebuilt is dropped in between, which must not delete what refers to it.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                raise RoadsteadError(
                    f"a migration would break references from table {broken[0][0]!r}; nothing was changed",
                    remedy="Please report this.",
                )
            connection.commit()
    finally:
        lock.close()


def _create_private(path: Path) -> None:
    """The file holds password hashes and keys, and SQLite gives its log the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise RoadsteadError(
            f"the database's file cannot be created or opened: {error.strerror}",
            remedy="Check that its folder exists, and that it and the file belong to this account.",
            path=str(path),
        ) from error


@contextmanager
def _postgresql_connection(url: URL) -> Iterator[Connection]:
    # SQLite installations do without psycopg in memory.
    from roadstead.db import postgresql, postgresql_errors  # noqa: PLC0415

    plain, prepare = postgresql.take_prepare(url)
    engine = create_engine(
        plain.set(query={**postgresql.CONNECTION_DEFAULTS, **plain.query}),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"prepare_threshold": 5 if prepare else None},
    )
    with postgresql_errors.translated(), engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - just connected
        postgresql_errors.check_version(driver)
        yield connection


@contextmanager
def _postgresql_upgrade(url: URL) -> Iterator[Connection]:
    with _postgresql_connection(url) as connection:
        # Ends with the transaction, so it works through a pooler and is never left behind.
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
        yield connection
        connection.commit()
