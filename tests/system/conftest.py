"""Where the servers of these tests keep their data, and which database they use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from roadstead.testing.postgres import PostgresServer


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def fresh_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty database, "" for SQLite in the data folder."""
    if request.param == "sqlite":
        yield ""
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)
