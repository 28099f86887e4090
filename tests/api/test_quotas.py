"""Quotas through the API, as Harbor shows and sets them."""

from __future__ import annotations

import json

import pytest
from tests.quota.limits import limit, put_quota, quota_of
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def test_a_quota_has_harbors_shape(registry: Registry) -> None:
    await registry.alice.push_blob("a/one", b"x" * 1000)
    found = await quota_of(registry, "a")
    assert found.keys() == {"id", "ref", "hard", "used", "creation_time", "update_time"}
    assert str(found["ref"]["owner_name"]) == "alice"
    assert found["hard"]["storage"] == -1
    assert found["used"]["storage"] == 1000
    assert found["used"]["repositories"] == 1
    one = await registry.root.get(f"/api/v2.0/quotas/{found['id']}")
    assert (one.status, one.json) == (200, found)


@pytest.mark.parametrize("path", ["/api/v2.0/quotas", "/api/v2.0/quotas/"])
async def test_quotas_are_listed_with_a_slash_and_without(registry: Registry, path: str) -> None:
    answer = await registry.root.get(f"{path}?reference=project&page_size=2")
    assert (answer.status, answer["x-total-count"], len(answer.json)) == (200, "4", 2)
    assert 'rel="next"' in answer["link"]


async def test_quotas_are_sorted_by_what_is_allowed_and_used(registry: Registry) -> None:
    await registry.alice.push_blob("a/one", b"x" * 10)
    await registry.bob.push_blob("b/one", b"x" * 20)
    await limit(registry, "pub", storage=5)
    answer = await registry.root.get("/api/v2.0/quotas?reference=project&sort=-used.storage")
    assert [quota["ref"]["name"] for quota in answer.json][:2] == ["b", "a"]
    answer = await registry.root.get("/api/v2.0/quotas?reference=project&sort=hard.storage")
    assert answer.json[0]["ref"]["name"] == "pub"


async def test_only_administrators_see_and_set_quotas(registry: Registry) -> None:
    number = (await quota_of(registry, "a"))["id"]
    for path in ("/api/v2.0/quotas", f"/api/v2.0/quotas/{number}"):
        assert (await registry.alice.get(path)).status == 403
        assert (await registry.anon.get(path)).status == 401
    body = json.dumps({"hard": {"storage": 1}}).encode()
    refused = await registry.alice.request(
        "PUT", f"/api/v2.0/quotas/{number}", body, {"Content-Type": "application/json"}
    )
    assert refused.status == 403


@pytest.mark.parametrize("storage", [0, -2, 2**50 + 1])
async def test_a_limit_that_harbor_refuses_is_refused(registry: Registry, storage: int) -> None:
    assert (await put_quota(registry, (await quota_of(registry, "a"))["id"], storage=storage)).status == 400


async def test_a_limit_that_there_is_not_is_refused(registry: Registry) -> None:
    number = (await quota_of(registry, "a"))["id"]
    assert (await put_quota(registry, number)).status == 400
    assert (await put_quota(registry, number, projects=1)).status == 400
    assert (await put_quota(registry, 2**40, storage=1)).status == 404


async def test_a_change_is_told_and_written_down(registry: Registry) -> None:
    await limit(registry, "a", storage=1000, repositories=5)
    (payload,) = (await registry.sql("SELECT payload FROM audit_log WHERE resource_type = 'quota'"))[0]
    assert '"before"' in str(payload) or "before" in str(payload)
    assert await registry.scalar("SELECT count(*) FROM events WHERE kind = 'quota.updated'") == 1


async def test_the_registry_has_a_quota_of_its_own(registry: Registry) -> None:
    (found,) = (await registry.root.get("/api/v2.0/quotas?reference=system")).json
    assert (found["hard"], found["used"]) == ({"projects": -1}, {"projects": 4})
    assert (await put_quota(registry, found["id"], projects=4)).status == 200
    assert (await registry.root.start("brandnew/app")).status == 403
