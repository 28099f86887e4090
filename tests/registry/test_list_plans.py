"""Lists find their rows by index: nothing reads a whole table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection
from tests.registry.actors import index_of
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio
LIST = "/api/v2.0/projects/a/repositories"
FLAGS = "with_label=true&with_accessory=true&with_immutable_status=true"
# Tables whose rows are few, or of which a list of everything is a list.
SMALL = {"one", "immutable_rules", "projects"}
# What a statement itself made of rows that it found.
DERIVED = {"numbered"}


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to SQLite through SQLAlchemy, with its values."""
    found: list[tuple[str, Any]] = []
    execute = Connection.execute

    def recording(self: Connection, statement: Any, parameters: Any = None, **more: Any) -> Any:
        if not isinstance(parameters, list) and str(statement).startswith("SELECT"):
            found.append((statement, parameters))
        return execute(self, statement, parameters, **more)

    with patch.object(Connection, "execute", recording):
        yield found


def _plan(conn: Connection, statement: Any, parameters: Any) -> list[str]:
    whole = statement.params(**(parameters or {}))
    compiled = whole.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
    rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
    return [str(row[3]) for row in rows]


def scanned(plan: list[str]) -> set[str]:
    """Tables that are read from end to end, but for those read in the order of an index up to a limit."""
    scans = [re.fullmatch(r"SCAN (\w+)", line) for line in plan]
    return {match[1] for match in scans if match} - SMALL - DERIVED


@pytest.mark.parametrize(
    "target",
    [
        f"{LIST}?page_size=2",
        f"{LIST}?page_size=2&page=2",
        f"{LIST}?page_size=2&sort=name",
        f"{LIST}?page_size=2&sort=-name",
        "/api/v2.0/repositories?page_size=2",
        f"{LIST}/app/artifacts?page_size=2&{FLAGS}",
        f"{LIST}/app/artifacts?page_size=2&q=tags%3Dv1",
        f"{LIST}/app/artifacts?page_size=2&q=base%3D*",
        f"{LIST}/app/artifacts/v1?{FLAGS}",
        f"/api/v2.0/projects/a/artifacts?page_size=2&{FLAGS}",
        "/api/v2.0/projects/a/artifacts?q=artifact_type%3Dx&latest_in_repository=true",
        f"{LIST}/app/artifacts/v1/tags",
        f"{LIST}/app/artifacts/v1/accessories",
        f"{LIST}/app/tags/v1/history",
    ],
)
async def test_a_list_scans_no_table(registry_with: Opener, target: str) -> None:
    async with registry_with() as registry:
        await _fill(registry)
        for who in (registry.alice, registry.root):
            with recorded() as statements:
                answer = await who.get(target)
            assert answer.status == 200, answer
            assert statements
            for statement, parameters in statements:
                plan = await registry.parts.database.read(_plan, statement, parameters)
                assert scanned(plan) == set(), (str(statement), plan)


async def _fill(registry: Registry) -> None:
    for name in ("app", "b", "c"):
        for tag in ("v1", "v2", "v3"):
            await registry.alice.push_manifest(f"a/{name}", tag, index_of(annotations={"t": tag}))
    await registry.change("UPDATE manifests SET details = '{}'")
