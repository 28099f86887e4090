"""A real server for the whole session, once on SQLite and once on PostgreSQL, and a repository for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from tests.conformance.wire import Wire

from roadstead.testing.running import RunningRegistry


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def wire(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """Two workers, as they come: what one of them was told, the other must know."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").create_database()
    folder = tmp_path_factory.mktemp(request.param)
    with RunningRegistry(folder / "data", workers=2, database_url=url) as registry:
        yield Wire(registry.host, registry.port)


@pytest.fixture(scope="session")
def small_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A server with pages of three, chunks of a kibibyte at least, and no check of what a manifest names."""
    settings = {
        "ROADSTEAD_REGISTRY__MAX_PAGE_SIZE": "3",
        "ROADSTEAD_REGISTRY__CHUNK_MIN_LENGTH": "1024",
        "ROADSTEAD_REGISTRY__VALIDATE_REFERENCES": "none",
    }
    folder = tmp_path_factory.mktemp("small-pages")
    with RunningRegistry(folder / "data", environment=settings) as registry:
        yield Wire(registry.host, registry.port)


@pytest.fixture(scope="session")
def no_deletes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("no-deletes")
    settings = {"ROADSTEAD_REGISTRY__DELETE_ENABLED": "false"}
    with RunningRegistry(folder / "data", environment=settings) as registry:
        yield Wire(registry.host, registry.port)


@pytest.fixture
def repository() -> str:
    """A repository of the public default project that nobody has used."""
    return f"library/conformance-{secrets.token_hex(6)}"


@pytest.fixture(params=["sha256", "sha512"])
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)
