"""The audit log over the API: lists, filters, a project's own, and the export."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, text
from tests.registry.actors import Actor
from tests.registry.registries import Registry

from roadstead.audit import queries

pytestmark = pytest.mark.anyio

LOGS = "/api/v2.0/audit-logs"
EXTS = "/api/v2.0/auditlog-exts"
JAN = 1_767_225_600_000  # 2026-01-01


@pytest.fixture(autouse=True)
async def nothing_written_yet(registry: Registry) -> None:
    """Without what the set-up wrote."""
    await registry.change("DELETE FROM audit_log")


async def write(registry: Registry, **values: object) -> None:
    row = {
        "at": JAN,
        "operation": "create",
        "resource_type": "artifact",
        "resource": "a/app:v1",
        "project": "a",
        "username": "alice",
        "outcome": "success",
        "payload": "{}",
        **values,
    }
    await registry.change(
        "INSERT INTO audit_log (at, operation, resource_type, resource, project_id, username, address, door,"
        " request_id, outcome, description, payload, count) VALUES (:at, :operation, :resource_type, :resource,"
        " (SELECT id FROM projects WHERE name = :project), :username, '192.0.2.7', 'api', 'r', :outcome, 'why',"
        " :payload, 1)",
        **row,
    )


async def write_many(registry: Registry, count: int) -> None:
    def run(conn: Connection) -> None:
        statement = text(
            "INSERT INTO audit_log (at, operation, resource_type, resource, username, address, door, request_id,"
            " outcome, description, payload, count)"
            " VALUES (:n, 'create', 'tag', :name, 'bob', '', 'api', '', 'success', '', 'null', 1)"
        )
        conn.execute(statement, [{"n": n, "name": f"b/app:{n}"} for n in range(count)])

    await registry.parts.database.write(run)


async def listed(actor: Actor, url: str = EXTS) -> list[dict[str, Any]]:
    answer = await actor.get(url)
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json
    return found


async def test_an_entry_has_harbors_shape(registry: Registry) -> None:
    await write(registry)
    (entry,) = await listed(registry.root, LOGS)
    assert entry.pop("id") > 0
    assert entry == {
        "username": "alice",
        "resource": "a/app:v1",
        "resource_type": "artifact",
        "operation": "create",
        "op_time": "2026-01-01T00:00:00.000Z",
    }


async def test_the_newer_list_tells_refusals_and_from_where(registry: Registry) -> None:
    await write(registry, outcome="refused")
    assert await listed(registry.root, LOGS) == []
    (entry,) = await listed(registry.root, EXTS)
    assert entry["operation_result"] is False
    assert (entry["outcome"], entry["client_address"], entry["operation_description"]) == (
        "refused",
        "192.0.2.7",
        "why",
    )


async def test_the_newest_is_first(registry: Registry) -> None:
    for name in ("one", "two"):
        await write(registry, resource=name)
    for query in ("", "?sort=-op_time"):
        assert [entry["resource"] for entry in await listed(registry.root, EXTS + query)] == ["two", "one"]
    oldest = await listed(registry.root, EXTS + "?sort=op_time")
    assert [entry["resource"] for entry in oldest] == ["one", "two"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("username=bob", ["2"]),
        ("username=~BO", ["2"]),
        ("resource=1", ["1"]),
        ("resource_type=robot,operation=delete", ["3"]),
        ("operation_result=false", ["3"]),
        ("op_time=[2026-01-01T00:00:01~2026-01-01T00:00:02]", ["2"]),
        ("op_time=[2026-01-01T00:00:01~]", ["3", "2"]),
        ("client_address=192.0.2.7", ["3", "2", "1"]),
    ],
)
async def test_a_list_is_filtered(registry: Registry, query: str, found: list[str]) -> None:
    await write(registry, resource="1")
    await write(registry, resource="2", username="bob", at=JAN + 1000)
    await write(
        registry, resource="3", resource_type="robot", operation="delete", outcome="refused", at=JAN + 9000
    )
    assert [entry["resource"] for entry in await listed(registry.root, f"{EXTS}?q={query}")] == found


async def test_a_filter_that_is_unknown_is_refused(registry: Registry) -> None:
    for url in (EXTS, f"{LOGS}/export"):
        assert (await registry.root.get(f"{url}?q=password=x")).status == 400


async def test_a_project_has_the_entries_that_tell_of_it(registry: Registry) -> None:
    await write(registry)
    await write(registry, project="b", resource="b/app")
    for kind in ("logs", "auditlog-exts"):
        found = await listed(registry.alice, f"/api/v2.0/projects/a/{kind}")
        assert [entry["resource"] for entry in found] == ["a/app:v1"]


@pytest.mark.parametrize("url", [LOGS, EXTS, f"{EXTS}/events", f"{LOGS}/export"])
async def test_only_administrators_read_the_whole_log(registry: Registry, url: str) -> None:
    assert [(await who.get(url)).status for who in (registry.anon, registry.alice, registry.root)] == [
        401,
        403,
        200,
    ]


@pytest.mark.parametrize("kind", ["logs", "auditlog-exts"])
async def test_only_who_administers_a_project_reads_its_log(registry: Registry, kind: str) -> None:
    statuses = [
        (await who.get(f"/api/v2.0/projects/{project}/{kind}")).status
        for who, project in [
            (registry.anon, "a"),
            (registry.mallory, "a"),
            (registry.mallory, "pub"),
            (registry.alice, "a"),
        ]
    ]
    assert statuses == [401, 404, 403, 200]


async def test_a_count_is_exact_up_to_a_bound_and_says_at_least_beyond(registry: Registry) -> None:
    await write_many(registry, 30)
    with patch.object(queries, "COUNTED", 20):
        first = await registry.root.get(f"{EXTS}?page_size=5")
        later = await registry.root.get(f"{EXTS}?page_size=5&page=5")
        last = await registry.root.get(f"{EXTS}?page_size=5&page=7")
    assert [answer["x-total-count"] for answer in (first, later, last)] == ["21", "26", "30"]
    assert 'rel="next"' in later["link"]


async def test_pages_end_where_they_would_cost_too_much(registry: Registry) -> None:
    answer = await registry.root.get(f"{EXTS}?page_size=100&page=1001")
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


async def test_every_kind_of_entry_is_listed_harbors_first(registry: Registry) -> None:
    found = [entry["event_type"] for entry in await listed(registry.root, f"{EXTS}/events")]
    assert found[:3] == ["create_artifact", "delete_artifact", "pull_artifact"]
    assert len(set(found)) == len(found)


async def test_the_export_has_every_entry_that_matches_the_oldest_first(registry: Registry) -> None:
    await write_many(registry, 25)
    await write(registry)
    with patch.object(queries, "BATCH", 10):
        answer = await registry.root.get(f"{LOGS}/export?q=username=bob")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["resource"] for line in lines] == [f"b/app:{n}" for n in range(25)]
    assert answer["content-disposition"] == 'attachment; filename="audit-log.jsonl"'


async def test_the_export_is_sent_a_batch_at_a_time(registry: Registry) -> None:
    await write_many(registry, 25)
    with patch.object(queries, "BATCH", 10):
        answer = await registry.root.get(f"{LOGS}/export")
    assert len([message for message in answer.messages if message.get("body")]) == 3


async def test_a_table_has_a_head_and_no_formulas(registry: Registry) -> None:
    for number, first in enumerate("=+-@\t"):
        await write(registry, resource=f"{first}cmd|'/c calc'!A{number}", payload='{"name": "x,\\"y\\""}')
    answer = await registry.root.get(f"{LOGS}/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["resource"][:2] for row in rows] == ["'=", "'+", "'-", "'@", "'\t"]
    assert json.loads(rows[0]["details"]) == {"name": 'x,"y"'}
    assert answer["content-type"] == "text/csv; charset=utf-8"


async def test_another_format_is_unknown(registry: Registry) -> None:
    assert (await registry.root.get(f"{LOGS}/export?format=xlsx")).status == 422
