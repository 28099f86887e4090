"""Repositories through the API."""

from __future__ import annotations

import pytest
from tests.api.images import API, ask, become, charged, done, repository, send
from tests.api.projects import make_role
from tests.registry.actors import index_of
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def names(actor: object, target: str) -> list[str]:
    return [each["name"] for each in await ask(actor, target)]  # type: ignore[arg-type]  # an Actor


async def push(registry: Registry, *repositories: str) -> None:
    for name in repositories:
        who = registry.bob if name.startswith("b/") else registry.alice
        await who.push_manifest(name, "1", index_of())


async def test_a_repository_is_shown_with_what_is_in_it(registry: Registry) -> None:
    await registry.alice.push_image("a/team/app", "1")
    await registry.alice.push_image("a/team/app", "2")
    shown = await ask(registry.alice, repository("a/team/app"))
    assert (shown["name"], shown["artifact_count"], shown["pull_count"]) == ("a/team/app", 2, 0)
    assert shown["creation_time"].endswith("Z")
    assert await ask(registry.alice, f"{API}/projects/a/repositories") == [shown]


@pytest.mark.parametrize("spelt", ["team%252Fapp", "team%2Fapp"])
async def test_a_slash_in_a_name_is_encoded_once_or_twice(registry: Registry, spelt: str) -> None:
    await push(registry, "a/team/app")
    assert (await ask(registry.alice, f"{API}/projects/a/repositories/{spelt}"))["name"] == "a/team/app"


async def test_lists_are_paged_filtered_and_sorted(registry: Registry) -> None:
    await push(registry, "a/x", "a/z", "a/y/web", "b/w", "pub/web")
    here = f"{API}/projects/a/repositories"
    assert await names(registry.alice, f"{here}?sort=name") == ["a/x", "a/y/web", "a/z"]
    assert await names(registry.alice, f"{here}?sort=-name&page_size=2&page=2") == ["a/x"]
    assert await names(registry.alice, f"{here}?q=name%3D~web") == ["a/y/web"]
    assert await names(registry.alice, f"{here}?q=name%3Da%2Fz") == ["a/z"]
    answer = await registry.alice.get(f"{here}?page_size=2")
    assert answer["x-total-count"] == "3"
    assert answer["link"] == f'<{here}?page=2&page_size=2>; rel="next"'
    assert (await registry.alice.get(f"{here}?q=secret%3D1")).status == 400


async def test_the_list_of_all_holds_what_the_caller_may_see(registry: Registry) -> None:
    await push(registry, "a/x", "b/y", "pub/z")
    everywhere = f"{API}/repositories?sort=name"
    assert await names(registry.root, everywhere) == ["a/x", "b/y", "pub/z"]
    assert await names(registry.alice, everywhere) == ["a/x", "pub/z"]
    assert await names(registry.bob, everywhere) == ["b/y", "pub/z"]
    assert await names(registry.anon, everywhere) == ["pub/z"]


async def test_a_pattern_shows_what_it_matches(registry: Registry) -> None:
    await push(registry, "a/team/x", "a/team/y/z", "a/other", "a/team")
    mallory = await become(registry, "mallory", 3, repositories="team/**")
    here = f"{API}/projects/a/repositories?sort=name"
    assert await names(mallory, here) == ["a/team/x", "a/team/y/z"]
    assert (await mallory.get(f"{here}&page_size=1"))["x-total-count"] == "2"
    assert await names(mallory, f"{API}/repositories?sort=name") == ["a/team/x", "a/team/y/z"]
    assert await names(mallory, f"{API}/repositories?q=name%3D~team/y") == ["a/team/y/z"]
    for hidden in ("a/other", "a/none"):
        assert (await mallory.get(repository(hidden))).status == 403


async def test_a_strangers_repository_is_not_there(registry: Registry) -> None:
    await push(registry, "b/y")
    for method in ("GET", "DELETE"):
        assert (await registry.alice.request(method, repository("b/y"))).status == 404
        assert (await registry.anon.request(method, repository("b/y"))).status == 401
    assert (await registry.alice.get(repository("a/none"))).status == 404
    assert (await registry.alice.get(repository("a/UPPER"))).status == 400


async def test_a_description_is_kept(registry: Registry) -> None:
    await push(registry, "a/x")
    done(await send(registry.alice, "PUT", repository("a/x"), {"description": "The web front.", "id": 7}))
    assert (await ask(registry.alice, repository("a/x")))["description"] == "The web front."


