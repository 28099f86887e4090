"""Every command of the how-to pages is run against a real registry, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import skip_or_fail
from tests.docs.how_to import is_here, place, steps
from tests.docs.pages import DOCS

from roadstead.testing.running import RunningRegistry, free_port

pytestmark = pytest.mark.timeout(300)

PAGES = ("first-project", "robot-for-ci", "oidc-trusted-ci", "quota", "network-rules", "audit-export")


def follow(folder: Path, page: str, *, clients: bool, database_url: str = "") -> None:
    """Do what the page says, in a folder whose registry runs; without `clients`, what needs none of them."""
    port = free_port()
    database = {"ROADSTEAD_DATABASE__URL": database_url} if database_url else {}
    here = place(folder, port, **database)
    registry = RunningRegistry(
        here.folder / "roadstead-data", port=port, database_url=database_url, log=folder / "server.log"
    )
    with registry:
        here.follow([step for step in steps(_path(page)) if clients or step.client is None])


def _path(page: str) -> Path:
    return DOCS / "how-to" / f"{page}.md"


def _clients(page: str) -> set[str]:
    return {step.client for step in steps(_path(page)) if step.client}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_is_what_happens(tmp_path: Path, page: str) -> None:
    follow(tmp_path, page, clients=False)


@pytest.mark.postgres
def test_it_happens_on_postgresql_too(tmp_path: Path, postgres_url: str) -> None:
    follow(tmp_path, "first-project", clients=False, database_url=postgres_url)


@pytest.mark.client
@pytest.mark.parametrize("page", [page for page in PAGES if _clients(page)])
def test_it_happens_with_the_clients_that_it_names(tmp_path: Path, page: str) -> None:
    absent = sorted(client for client in _clients(page) if not is_here(client))
    if absent:
        skip_or_fail(f"NOT INSTALLED: {', '.join(absent)}, which how-to/{page}.md uses")
    follow(tmp_path, page, clients=True)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_commands_and_one_registry(page: str) -> None:
    assert any("localhost:5000" in step.text for step in steps(_path(page)))
