"""Tags through the API, what happened to them, and taking that back."""

from __future__ import annotations

import pytest
from tests.api.images import artifact, ask, become, done, repository, send
from tests.api.test_immutable_rules import RULES, rule
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio
APP = "a/app"


def history(tag: str) -> str:
    return f"{repository(APP)}/tags/{tag}/history"


def restore(tag: str) -> str:
    return f"{repository(APP)}/tags/{tag}/restore"


async def two(registry: Registry) -> tuple[str, str]:
    return await registry.alice.push_image(APP, "v1"), await registry.alice.push_image(APP, "v2")


async def at(registry: Registry, tag: str) -> str | None:
    return (await registry.alice.pull(APP, tag)).get("docker-content-digest")


async def test_tags_are_made_listed_and_removed(registry: Registry) -> None:
    one, _ = await two(registry)
    done(await send(registry.alice, "POST", f"{artifact(APP, one)}/tags", {"name": "new", "id": 0}), 201)
    tags = await ask(registry.alice, f"{artifact(APP, one)}/tags?sort=name")
    assert [tag["name"] for tag in tags] == ["new", "v1"]
    done(await registry.alice.delete(f"{artifact(APP, one)}/tags/v1"))
    done(await registry.alice.delete(f"{artifact(APP, one)}/tags/new"))
    assert (await registry.alice.get(artifact(APP, one))).status == 200


async def test_a_tag_that_is_there_is_a_conflict_and_moves_when_asked_to(registry: Registry) -> None:
    one, two_ = await two(registry)
    taken = await send(registry.alice, "POST", f"{artifact(APP, one)}/tags", {"name": "v2"})
    assert (taken.status, taken.codes) == (409, ["CONFLICT"])
    assert await at(registry, "v2") == two_
    done(await send(registry.alice, "PUT", f"{artifact(APP, one)}/tags/v2"))
    assert await at(registry, "v2") == one


async def test_tags_that_cannot_be_are_refused(registry: Registry) -> None:
    one, two_ = await two(registry)
    assert (await send(registry.alice, "POST", f"{artifact(APP, one)}/tags", {"name": "-x"})).status == 400
    assert (await send(registry.alice, "POST", f"{artifact(APP, one)}/tags", {})).status == 422
    assert (await send(registry.alice, "POST", f"{artifact(APP, 'v9')}/tags", {"name": "x"})).status == 404
    assert (await registry.alice.delete(f"{artifact(APP, two_)}/tags/v1")).status == 404


async def test_whoever_only_makes_tags_moves_none(registry: Registry) -> None:
    one, two_ = await two(registry)
    await registry.change(
        "INSERT INTO roles (id, name, description, permissions, created_at, updated_at)"
        " VALUES (100, 'tagger', '', 'project:read,repository:read,tag:create,tag:list', 1, 1)"
    )
    mallory = await become(registry, "mallory", 100)
    done(await send(mallory, "POST", f"{artifact(APP, one)}/tags", {"name": "new"}), 201)
    assert (await send(mallory, "PUT", f"{artifact(APP, one)}/tags/v2")).status == 403
    assert await at(registry, "v2") == two_


async def test_the_history_tells_who_did_what(registry: Registry) -> None:
    one, two_ = await two(registry)
    await registry.alice.put_manifest(APP, "v1", (await registry.alice.pull(APP, two_)).body)
    await registry.alice.put_manifest(APP, "v1", (await registry.alice.pull(APP, two_)).body)
    await registry.root.delete(f"/v2/{APP}/manifests/v1")
    changes = await ask(registry.alice, history("v1"))
    told = [(each["deed"], each["digest"], each.get("previous"), each["username"]) for each in changes]
    assert told == [
        ("deleted", two_, None, "root"),
        ("moved", two_, one, "alice"),
        ("created", one, None, "alice"),
    ]
    assert (await registry.bob.get(history("v1"))).status == 404
    assert await ask(registry.alice, history("never")) == []


