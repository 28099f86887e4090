"""Old audit entries go when an administrator says so, as Harbor's clients ask for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from unittest.mock import patch

import pytest
from tests.registry.actors import Actor
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.audit import purge
from roadstead.audit.purge import HOUR_MS, PURGE
from roadstead.identity.principals import OPERATOR
from roadstead.jobs import schedules
from roadstead.telemetry.clock import now_ms

pytestmark = pytest.mark.anyio

URL = "/api/v2.0/system/purgeaudit"
SCHEDULE = f"{URL}/schedule"
JSON = {"Content-Type": "application/json"}
PARAMETERS = {"audit_retention_hour": 24, "include_event_types": "create_tag,delete_tag", "dry_run": False}


@pytest.fixture(autouse=True)
async def nothing_written_yet(registry: Registry) -> None:
    await registry.change("DELETE FROM audit_log")


async def send(actor: Actor, method: str, kind: str, cron: str = "", **parameters: Any) -> Answer:
    body = {"schedule": {"type": kind, "cron": cron}, "parameters": {**PARAMETERS, **parameters}}
    return await actor.request(method, SCHEDULE, json.dumps(body).encode(), JSON)


async def run_now(registry: Registry, **parameters: Any) -> str:
    """Ask for a run, let it happen, and return where it is."""
    answer = await send(registry.root, "POST", "Manual", **parameters)
    assert answer.status == 201, answer
    running = asyncio.create_task(registry.parts.runner.run())
    try:
        for _ in range(200):
            if (await registry.root.get(answer["location"])).json["job_status"] not in {"Pending", "Running"}:
                break
            await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return answer["location"]


async def write(
    registry: Registry, hours: float, kind: str = "create_tag", forwarded: int | None = None
) -> None:
    operation, _, resource_type = kind.partition("_")
    await registry.change(
        "INSERT INTO audit_log (at, operation, resource_type, resource, username, address, door, request_id,"
        " outcome, description, payload, count, forwarded_at)"
        " VALUES (:at, :operation, :type, :name, '', '', '', '', 'success', '', 'null', 1, :forwarded)",
        at=now_ms() - int(hours * HOUR_MS),
        operation=operation,
        type=resource_type,
        name=f"{kind} {hours}",
        forwarded=forwarded,
    )


async def left(registry: Registry) -> list[object]:
    rows = await registry.sql("SELECT resource FROM audit_log WHERE door = '' ORDER BY id")
    return [row[0] for row in rows]


class TestTheSchedule:
    async def test_where_there_is_none_the_answer_is_empty(self, registry: Registry) -> None:
        answer = await registry.root.get(SCHEDULE)
        assert (answer.status, answer.body, answer.get("content-type")) == (200, b"", None)

    @pytest.mark.parametrize(
        ("kind", "cron", "kept"),
        [
            ("Hourly", "", "0 0 * * * *"),
            ("Daily", "0 0 0 * * *", "0 0 0 * * *"),
            ("Weekly", "", "0 0 0 * * 0"),
            ("Custom", "0 30 2 1 * ?", "0 30 2 1 * *"),
        ],
    )
    async def test_what_is_set_is_shown(self, registry: Registry, kind: str, cron: str, kept: str) -> None:
        answer = await send(registry.root, "POST", kind, cron)
        assert (answer.status, answer["location"], answer.body) == (201, f"{URL}/0", b"")
        found = (await registry.root.get(SCHEDULE)).json
        assert (found["schedule"]["type"], found["schedule"]["cron"]) == (kind, kept)
        assert json.loads(found["job_parameters"]) == PARAMETERS

    async def test_it_is_replaced(self, registry: Registry) -> None:
        await send(registry.root, "POST", "Daily")
        assert (await send(registry.root, "PUT", "Weekly", audit_retention_hour=48)).status == 200
        found = (await registry.root.get(SCHEDULE)).json
        assert found["schedule"]["type"] == "Weekly"
        assert json.loads(found["job_parameters"])["audit_retention_hour"] == 48

    async def test_it_is_removed(self, registry: Registry) -> None:
        await send(registry.root, "POST", "Daily")
        assert (await send(registry.root, "PUT", "None")).status == 200
        assert (await registry.root.get(SCHEDULE)).body == b""

    @pytest.mark.parametrize(
        ("kind", "cron", "parameters"),
        [
            ("Custom", "", {}),
            ("Custom", "0 0 * * *", {}),
            ("Custom", "* * * * * *", {}),
            ("Custom", "0 99 * * * *", {}),
            ("Sometimes", "", {}),
            ("Daily", "", {"audit_retention_hour": 0}),
            ("Daily", "", {"audit_retention_hour": 240_001}),
            ("Daily", "", {"audit_retention_hour": "24"}),
            ("Daily", "", {"audit_retention_hour": True}),
            ("Daily", "", {"include_event_types": None}),
        ],
    )
    async def test_what_makes_no_sense_is_refused(
        self, registry: Registry, kind: str, cron: str, parameters: dict[str, Any]
    ) -> None:
        assert (await send(registry.root, "POST", kind, cron, **parameters)).status == 400

    async def test_a_body_without_parameters_is_refused(self, registry: Registry) -> None:
        body = json.dumps({"schedule": {"type": "Daily"}}).encode()
        assert (await registry.root.request("POST", SCHEDULE, body, JSON)).status == 400

    async def test_setting_it_is_in_the_audit_log(self, registry: Registry) -> None:
        await send(registry.root, "POST", "Daily")
        rows = await registry.sql("SELECT username, operation, resource_type FROM audit_log")
        assert rows == [("root", "update", "purge-audit")]


class TestARun:
    async def test_it_deletes_what_is_old_and_named(self, registry: Registry) -> None:
        await write(registry, 25)
        await write(registry, 23)
        await write(registry, 25, "create_project")
        await run_now(registry)
        assert await left(registry) == ["create_tag 23", "create_project 25"]

    async def test_types_that_harbor_does_not_know_have_one_name(self, registry: Registry) -> None:
        for kind in ("create_tag", "push_repository", "create_project"):
            await write(registry, 25, kind)
        await run_now(registry, include_event_types="other_events")
        assert await left(registry) == ["create_project 25"]

    async def test_no_types_are_no_entries(self, registry: Registry) -> None:
        await write(registry, 25)
        await run_now(registry, include_event_types="")
        assert await left(registry) == ["create_tag 25"]

    async def test_it_goes_in_batches(self, registry: Registry) -> None:
        for _ in range(7):
            await write(registry, 25)
        with patch.object(purge, "BATCH", 2):
            location = await run_now(registry)
        assert await left(registry) == []
        assert "7 entries" in (await registry.root.get(f"{location}/log")).body.decode()

    async def test_a_dry_run_deletes_nothing_and_counts(self, registry: Registry) -> None:
        await write(registry, 25)
        location = await run_now(registry, dry_run=True)
        assert await left(registry) == ["create_tag 25"]
        log = await registry.root.get(f"{location}/log")
        assert "1 entries" in log.body.decode()
        assert log["content-type"].startswith("text/plain")

    async def test_it_leaves_an_entry_with_the_count(self, registry: Registry) -> None:
        await write(registry, 25)
        await run_now(registry)
        rows = await registry.sql("SELECT username, door FROM audit_log WHERE operation = 'purge'")
        assert rows == [("root", "job")]

    async def test_entries_that_are_yet_to_be_shipped_stay(self, registry: Registry) -> None:
        await registry.parts.configurations.change(
            OPERATOR, {"audit_log_forward_endpoint": "logs.example.com:514"}
        )
        await write(registry, 25)
        await write(registry, 26, forwarded=1)
        await run_now(registry)
        assert await left(registry) == ["create_tag 25"]

    async def test_it_is_in_the_history(self, registry: Registry) -> None:
        location = await run_now(registry)
        (found,) = (await registry.root.get(URL)).json
        assert found == (await registry.root.get(location)).json
        assert (found["job_name"], found["job_kind"], found["job_status"], found["schedule"]["type"]) == (
            "PURGE_AUDIT_LOG",
            "MANUAL",
            "Success",
            "Manual",
        )

    async def test_it_can_be_stopped(self, registry: Registry) -> None:
        location = (await send(registry.root, "POST", "Manual"))["location"]
        assert (await registry.root.request("PUT", location)).status == 200
        assert (await registry.root.get(location)).json["job_status"] == "Stopped"

    async def test_one_that_is_unknown_is_not_found(self, registry: Registry) -> None:
        for method, path in [("GET", "/77"), ("PUT", "/77"), ("GET", "/77/log")]:
            assert (await registry.root.request(method, URL + path)).status == 404

    async def test_a_job_of_another_kind_is_no_run(self, registry: Registry) -> None:
        await registry.change(
            "INSERT INTO jobs (queue, kind, payload, state, priority, run_at, attempt, max_attempts, created_at)"
            " VALUES ('default', 'other', '{}', 'queued', 0, 1, 0, 5, 1)"
        )
        number = await registry.scalar("SELECT id FROM jobs WHERE kind = 'other'")
        assert (await registry.root.get(f"{URL}/{number}")).status == 404
        assert (await registry.root.request("PUT", f"{URL}/{number}")).status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/schedule"),
        ("POST", "/schedule"),
        ("PUT", "/schedule"),
        ("GET", "/1"),
        ("PUT", "/1"),
        ("GET", "/1/log"),
    ],
)
async def test_only_administrators_may(registry: Registry, method: str, path: str) -> None:
    body = b"{}" if path == "/schedule" and method != "GET" else b""
    statuses = [
        (await who.request(method, URL + path, body, JSON if body else {})).status
        for who in (registry.anon, registry.alice)
    ]
    assert statuses == [401, 403]


async def test_what_is_due_is_run_once_by_any_number_of_nodes(registry: Registry) -> None:
    await send(registry.root, "POST", "Daily")
    await registry.change("UPDATE schedules SET next_at = 1 WHERE name = 'purge-audit'")
    database = registry.parts.database
    await asyncio.gather(*(database.write(schedules.due, now=now_ms()) for _ in range(5)))
    assert await registry.scalar("SELECT count(*) FROM jobs WHERE kind = :kind", kind=PURGE) == 1
    assert await registry.sql("SELECT name FROM schedules WHERE next_at <= :now", now=now_ms()) == []