async def test_deletion_takes_all_that_is_in_it(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/x", "1")
    await registry.alice.push_image("a/y", "1", "other")
    location = await registry.alice.begin_upload("a/x")
    await registry.alice.patch(location, b"half an upload")
    done(await registry.alice.delete(repository("a/x")))
    assert (await registry.alice.pull("a/x", digest)).status == 404
    assert await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NULL") == 2
    assert await registry.scalar("SELECT count(*) FROM uploads") == 0
    assert await registry.keys() == await registry.named_keys()
    was, kept = await charged(registry, "a")
    assert was == kept != 0


async def test_a_protected_repository_stays_until_somebody_lifts_that(registry: Registry) -> None:
    await push(registry, "a/x")
    done(await send(registry.alice, "PUT", repository("a/x"), {"deletion_protected": True}))
    developer = await become(registry, "mallory", 2)
    for answer in (
        await registry.root.delete(repository("a/x")),
        await send(registry.root, "POST", f"{repository('a/x')}/transfer", {"project": "b"}),
    ):
        assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    lifted = {"deletion_protected": False}
    assert (await send(developer, "PUT", repository("a/x"), lifted)).status == 403
    done(await send(registry.alice, "PUT", repository("a/x"), lifted))
    done(await registry.alice.delete(repository("a/x")))


async def test_a_transfer_takes_everything_along(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/x", "1")
    await registry.alice.push_image("a/x", "2", "another, which is longer")
    await registry.alice.push_image("a/kept", "1")
    await registry.make_project_admin("alice")
    answer = await send(
        registry.alice, "POST", f"{repository('a/x')}/transfer", {"project": "b", "name": "from/a"}
    )
    done(answer, 201)
    assert answer["location"] == repository("b/from/a")
    assert (await registry.bob.pull("b/from/a", "1"))["docker-content-digest"] == digest
    assert (await registry.alice.get(repository("a/x"))).status == 404
    (change,) = await ask(registry.bob, f"{repository('b/from/a')}/tags/1/history")
    assert (change["deed"], change["username"]) == ("created", "alice")
    kinds = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'repository.%'")
    assert kinds == [("repository.transferred",)] * 2
    for project in ("a", "b"):
        was, kept = await charged(registry, project)
        assert was == kept != 0


async def test_a_transfer_needs_rights_on_both_sides_and_a_free_name(registry: Registry) -> None:
    await push(registry, "a/x", "a/y", "b/x")
    to = {"project": "b"}
    assert (await send(registry.alice, "POST", f"{repository('a/x')}/transfer", to)).status == 404
    await become(registry, "alice", 3, project="b")
    assert (await send(registry.alice, "POST", f"{repository('a/x')}/transfer", to)).status == 403
    taken = await send(registry.root, "POST", f"{repository('a/x')}/transfer", to)
    assert (taken.status, taken.codes) == (409, ["CONFLICT"])
    assert (await send(registry.bob, "POST", f"{repository('a/y')}/transfer", to)).status == 404


async def test_R13_a_transfer_asks_for_a_pull_there(registry: Registry) -> None:
    await push(registry, "a/x")
    role = await make_role(registry.root, "cleaner", "project:read", "repository:read", "repository:delete")
    await become(registry, "bob", role)
    to = {"project": "b"}
    assert (await send(registry.bob, "POST", f"{repository('a/x')}/transfer", to)).status == 403
    assert (await registry.bob.get("/v2/a/x/tags/list")).status == 404


async def test_R13_a_transfer_keeps_to_the_sources_network_rules(registry: Registry) -> None:
    await push(registry, "a/x")
    await registry.make_project_admin("alice")
    for door in ("registry", "api"):
        await registry.change(
            "UPDATE projects SET network_rules = :rules WHERE name = 'a'",
            rules=f'{{"{door}":["198.51.100.0/24"]}}',
        )
        answer = await send(registry.alice, "POST", f"{repository('a/x')}/transfer", {"project": "b"})
        assert answer.status == 403, door


async def test_changes_are_told_and_written_down(registry: Registry) -> None:
    await push(registry, "a/x")
    done(await send(registry.alice, "PUT", repository("a/x"), {"description": "d"}))
    done(await registry.alice.delete(repository("a/x")))
    entries = await registry.sql(
        "SELECT operation, resource, username FROM audit_log WHERE resource_type = 'repository' ORDER BY id"
    )
    assert entries == [("update", "a/x", "alice"), ("delete", "a/x", "alice")]
    kinds = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'repository.%' ORDER BY id")
    assert kinds == [("repository.updated",), ("repository.deleted",)]


async def test_search_finds_what_the_caller_may_see(registry: Registry) -> None:
    await push(registry, "a/web", "b/web", "pub/Web".lower())
    found = await ask(registry.alice, f"{API}/search?q=web")
    assert [each["repository_name"] for each in found["repository"]] == ["a/web", "pub/web"]
    assert (found["project"], found["chart"]) == ([], [])
    found = await ask(registry.anon, f"{API}/search?q=pub")
    assert [each["name"] for each in found["project"]] == ["pub"]
    assert [each["repository_name"] for each in found["repository"]] == ["pub/web"]
    assert (await registry.alice.get(f"{API}/search")).status == 422
