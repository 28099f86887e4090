"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from roadstead.db.database import Database
from roadstead.db.engine import open_database
from roadstead.db.migrations import upgrade
from roadstead.testing.postgres import PostgresServer, find_binaries


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def blocking_calls_fail() -> Iterator[BlockBuster]:
    """A call from our code that holds the event loop up fails the test.  Ask for it with `usefixtures`."""
    with blockbuster_ctx("roadstead") as watch:
        for function in watch.functions.values():
            # Hot reads of SQLite run on the event loop by design: see `SqliteDatabase.first`.
            function.can_block_in("roadstead/db/sqlite.py", {"first", "all", "_hot", "_look"})
            # A traceback that is logged shows lines of source, and that is worth it.
            function.can_block_in("linecache.py", {"checkcache", "updatecache"})
            function.can_block_in("structlog/dev.py", {"__call__"})
        yield watch


def skip_or_fail(reason: str) -> None:
    """Skip, unless this run was told that nothing may be: ROADSTEAD_TEST_NO_SKIP=1."""
    if os.environ.get("ROADSTEAD_TEST_NO_SKIP") == "1":
        pytest.fail(f"ROADSTEAD_TEST_NO_SKIP is set, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole run."""
    binaries = find_binaries()
    if binaries is None:
        skip_or_fail("NO POSTGRESQL HERE: no initdb in /usr/lib/postgresql/*/bin or on the PATH")
        raise AssertionError
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a migrated database to clone."""
    url = postgres_server.create_database()
    upgrade(url)
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    url = postgres_server.create_database(template=postgres_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy."""
    path = tmp_path_factory.mktemp("template") / "roadstead.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'roadstead.db')}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own: the test runs once on each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
async def database(anyio_backend: str, database_url: str) -> AsyncIterator[Database]:
    """The same, open."""
    opened = open_database(database_url, pool_size=10, pool_timeout=30)
    try:
        yield opened
    finally:
        await opened.close()
