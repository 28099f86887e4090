"""Limits on how many: projects, repositories, tags, networks.  Nobody takes the last place twice."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.quota.limits import configure, limit, put_quota
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


async def create_project(registry: Registry, name: str, who: str = "alice") -> Answer:
    body = json.dumps({"project_name": name, "metadata": {"public": "false"}}).encode()
    return await registry.actor(who).request("POST", "/api/v2.0/projects", body, JSON)


async def user_quota(registry: Registry, name: str) -> object:
    number = await registry.scalar("SELECT id FROM users WHERE username = :name", name=name)
    answer = await registry.root.get(f"/api/v2.0/quotas?reference=user&reference_id={number}")
    (found,) = answer.json
    assert found["ref"]["name"] == name
    return found["id"]


async def test_a_project_has_as_many_repositories_as_it_may(registry: Registry) -> None:
    await limit(registry, "a", repositories=2)
    await registry.alice.push_blob("a/one", b"1")
    await registry.alice.push_blob("a/two", b"2")
    await registry.alice.push_blob("a/one", b"3")
    refused = await registry.alice.start("a/three")
    assert (refused.status, refused.codes) == (403, ["DENIED"])
    (error,) = refused.json["errors"]
    assert "the quota allows 2 private repositories in the project a" in error["message"]
    assert error["detail"]["limit"] == 2


async def test_many_who_make_repositories_at_once_stay_within_the_limit(registry: Registry) -> None:
    await limit(registry, "a", repositories=3)
    answers = await asyncio.gather(*(registry.alice.start(f"a/app{n}") for n in range(10)))
    assert sorted(answer.status for answer in answers) == [202] * 3 + [403] * 7
    assert await registry.scalar("SELECT count(*) FROM repositories") == 3


async def test_the_last_place_may_be_taken_by_many_pushes_to_one_repository(registry: Registry) -> None:
    await limit(registry, "a", repositories=1)
    answers = await asyncio.gather(*(registry.alice.start("a/app") for _ in range(5)))
    assert {answer.status for answer in answers} == {202}


async def test_public_and_private_repositories_of_a_person_have_limits_of_their_own(
    registry: Registry,
) -> None:
    await put_quota(registry, await user_quota(registry, "alice"), private_repositories=1)
    await registry.alice.push_blob("a/one", b"1")
    assert (await registry.alice.start("a/two")).status == 403
    await registry.alice.push_blob("pub/one", b"1")
    await registry.alice.push_blob("pub/two", b"1")
    # Not through the back door either.
    body = json.dumps({"metadata": {"public": "false"}}).encode()
    refused = await registry.alice.request("PUT", "/api/v2.0/projects/pub", body, JSON)
    assert (refused.status, refused.codes) == (403, ["DENIED"])


async def test_a_repository_has_as_many_tags_as_it_may(registry: Registry) -> None:
    await limit(registry, "a", tags_per_repository=2)
    document = await registry.alice.image("a/one", "1")
    await registry.alice.push_manifest("a/one", "1", document)
    await registry.alice.push_manifest("a/one", "2", document)
    await registry.alice.push_manifest("a/one", "2", document)
    refused = await registry.alice.put_manifest("a/one", "3", document)
    assert (refused.status, refused.codes) == (403, ["DENIED"])
    assert await registry.alice.tags("a/one") == ["1", "2"]


async def test_many_who_push_tags_at_once_stay_within_the_limit(registry: Registry) -> None:
    await configure(registry, count_quota_tags=3)
    document = await registry.alice.image("a/one", "1")
    answers = await asyncio.gather(
        *(registry.alice.put_manifest("a/one", str(n), document) for n in range(10))
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 7


async def test_many_who_make_projects_at_once_stay_within_the_limits(registry: Registry) -> None:
    await configure(registry, count_quota_projects=6, project_creation_restriction="everyone")
    answers = await asyncio.gather(*(create_project(registry, f"new{n}") for n in range(6)))
    assert sorted(answer.status for answer in answers) == [201] * 2 + [403] * 4
    await configure(registry, count_quota_projects=-1, count_quota_projects_per_user=5)
    answers = await asyncio.gather(*(create_project(registry, f"more{n}") for n in range(5)))
    # She has a, pub and two new ones.
    assert sorted(answer.status for answer in answers) == [201] + [403] * 4
    assert (await create_project(registry, "bobs", "bob")).status == 201


async def test_a_push_makes_no_project_beyond_the_limit(registry: Registry) -> None:
    await configure(registry, count_quota_projects=4)
    refused = await registry.root.start("brandnew/app")
    assert (refused.status, refused.codes) == (403, ["DENIED"])


async def test_a_project_has_as_many_networks_as_it_may(registry: Registry) -> None:
    await limit(registry, "a", network_rules=1)
    path = "/api/v2.0/projects/a/network-rules"
    for networks, status in ((["192.0.2.0/24"], 200), (["192.0.2.0/24", "198.51.100.0/24"], 403)):
        body = json.dumps({"registry": networks}).encode()
        assert (await registry.alice.request("PUT", path, body, JSON)).status == status


async def test_a_repository_that_comes_from_another_project_needs_a_place(registry: Registry) -> None:
    await registry.make_project_admin("alice")
    await limit(registry, "b", repositories=1)
    for name in ("one", "two"):
        await registry.alice.push_blob(f"a/{name}", name.encode())
    answers = [
        await registry.alice.request(
            "POST",
            f"/api/v2.0/projects/a/repositories/{name}/transfer",
            json.dumps({"project": "b"}).encode(),
            JSON,
        )
        for name in ("one", "two")
    ]
    assert [answer.status for answer in answers] == [201, 403]
    assert await registry.sql("SELECT path FROM repositories ORDER BY path") == [("one",), ("two",)]
