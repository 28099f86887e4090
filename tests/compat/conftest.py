"""A real server for a whole module of tests, once on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.testing.postgres import PostgresServer
from roadstead.testing.running import RunningRegistry


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningRegistry]:
    folder = tmp_path_factory.mktemp("running")
    if request.param == "sqlite":
        with _registry(folder, "") as registry:
            yield registry
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    with _registry(folder, url) as registry:
        yield registry
    server.drop_database(url)


def _registry(folder: Path, database_url: str) -> RunningRegistry:
    # Other tests may have the processors.
    return RunningRegistry(folder / "data", database_url=database_url, ready_within=180)
