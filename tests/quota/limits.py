"""Setting limits and reading usage, as tests say it."""

from __future__ import annotations

import json
from typing import Any

from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.quota.jobs import FoldQuotas


async def quota_of(registry: Registry, project: str) -> dict[str, Any]:
    number = await registry.scalar("SELECT id FROM projects WHERE name = :name", name=project)
    answer = await registry.root.get(f"/api/v2.0/quotas?reference=project&reference_id={number}")
    assert answer.status == 200, answer
    (found,) = answer.json
    assert found["ref"]["name"] == project
    return dict(found)


async def used(registry: Registry, project: str) -> int:
    return int((await quota_of(registry, project))["used"]["storage"])


async def put_quota(registry: Registry, number: object, **hard: int) -> Answer:
    body = json.dumps({"hard": hard}).encode()
    return await registry.root.request(
        "PUT", f"/api/v2.0/quotas/{number}", body, {"Content-Type": "application/json"}
    )


async def limit(registry: Registry, project: str, **hard: int) -> None:
    answer = await put_quota(registry, (await quota_of(registry, project))["id"], **hard)
    assert (answer.status, answer.body) == (200, b""), answer


async def configure(registry: Registry, **values: int | str) -> None:
    answer = await registry.root.request(
        "PUT",
        "/api/v2.0/configurations",
        json.dumps(values).encode(),
        {"Content-Type": "application/json"},
    )
    assert answer.status == 200, answer


async def fold(registry: Registry) -> None:
    await FoldQuotas(registry.parts.database)(Unhurried())  # type: ignore[arg-type]  # asks only this of it


class Unhurried:
    """The context of a job that nobody cancels."""

    def check(self) -> None:
        """Go on."""


async def events(registry: Registry, kind: str) -> int:
    count = await registry.scalar("SELECT count(*) FROM events WHERE kind = :kind", kind=kind)
    assert isinstance(count, int)
    return count
