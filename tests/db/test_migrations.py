"""The migrations make what the models say, keep what is there, and refuse what they do not know."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from roadstead.db import migrations
from roadstead.db.migrations import (
    VERSION_TABLE,
    DatabaseForeign,
    SchemaTooNew,
    SchemaTooOld,
    require_current,
    state,
    upgrade,
)
from roadstead.db.tables import Base
from roadstead.errors import RoadsteadError, Unavailable
from roadstead.testing.postgres import PostgresServer

OLDEST = "0001"
# A row of every table as the first migration made it, in an order that references allow.
ROWS: Mapping[str, Mapping[str, Any]] = {
    "users": {
        "id": 1,
        "username": "anna",
        "password_hash": "x",
        "admin": True,
        "disabled": False,
        "credential_epoch": 0,
        "created_at": 1,
    },
    "projects": {"id": 1, "name": "library", "public": True, "owner_id": 1, "created_at": 1},
    "repositories": {"id": 1, "project_id": 1, "path": "debian", "created_at": 1},
    "blobs": {"id": 1, "digest": "sha256:a", "size": 1, "storage_key": "k", "created_at": 1},
    "repository_blobs": {"repository_id": 1, "blob_id": 1, "created_at": 1},
    "manifests": {
        "id": 1,
        "repository_id": 1,
        "digest": "sha256:b",
        "media_type": "m",
        "size": 1,
        "payload": b"{}",
        "pushed_at": 1,
        "pull_count": 0,
    },
    "manifest_references": {"manifest_id": 1, "digest": "sha256:a", "kind": "blob", "blob_id": 1},
    "tags": {"repository_id": 1, "name": "latest", "manifest_id": 1, "created_at": 1, "updated_at": 1},
    "uploads": {
        "id": "u",
        "repository_id": 1,
        "storage_key": "k2",
        "store_state": "{}",
        "algorithm": "sha256",
        "size": 0,
        "started_at": 1,
        "updated_at": 1,
    },
    "secrets": {"id": "s", "purpose": "p", "value": b"\x00", "created_at": 1},
    "jobs": {
        "id": 1,
        "queue": "default",
        "kind": "k",
        "payload": "{}",
        "state": "queued",
        "priority": 0,
        "run_at": 1,
        "attempt": 0,
        "max_attempts": 5,
        "created_at": 1,
    },
    "schedules": {"name": "n", "kind": "k", "payload": "{}", "every_seconds": 1, "next_at": 1},
    "events": {"id": 1, "kind": "k", "occurred_at": 1, "payload": "{}", "dispatched": False},
}


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest) -> str:
    name = "empty_sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    url: str = request.getfixturevalue(name)
    return url


def engine_of(url: str) -> Engine:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = engine_of(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def sqlite_schema(connection: Connection) -> set[str]:
    rows = connection.execute(
        text(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT IN (:v, 'sqlite_sequence')"
        ),
        {"v": VERSION_TABLE},
    )
    return {canonical(row[0]) for row in rows}


def canonical(statement: str) -> str:
    """One statement's words, with a table's parts in one order."""
    flat = re.sub(r"\s+", " ", statement.replace('"', "")).strip()
    head, parenthesis, body = flat.partition(" (")
    if not head.startswith("CREATE TABLE"):
        return flat
    return (
        head
        + parenthesis
        + ", ".join(sorted(re.split(r", (?![^(]*\))", body.strip().removesuffix(")").strip())))
    )


def is_comparable(_: object, name: str | None, *rest: object) -> bool:
    return name != "ix_jobs_ready"


def test_alembic_finds_no_difference_to_the_models(database_url: str) -> None:
    with connected(database_url) as connection, warnings.catch_warnings():
        # An index over an expression cannot be reflected; the tests below compare it.
        warnings.filterwarnings("ignore", "autogenerate skipping")
        options = {"version_table": VERSION_TABLE, "compare_type": True, "include_object": is_comparable}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_sqlite_has_every_word_of_the_models(sqlite_url: str) -> None:
    """Autoincrement, partial indexes and references too, which alembic does not compare."""
    engine = create_engine("sqlite://")
    expected = set()
    for table in Base.metadata.sorted_tables:
        expected.add(canonical(str(CreateTable(table).compile(engine))))
        expected |= {canonical(str(CreateIndex(index).compile(engine))) for index in table.indexes}
    engine.dispose()
    with connected(sqlite_url) as connection:
        assert sqlite_schema(connection) == expected


_POSTGRESQL_SCHEMA = text(
    """
    SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = :schema AND tablename <> :version
    UNION ALL
    SELECT 'constraint', c.conrelid::regclass::text || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid)
      FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
     WHERE n.nspname = :schema AND t.relname <> :version
    UNION ALL
    SELECT 'column', concat_ws(' ', table_name, column_name, data_type, is_nullable, collation_name, column_default)
      FROM information_schema.columns WHERE table_schema = :schema AND table_name <> :version
    """
)


def postgresql_schema(connection: Connection, schema: str) -> set[tuple[str, str]]:
    rows = connection.execute(_POSTGRESQL_SCHEMA, {"schema": schema, "version": VERSION_TABLE})
    return {(row[0], row[1].replace(f"{schema}.", "")) for row in rows}


@pytest.mark.postgres
def test_postgresql_has_every_column_index_and_constraint_of_the_models(postgres_url: str) -> None:
    """Collations and partial indexes too."""
    with connected(postgres_url) as connection:
        migrated = postgresql_schema(connection, "public")
        connection.execute(text("CREATE SCHEMA models"))
        connection.execute(text("SET LOCAL search_path TO models"))
        Base.metadata.create_all(connection, checkfirst=False)
        declared = postgresql_schema(connection, "models")
        connection.execute(text("SET LOCAL search_path TO public"))
    assert migrated == declared


@pytest.mark.postgres
def test_text_that_is_compared_sorts_bytewise_on_postgresql(postgres_url: str) -> None:
    with connected(postgres_url) as connection:
        columns = connection.execute(
            text(
                "SELECT table_name || '.' || column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
            )
        ).scalars()
        assert list(columns) == []


def test_rows_survive_every_migration_since_the_first(empty_url: str) -> None:
    migrations._upgrade_to(empty_url, OLDEST)
    before: dict[str, list[Mapping[str, Any]]] = {}
    with connected(empty_url) as connection:
        tables = reflect(connection)
        assert set(ROWS) == set(tables) - {VERSION_TABLE}
        for name, row in ROWS.items():
            connection.execute(insert(tables[name]).values(**row))
        for name in ROWS:
            before[name] = rows_of(connection, tables[name])
    upgrade(empty_url)
    with connected(empty_url) as connection:
        tables = reflect(connection)
        for name, rows in before.items():
            after = rows_of(connection, tables[name])
            assert len(after) == len(rows)
            shared = rows[0].keys() & after[0].keys()
            assert [{key: row[key] for key in shared} for row in after] == [
                {key: row[key] for key in shared} for row in rows
            ]


def reflect(connection: Connection) -> Mapping[str, Table]:
    metadata = MetaData()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        metadata.reflect(connection)
    return metadata.tables


def rows_of(connection: Connection, table: Table) -> list[Mapping[str, Any]]:
    return [dict(row) for row in connection.execute(select(table)).mappings()]


def test_a_new_database_is_migrated_once(empty_url: str) -> None:
    assert state(empty_url).current is None
    with pytest.raises(SchemaTooOld) as refusal:
        require_current(empty_url)
    assert "roadstead migrate" in refusal.value.remedy
    report = upgrade(empty_url)
    assert report.before is None
    assert report.applied[0] == "0001_create_tables"
    assert upgrade(empty_url).applied == ()
    require_current(empty_url)
    assert state(empty_url).current == state(empty_url).head == report.after


def test_asking_for_the_state_creates_no_file(empty_sqlite_url: str, tmp_path: Path) -> None:
    state(empty_sqlite_url)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_for_its_owner_alone(empty_sqlite_url: str, tmp_path: Path) -> None:
    upgrade(empty_sqlite_url)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_schema_from_the_future_is_refused(database_url: str) -> None:
    with connected(database_url) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for ask in (upgrade, state, require_current):
        with pytest.raises(SchemaTooNew, match="9999") as refusal:
            ask(database_url)
        assert refusal.value.remedy


def test_a_database_of_something_else_is_refused_and_left_alone(empty_url: str) -> None:
    with connected(empty_url) as connection:
        connection.execute(text("CREATE TABLE users (name TEXT)"))
    with pytest.raises(DatabaseForeign, match="users"):
        upgrade(empty_url)
    with connected(empty_url) as connection:
        assert set(reflect(connection)) == {"users"}


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        upgrade(f"sqlite:///{path}")
    assert path.read_text().startswith("dear diary")


def test_a_folder_that_does_not_exist_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RoadsteadError, match="cannot be created") as refusal:
        upgrade(f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    assert "folder" in refusal.value.remedy


def test_a_migration_that_fails_changes_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = command.upgrade

    def half(*args: Any) -> None:
        real(*args)
        raise ZeroDivisionError

    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(ZeroDivisionError):
        upgrade(empty_url)
    monkeypatch.undo()
    assert state(empty_url).current is None
    upgrade(empty_url)


def test_migrations_import_nothing_of_the_program() -> None:
    for path in (migrations.folder() / "versions").glob("*.py"):
        assert "roadstead" not in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)


def test_an_old_sqlite_is_refused() -> None:
    from roadstead.db.sqlite_connection import check_version  # noqa: PLC0415 - only here

    with pytest.raises(RoadsteadError, match=r"SQLite 3\.34\.1"):
        check_version((3, 34, 1))
    check_version(sqlite3.sqlite_version_info)
