"""Immutable tag rules through the API, and what they forbid on every way to a tag."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.registry.actors import Actor, child, digest_of, encoded, index_of
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio
RULES = "/api/v2.0/projects/a/immutabletagrules"


def rule(tag: str = "v*", repository: str = "**", **more: object) -> dict[str, Any]:
    return {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": tag}],
        "scope_selectors": {
            "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": repository}]
        },
        **more,
    }


async def send(actor: Actor, method: str, target: str, body: object) -> Answer:
    return await actor.request(
        method, target, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


async def add(registry: Registry, **of: Any) -> str:
    answer = await send(registry.alice, "POST", RULES, rule(**of))
    assert (answer.status, answer.body, answer.get("content-type")) == (201, b"", None), answer
    return answer["location"]


async def rules(registry: Registry) -> list[dict[str, Any]]:
    answer = await registry.alice.get(RULES)
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json
    return found


async def test_a_rule_is_shown_as_it_was_sent(registry: Registry) -> None:
    location = await add(registry)
    (shown,) = await rules(registry)
    assert location == f"{RULES}/{shown['id']}"
    assert {key: shown[key] for key in rule()} == rule()


async def test_a_rule_made_disabled_stays_disabled(registry: Registry) -> None:
    location = await add(registry, disabled=True)
    await registry.alice.push_image("a/app", "v1", "one")
    await registry.alice.push_image("a/app", "v1", "two")
    assert (await rules(registry))[0]["disabled"] is True
    answer = await send(registry.alice, "PUT", location, {"disabled": False})
    assert answer.status == 200, answer
    refused = await registry.alice.put_manifest("a/app", "v1", await registry.alice.image("a/app", "three"))
    assert (refused.status, refused.codes) == (412, ["PRECONDITION"])
    assert "'app:v1' configured as immutable" in refused.json["errors"][0]["message"]


async def test_a_rule_changes_and_goes(registry: Registry) -> None:
    location = await add(registry)
    rule_id = int(location.rpartition("/")[2])
    changed = await send(registry.alice, "PUT", location, rule("x*", id=rule_id, priority=3))
    assert changed.status == 200, changed
    (shown,) = await rules(registry)
    assert (shown["tag_selectors"][0]["pattern"], shown["priority"]) == ("x*", 3)
    assert (await send(registry.alice, "PUT", location, rule(id=rule_id + 1))).status == 400
    assert (await registry.alice.delete(location)).status == 200
    assert await rules(registry) == []
    assert (await registry.alice.delete(location)).status == 404


@pytest.mark.parametrize(
    "broken",
    [
        {"tag_selectors": []},
        {"scope_selectors": {}},
        {"action": "retain"},
        {"tag_selectors": [{"kind": "regex", "decoration": "matches", "pattern": "v"}]},
        {"tag_selectors": [{"decoration": "repoMatches", "pattern": "v"}]},
        {"tag_selectors": [{"decoration": "matches", "pattern": "{"}]},
        {"tag_selectors": [{"decoration": "matches", "pattern": "v"}] * 11},
    ],
)
async def test_a_rule_that_means_nothing_is_refused(registry: Registry, broken: dict[str, Any]) -> None:
    answer = await send(registry.alice, "POST", RULES, {**rule(), **broken})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


async def test_a_second_rule_of_the_same_words_is_a_conflict(registry: Registry) -> None:
    await add(registry)
    answer = await send(registry.alice, "POST", RULES, rule())
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])


async def test_a_project_has_fifteen_rules_at_most(registry: Registry) -> None:
    for number in range(15):
        await add(registry, tag=f"v{number}")
    assert (await send(registry.alice, "POST", RULES, rule("more"))).status == 400


async def test_another_projects_rule_is_not_there(registry: Registry) -> None:
    await add(registry)
    (mine,) = await rules(registry)
    foreign = f"/api/v2.0/projects/b/immutabletagrules/{mine['id']}"
    assert (await send(registry.bob, "PUT", foreign, {"disabled": True})).status == 404
    assert (await registry.bob.delete(foreign)).status == 404
    assert await rules(registry) == [mine]
    assert (await registry.bob.get(RULES)).status == 404
    assert (await registry.anon.get(RULES)).status == 401


async def test_the_same_manifest_may_be_pushed_again(registry: Registry) -> None:
    await add(registry)
    assert await registry.alice.push_image("a/app", "v1") == await registry.alice.push_image("a/app", "v1")


async def test_only_covered_tags_of_covered_repositories_are_immutable(registry: Registry) -> None:
    await add(registry, tag="v*", repository="team/**")
    for repository, tag in (("a/team/app", "latest"), ("a/other", "v1"), ("a/team", "v1")):
        await registry.alice.push_image(repository, tag, "one")
        await registry.alice.push_image(repository, tag, "two")
    await registry.alice.push_image("a/team/app", "v1", "one")
    document = await registry.alice.image("a/team/app", "two")
    assert (await registry.alice.put_manifest("a/team/app", "v1", document)).status == 412


async def test_no_way_moves_or_removes_an_immutable_tag(registry: Registry) -> None:
    alice = registry.alice
    kept = await alice.push_image("a/app", "v1", "one")
    document = await alice.image("a/app", "two")
    other = await alice.push_manifest("a/app", "latest", document)
    await add(registry)
    refused = [
        await alice.put_manifest("a/app", "v1", document),
        await alice.put_manifest("a/app", f"{other}?tag=v1", document),
        await alice.put_manifest("a/app", f"{other}?tag=new&tag=v1", document),
        await alice.delete("/v2/a/app/manifests/v1"),
        await alice.delete(f"/v2/a/app/manifests/{kept}"),
    ]
    assert [(answer.status, answer.codes) for answer in refused] == [(412, ["PRECONDITION"])] * len(refused)
    assert (await alice.pull("a/app", "v1"))["docker-content-digest"] == kept
    assert await alice.tags("a/app") == ["latest", "v1"]


async def test_a_child_of_an_immutable_index_stays(registry: Registry) -> None:
    image = await registry.alice.image("a/app", "child")
    digest = await registry.alice.push_manifest("a/app", digest_of(encoded(image)), image)
    await registry.alice.push_manifest("a/app", "v1", index_of(child(image)))
    await add(registry)
    assert (await registry.alice.delete(f"/v2/a/app/manifests/{digest}")).status == 412