async def test_a_manifest_takes_its_tags_into_the_history(registry: Registry) -> None:
    one, _ = await two(registry)
    await registry.alice.delete(f"/v2/{APP}/manifests/{one}")
    assert [each["deed"] for each in await ask(registry.alice, history("v1"))] == ["deleted", "created"]
    assert (await send(registry.alice, "POST", restore("v1"))).status == 404


async def test_a_deleted_tag_is_restored(registry: Registry) -> None:
    one, two_ = await two(registry)
    done(await send(registry.alice, "PUT", f"{artifact(APP, two_)}/tags/v1"))
    await registry.alice.delete(f"/v2/{APP}/manifests/v1")
    answer = await send(registry.alice, "POST", restore("v1"))
    assert (answer.status, answer.json) == (200, {"digest": two_})
    assert await at(registry, "v1") == two_
    assert (await ask(registry.alice, history("v1")))[0]["deed"] == "restored"
    again = await send(registry.alice, "POST", restore("v1"))
    assert (again.status, again.codes) == (409, ["CONFLICT"])
    assert (await send(registry.alice, "POST", restore("v1"), {"digest": one})).status == 404


async def test_a_tag_is_restored_within_the_grace_period_only(registry_with: Opener) -> None:
    async with registry_with(registry={"tag_restore_grace": 60}) as registry:
        await two(registry)
        await registry.alice.delete(f"/v2/{APP}/manifests/v1")
        await registry.change("UPDATE tag_changes SET at = at - 61000")
        answer = await send(registry.alice, "POST", restore("v1"))
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
        assert [each["deed"] for each in await ask(registry.alice, history("v1"))] == ["deleted", "created"]


async def test_old_history_is_forgotten(registry: Registry) -> None:
    await two(registry)
    await registry.change("UPDATE tag_changes SET at = 1 WHERE name = 'v1'")
    handler = registry.parts.runner._handlers["tags.forget"]

    class Context:
        def check(self) -> None: ...

    await handler(Context())  # type: ignore[arg-type]  # all that the job asks of it
    assert await ask(registry.alice, history("v1")) == []
    assert len(await ask(registry.alice, history("v2"))) == 1


async def test_no_call_of_the_api_moves_or_removes_an_immutable_tag(registry: Registry) -> None:
    one, two_ = await two(registry)
    await registry.alice.push_image("a/other", "v1", "other")
    await registry.alice.push_image(APP, "w")
    await registry.alice.delete(f"/v2/{APP}/manifests/w")
    await registry.alice.push_image(APP, "w", "another")
    assert (await send(registry.alice, "POST", RULES, rule("*"))).status == 201
    await registry.make_project_admin("alice")
    refused = [
        await send(registry.alice, "PUT", f"{artifact(APP, one)}/tags/v2"),
        await registry.alice.delete(f"{artifact(APP, one)}/tags/v1"),
        await registry.alice.delete(artifact(APP, one)),
        await registry.alice.delete(artifact(APP, "v1")),
        await registry.alice.delete(repository(APP)),
        await send(registry.alice, "POST", f"{repository(APP)}/transfer", {"project": "b"}),
        await send(registry.alice, "POST", f"{repository(APP)}/artifacts?from=a/other:v1"),
        await send(registry.alice, "POST", restore("w")),
    ]
    assert [(answer.status, answer.codes) for answer in refused] == [(412, ["PRECONDITION"])] * len(refused)
    taken = await send(registry.alice, "POST", f"{artifact(APP, one)}/tags", {"name": "v2"})
    assert taken.status in {409, 412}
    assert (await at(registry, "v1"), await at(registry, "v2")) == (one, two_)
    (shown,) = await ask(registry.alice, f"{artifact(APP, one)}/tags?with_immutable_status=true")
    assert shown["immutable"] is True


async def test_deletion_that_is_off_is_off_for_the_api_too(registry_with: Opener) -> None:
    async with registry_with(registry={"delete_enabled": False}) as registry:
        await two(registry)
        for target in (f"{artifact(APP, 'v1')}/tags/v1", artifact(APP, "v1"), repository(APP)):
            assert (await registry.root.delete(target)).status == 405
