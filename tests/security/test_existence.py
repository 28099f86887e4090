"""Rank 29: nobody learns that a private thing is there (A14).

For every operation that names a project, and for every id that stands alone, a stranger asks for something that is
there and for something that is not.  The answers differ in nothing but what the stranger wrote, and the database
is asked the same statements: they take the same time because they are the same work.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.security.permission_rows import (
    REGISTRY_ROWS,
    ROWS,
    RegistryRow,
    Request,
    Row,
    registry_request,
    request_for,
)
from tests.security.stage import EVERYBODY, INSIDE, Stage
from tests.security.test_permission_matrix import operations

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

# As long as each other, and nothing else that an answer holds looks like them.
HIDDEN, ABSENT = "hidden-1", "absent-1"
OWNER = replace(EVERYBODY[0], name="owner", place=HIDDEN)
RENUMBER = {
    "sqlite": "INSERT INTO sqlite_sequence (name, seq) VALUES ('{}', :next)",
    "postgresql": "SELECT setval(pg_get_serial_sequence('{0}', 'id'), greatest(:next, max(id))) FROM {0}",
}
STRANGERS = ("mallory", "")
# An id that nothing has.
NO_ID = 99_999_999


@pytest.fixture
async def stage(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage.open(tmp_path / "data", database_url) as opened:
        # So that numbers are as long as one that is not there.
        for table in ("projects", "users", "labels", "quotas"):
            if opened.registry.parts.database.dialect == "sqlite":
                await opened.registry.change("DELETE FROM sqlite_sequence WHERE name = :name", name=table)
            renumber = RENUMBER[opened.registry.parts.database.dialect]
            await opened.registry.change(renumber.format(table), next=NO_ID - 999)
        await opened.registry.add_project(HIDDEN, "bob")
        await opened.registry.root.push_image(f"{HIDDEN}/{INSIDE}", "1")
        yield opened


@contextmanager
def watched(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What the database is asked, one entry a statement."""
    asked: list[object] = []
    database = stage.registry.parts.database

    def executing(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        # A new connection to PostgreSQL asks for what it needs to know, once.
        if "pg_catalog" not in statement and not statement.startswith("show "):
            asked.append(statement)

    with monkeypatch.context() as patch:
        for name in ("first", "all"):
            patch.setattr(database, name, _noted(getattr(database, name), asked))
        event.listen(Engine, "before_cursor_execute", executing)
        try:
            yield asked
        finally:
            event.remove(Engine, "before_cursor_execute", executing)


def _noted(method: Any, asked: list[object]) -> Any:
    async def noted(query: Any, parameters: Any) -> Any:
        asked.append(query)
        return await method(query, parameters)

    return noted


def plain(answer: Answer, *names: str) -> tuple[object, ...]:
    """The answer, without what the caller wrote and what is random."""
    text = answer.body.decode()
    headers = [pair for pair in answer.headers if pair[0] not in {"x-request-id", "date"}]
    for name in names:
        text = text.replace(name, "NAME")
        headers = [(key, value.replace(name, "NAME")) for key, value in headers]
    return answer.status, text, headers


async def compared(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, row: Row | RegistryRow, there: Request, nowhere: Request
) -> list[str]:
    """What tells the two requests apart, for each stranger."""
    found = []
    for name in STRANGERS:
        # Once in a while something else asks the database at the same moment; what is so always is the request's.
        for _ in range(3):
            difference = await _difference(stage, monkeypatch, name, row, (nowhere, there))
            if not difference:
                break
        else:
            found.append(f"{row} to {name or 'nobody'}: {difference}")
    return found


async def _difference(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    row: Row | RegistryRow,
    requests: tuple[Request, Request],
) -> str:
    actor = Actor(stage.registry.app, name, basic(name) if name else None)
    headers = {"Content-Type": "application/json"} if requests[0].body else {}
    # Whatever is remembered of the caller is remembered before the two are compared.
    await actor.request(row.method, requests[0].target, requests[0].body, headers)
    results = []
    for request in requests:
        with watched(stage, monkeypatch) as asked:
            answer = await actor.request(row.method, request.target, request.body, headers)
        swaps = (HIDDEN, ABSENT, *re.findall(r"\d{8}", request.target))
        results.append((plain(answer, *swaps), list(asked)))
    (absent, before), (hidden, after) = results
    if hidden != absent or hidden[0] in {200, 201, 202}:
        return f"{hidden} is not {absent}"
    return "" if len(before) == len(after) else f"{after} is not {before}"


def _rows(stage: Stage) -> Iterator[Row]:
    served = operations(stage.registry)
    yield from (row for row in ROWS if (row.method, row.path) in served)


async def test_A14_a_private_project_is_as_one_that_is_not_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for row in _rows(stage):
        if "{project_name" in row.path:
            there = await request_for(row, stage, OWNER)
            nowhere = Request(there.target.replace(HIDDEN, ABSENT), there.body)
            found += await compared(stage, monkeypatch, row, there, nowhere)
    assert not found, "\n".join(["", *found])


async def test_A14_the_number_of_a_private_project_is_as_one_that_is_not_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await stage.project_id(HIDDEN)
    found = []
    for row in _rows(stage):
        if "{project_name_or_id}" in row.path or "{project}" in row.query:
            named = await request_for(row, stage, OWNER)
            there = Request(named.target.replace(HIDDEN, str(number)), named.body)
            nowhere = Request(there.target.replace(str(number), str(NO_ID)), named.body)
            found += await compared(stage, monkeypatch, row, there, nowhere)
    assert not found, "\n".join(["", *found])


async def test_A14_the_id_of_a_private_thing_is_as_one_that_is_not_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for row in _rows(stage):
        names = re.findall(r"{(\w+)}", row.path)
        if "{project_name" in row.path or not names or row.need.kind not in {"project", "repository"}:
            continue
        there = await request_for(row, stage, OWNER)
        parameters = dict.fromkeys(names, _nothing)
        nowhere = await request_for(replace(row, params=parameters), stage, OWNER)
        nowhere.body = there.body
        found += await compared(stage, monkeypatch, row, there, nowhere)
    assert not found, "\n".join(["", *found])


async def _nothing(stage: Stage, who: object) -> int:
    return NO_ID


async def test_A14_a_private_project_is_as_none_through_the_registry_protocol(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for row in REGISTRY_ROWS:
        target, body, _ = await registry_request(row, stage, OWNER)
        there, nowhere = Request(target, body), Request(target.replace(HIDDEN, ABSENT), body)
        found += await compared(stage, monkeypatch, row, there, nowhere)
    assert not found, "\n".join(["", *found])
