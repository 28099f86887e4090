"""A registry in this process, once on each database."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from tests.registry.machines import empty
from tests.registry.registries import Registry, open_registry, settings_of

from roadstead.testing.postgres import PostgresServer

Opener = Callable[..., AbstractAsyncContextManager[Registry]]


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """One database for all tests here: to empty it is quicker than to make another."""
    url = postgres_server.create_database(template=postgres_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_url(shared_postgres: str) -> str:
    empty(shared_postgres)
    return shared_postgres


@pytest.fixture
async def registry(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Registry]:
    async with open_registry(settings_of(tmp_path / "data", database_url)) as opened:
        yield opened


@pytest.fixture
def registry_with(anyio_backend: str, sqlite_template: Path, tmp_path: Path) -> Opener:
    """Opens registries with other settings than the default ones, each with a database of its own."""

    def opener(**sections: dict[str, object]) -> AbstractAsyncContextManager[Registry]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copy(sqlite_template, folder / "roadstead.db")
        return open_registry(settings_of(folder, f"sqlite:///{folder / 'roadstead.db'}", **sections))

    return opener
