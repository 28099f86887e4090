"""A registry over plain HTTP and one over TLS for the whole session; a sandbox and a repository for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clients.images import Image, hello_image, three_platforms
from tests.clients.sandbox import Sandbox, refuse
from tests.clients.servers import Server, running

from roadstead.testing.certificates import Authority
from roadstead.testing.postgres import PostgresServer

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.client)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Gives each server a database: SQLite, or PostgreSQL with ROADSTEAD_TEST_DATABASE=postgresql."""
    kind = os.environ.get("ROADSTEAD_TEST_DATABASE", "sqlite")
    if kind == "sqlite":
        return str
    if kind != "postgresql":
        raise pytest.UsageError(f"ROADSTEAD_TEST_DATABASE is sqlite or postgresql, not {kind}")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "trust")


@pytest.fixture(scope="session")
def plain_server(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[], str]
) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("plain"), database_url=new_database()) as server:
        yield server


@pytest.fixture(scope="session")
def tls_server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, new_database: Callable[[], str]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.certify(folder / "tls", ["localhost", "127.0.0.1", "::1", "registry.test"])
    with running(
        folder, authority=authority.folder, certificate=certificate, database_url=new_database()
    ) as server:
        yield server


@pytest.fixture(scope="session")
def tls_server_on_ipv6(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    """Where docker verifies certificates: it trusts anything in 127.0.0.0/8."""
    folder = tmp_path_factory.mktemp("tls6")
    certificate = authority.certify(folder / "tls", ["registry.test", "::1"])
    try:
        with running(folder, host="::1", authority=authority.folder, certificate=certificate) as server:
            yield server
    except OSError as error:
        refuse(f"this machine has no IPv6 loopback: {error}")


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest) -> Server:
    """For tests that must hold over plain HTTP and over TLS alike."""
    chosen: Server = request.getfixturevalue("tls_server" if request.param == "https" else "plain_server")
    return chosen


@pytest.fixture
def repository() -> str:
    """A repository of the public project that no other test uses."""
    return f"library/test-{secrets.token_hex(4)}"


@pytest.fixture
def private_repository() -> str:
    """A repository of a private project, which its first push creates."""
    return f"private-{secrets.token_hex(4)}/app"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "sandbox")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return hello_image(tmp_path, secrets.token_hex(8))


@pytest.fixture
def index(tmp_path: Path) -> Image:
    return three_platforms(tmp_path, secrets.token_hex(8))
