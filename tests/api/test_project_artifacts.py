"""The artifacts of a whole project through the API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.images import API, HELM_CONFIG, ask, become, push_chart, send
from tests.api.test_artifacts import counted, make_label, sign
from tests.api.test_immutable_rules import rule
from tests.registry.actors import Actor, child, digest_of, encoded, image_of, index_of
from tests.registry.registries import Registry

from roadstead.oci.media_types import OCI_CONFIG

pytestmark = pytest.mark.anyio
LIST = f"{API}/projects/a/artifacts"
FLAGS = "with_label=true&with_accessory=true&with_immutable_status=true"
LATEST = "latest_in_repository=true"


async def found(actor: Actor, query: str = "") -> list[tuple[str, str]]:
    """Repository and digest of each."""
    return [(each["repository_name"], each["digest"]) for each in await ask(actor, f"{LIST}?{query}")]


async def push_same(actor: Actor, name: str, tag: str, layer: bytes = b"layer") -> dict[str, Any]:
    """An image that every repository has alike."""
    for blob in (b"{}", layer):
        await actor.push_blob(name, blob)
    document = image_of(b"{}", layer)
    await actor.push_manifest(name, tag, document)
    return document


async def test_the_artifacts_of_all_repositories_are_listed_the_newest_first(registry: Registry) -> None:
    one = await registry.alice.push_image("a/x", "v1")
    two = await registry.alice.push_image("a/deep/y", "v2")
    await registry.bob.push_image("b/x", "v1")
    await registry.alice.push_image("pub/x", "v1")
    assert await found(registry.alice) == [("a/deep/y", two), ("a/x", one)]
    number = await registry.scalar("SELECT id FROM projects WHERE name = 'a'")
    assert await ask(registry.alice, f"{API}/projects/{number}/artifacts") == await ask(registry.alice, LIST)
    (shown,) = [each for each in await ask(registry.alice, LIST) if each["digest"] == two]
    (alone,) = await ask(registry.alice, f"{API}/projects/a/repositories/deep%252Fy/artifacts")
    assert shown == alone


async def test_a_project_without_artifacts_has_an_empty_list(registry: Registry) -> None:
    answer = await registry.alice.get(LIST)
    assert (answer.status, answer.json, answer["x-total-count"]) == (200, [], "0")


async def test_pages_say_how_many_there_are_in_all_repositories(registry: Registry) -> None:
    for name in ("x", "y", "z"):
        await registry.alice.push_image(f"a/{name}", "v1")
    answer = await registry.alice.get(f"{LIST}?page_size=2&sort=push_time")
    assert [each["repository_name"] for each in answer.json] == ["a/x", "a/y"]
    assert (answer["x-total-count"], answer["link"]) == (
        "3",
        f'<{LIST}?sort=push_time&page=2&page_size=2>; rel="next"',
    )


async def test_the_same_filters_hold_as_in_one_repository(registry: Registry) -> None:
    one = ("a/x", await registry.alice.push_image("a/x", "v1"))
    two = ("a/y", await registry.alice.push_image("a/y", "v2"))
    chart = ("a/z", await push_chart(registry.alice, "a/z", "v1", {}))
    label = await make_label(registry, "l", "a")
    await send(registry.alice, "POST", f"{API}/projects/a/repositories/y/artifacts/v2/labels", {"id": label})
    for query, expected in {
        "q=tags%3Dv1": {one, chart},
        "q=tags%3D~v": {one, two, chart},
        f"q=labels%3D({label})": {two},
        "q=type%3DCHART": {chart},
        f"q=media_type%3D{HELM_CONFIG.replace('+', '%252B')}": {chart},
        f"q=digest%3D{one[1]}": {one},
        "q=tags%3Dnil": set(),
    }.items():
        assert set(await found(registry.alice, query)) == expected, query
    for query in ("q=base%3Dx", "q=payload%3Dx", "sort=payload"):
        assert (await registry.alice.get(f"{LIST}?{query}")).status == 400, query


async def test_what_is_a_child_or_an_accessory_in_one_repository_is_shown_where_it_is_neither(
    registry: Registry,
) -> None:
    for name in ("a/x", "a/y"):
        await push_same(registry.alice, name, "v1", b"other")
    image = image_of(b"{}", b"layer")
    digest = digest_of(encoded(image))
    for name in ("a/x", "a/y"):
        await registry.alice.push_blob(name, b"layer")
        await registry.alice.push_manifest(name, digest, image)
    index = await registry.alice.push_manifest("a/x", "index", index_of(child(image)))
    shown = await found(registry.alice)
    assert ("a/y", digest) in shown
    assert ("a/x", digest) not in shown
    everything = {
        (each["repository_name"], each["digest"]): each
        for each in await ask(registry.alice, f"{LIST}?q=base%3D*")
    }
    (reference,) = everything["a/x", index]["references"]
    assert reference["child_id"] == everything["a/x", digest]["id"]


async def test_each_artifact_has_what_belongs_to_it_in_its_own_repository(registry: Registry) -> None:
    for name in ("a/x", "a/y"):
        image = await push_same(registry.alice, name, f"of-{name[-1]}")
    signature = await sign(registry.alice, image, "application/vnd.example", "a/x")
    await send(registry.alice, "POST", f"{API}/projects/a/immutabletagrules", rule("of-*", "y"))
    y, x = await ask(registry.alice, f"{LIST}?{FLAGS}")
    assert (x["repository_name"], y["repository_name"]) == ("a/x", "a/y")
    assert x["digest"] == y["digest"]
    assert [accessory["digest"] for accessory in x["accessories"]] == [signature]
    assert x["accessories"][0]["subject_artifact_repo"] == "a/x"
    assert y["accessories"] is None
    assert [(tag["name"], tag["immutable"]) for tag in x["tags"]] == [("of-x", False)]
    assert [(tag["name"], tag["immutable"]) for tag in y["tags"]] == [("of-y", True)]
    assert x["addition_links"]["build_history"]["href"].startswith(f"{API}/projects/a/repositories/x/")


async def test_the_latest_of_a_type_in_each_repository_can_be_asked_for(registry: Registry) -> None:
    await registry.alice.push_image("a/x", "v1")
    newest = await registry.alice.push_image("a/x", "v2")
    other = await registry.alice.push_image("a/y", "v1")
    chart = await push_chart(registry.alice, "a/x", "chart", {})
    for key in ("media_type", "artifact_type"):
        images = f"q={key}%3D{OCI_CONFIG.replace('+', '%252B')}&{LATEST}"
        assert await found(registry.alice, images) == [("a/y", other), ("a/x", newest)], key
        charts = f"q={key}%3D{HELM_CONFIG.replace('+', '%252B')}&{LATEST}"
        assert await found(registry.alice, charts) == [("a/x", chart)], key
    tagged = f"q=artifact_type%3D{OCI_CONFIG.replace('+', '%252B')},tags%3Dv1&{LATEST}&page_size=1"
    answer = await registry.alice.get(f"{LIST}?{tagged}")
    assert ([each["digest"] for each in answer.json], answer["x-total-count"]) == ([other], "2")


@pytest.mark.parametrize("q", ["", "q=tags%3Dv1&", "q=media_type%3Dx,artifact_type%3Dx&"])
async def test_the_latest_needs_exactly_one_type(registry: Registry, q: str) -> None:
    await registry.alice.push_image("a/x", "v1")
    answer = await registry.alice.get(f"{LIST}?{q}{LATEST}")
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


async def test_whoever_is_limited_to_some_repositories_sees_those(registry: Registry) -> None:
    for name in ("web/one", "web/two", "webbed", "other"):
        await registry.alice.push_image(f"a/{name}", "v1")
    limited = await become(registry, "mallory", 3, repositories="web/**")
    answer = await limited.get(LIST)
    assert {each["repository_name"] for each in answer.json} == {"a/web/one", "a/web/two"}
    assert answer["x-total-count"] == "2"
    latest = f"q=artifact_type%3D{OCI_CONFIG.replace('+', '%252B')}&{LATEST}"
    assert {name for name, _ in await found(limited, latest)} == {"a/web/one", "a/web/two"}
    await registry.change("UPDATE grants SET repositories = 'none/*' WHERE repositories = 'web/**'")
    assert await found(limited) == []


async def test_only_those_who_are_signed_in_and_may_list_artifacts_see_any(registry: Registry) -> None:
    await registry.alice.push_image("a/x", "v1")
    await registry.alice.push_image("pub/x", "v1")
    hidden, missing = [await registry.mallory.get(f"{API}/projects/{name}/artifacts") for name in ("a", "no")]
    assert hidden.status == missing.status == 404
    for name in ("a", "no", "pub"):
        assert (await registry.anon.get(f"{API}/projects/{name}/artifacts")).status == 401
    assert len(await ask(registry.mallory, f"{API}/projects/pub/artifacts")) == 1


async def test_network_rules_hold(registry: Registry) -> None:
    await registry.alice.push_image("a/x", "v1")
    limited = await become(registry, "mallory", 3, repositories="x")
    assert len(await found(limited)) == 1
    await registry.change(
        "UPDATE projects SET network_rules = :rules WHERE name = 'a'", rules='{"api": ["198.51.100.0/24"]}'
    )
    for who in (registry.alice, limited):
        assert (await who.get(LIST)).status == 403


async def test_a_list_takes_as_many_statements_for_many_repositories_as_for_one(registry: Registry) -> None:
    label = await make_label(registry, "l", "a")
    limited = await become(registry, "mallory", 3, repositories="r*")
    target = f"{LIST}?page_size=100&{FLAGS}"
    taken = []
    for size in (1, 20):
        for number in range(size):
            name = f"r{number}"
            image = await push_same(registry.alice, f"a/{name}", "v1")
            await sign(registry.alice, image, "application/vnd.example", f"a/{name}")
            place = f"{API}/projects/a/repositories/{name}/artifacts/v1"
            await send(registry.alice, "POST", f"{place}/labels", {"id": label})
        for who in (registry.alice, limited):
            await ask(who, target)
            with counted(registry) as statements:
                shown = await ask(who, target)
            assert len(shown) == size
            assert all(each["labels"] and each["tags"] and each["accessories"] for each in shown)
            taken.append(statements.count)
    assert taken[:2] == taken[2:], taken
    assert max(taken) <= 13, taken
