"""Rank 9: what was given to somebody ends with them, with the project, and with their password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests.registry.actors import PASSWORD, Actor, basic, digest_of
from tests.registry.registries import Registry, open_registry

pytestmark = pytest.mark.anyio

Ending = Callable[[Registry], Awaitable[None]]


async def password_changed(registry: Registry) -> None:
    await registry.parts.users.set_password("alice", "another good password")


async def disabled(registry: Registry) -> None:
    await registry.parts.users.disable("alice")


async def disabled_and_enabled(registry: Registry) -> None:
    await registry.parts.users.disable("alice")
    await registry.parts.users.enable("alice")


async def deleted(registry: Registry) -> None:
    await registry.parts.users.delete("alice")


async def deleted_and_made_again(registry: Registry) -> None:
    await registry.parts.users.delete("alice")
    await registry.parts.users.create("alice", "another good password")


ENDINGS = [password_changed, disabled, disabled_and_enabled, deleted, deleted_and_made_again]


async def refresh_token(actor: Actor) -> str:
    answer = await actor.get("/service/token?service=roadstead&offline_token=true")
    return str(answer.json["refresh_token"])


async def renewed(registry: Registry, token: str) -> int:
    body = f"grant_type=refresh_token&refresh_token={token}&service=roadstead"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return (await registry.anon.request("POST", "/service/token", body.encode(), headers)).status


@pytest.mark.parametrize("ending", ENDINGS)
async def test_A23_tokens_and_uploads_end_with_the_account_or_its_password(
    registry: Registry, ending: Ending
) -> None:
    """On every worker: the second has remembered all of it too, and is not told."""
    async with open_registry(registry.parts.settings, seed=False) as second:
        await registry.alice.push_image("a/app", "1")
        refresh = await refresh_token(registry.alice)
        token = (await registry.alice.with_token("repository:a/app:pull,push")).authorization
        workers = [Actor(worker.app, "alice", token) for worker in (registry, second)]
        passwords = [registry.alice, second.alice]
        for actor in (*workers, *passwords):
            assert (await actor.pull("a/app", "1")).status == 200
        location = await workers[0].begin_upload("a/app")
        await workers[1].patch(location, b"begun")
        await ending(registry)
        for actor in workers:
            for method, target in (
                ("GET", "/v2/"),
                ("GET", "/v2/a/app/manifests/1"),
                ("POST", "/v2/a/app/blobs/uploads/"),
                ("PATCH", location),
                ("PUT", f"{location}?digest={digest_of(b'begun')}"),
                ("DELETE", location),
            ):
                assert (await actor.request(method, target)).status == 401, (method, target)
        assert await renewed(registry, refresh) == 401
        assert await renewed(second, refresh) == 401
        if ending is not disabled_and_enabled:
            for actor in passwords:
                assert (await actor.pull("a/app", "1")).status == 401


async def test_A10_an_upload_of_a_deleted_account_is_not_its_successors(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, b"begun")
    await registry.parts.users.delete("alice")
    await registry.parts.users.create("alice", PASSWORD)
    await registry.make_project_admin("alice")
    # What was remembered of the first alice is found out once.
    assert (await registry.alice.get(location)).status == 401
    assert (await registry.alice.get(location)).status == 404


async def test_A11_an_administrator_who_is_none_any_more_is_none_with_the_next_request(
    registry: Registry,
) -> None:
    await registry.alice.push_image("a/app", "1")
    await registry.parts.users.create("boss", PASSWORD, admin=True)
    boss = registry.actor("boss")
    token = await boss.with_token("repository:a/app:pull", "registry:catalog:*")
    for actor in (boss, token):
        assert (await actor.pull("a/app", "1")).status == 200
    await registry.parts.users.set_admin("boss", False)
    for actor in (boss, token):
        assert (await actor.pull("a/app", "1")).status == 404
        assert (await actor.get("/v2/_catalog")).json["repositories"] == []


async def test_A10_a_token_for_a_project_is_worth_nothing_in_its_successor(registry: Registry) -> None:
    """The name is used again, by somebody else."""
    await registry.alice.push_image("a/app", "1")
    token = await registry.alice.with_token("repository:a/app:pull,push,delete")
    location = await token.begin_upload("a/app")
    assert (await token.pull("a/app", "1")).status == 200
    for statement in (
        "DELETE FROM repositories WHERE project_id = (SELECT id FROM projects WHERE name = 'a')",
        "DELETE FROM projects WHERE name = 'a'",
    ):
        await registry.change(statement)
    assert (await token.pull("a/app", "1")).status == 404
    await registry.add_project("a", "bob")
    await registry.bob.push_image("a/app", "1")
    assert (await token.pull("a/app", "1")).status == 404
    assert (await token.start("a/app")).status == 403
    assert (await token.get(location)).status == 403
    assert (await registry.bob.get(location)).status == 404


async def test_A10_a_project_that_is_closed_is_closed_with_the_next_request(registry: Registry) -> None:
    await registry.alice.push_image("pub/app", "1")
    token = await registry.anon.with_token("repository:pub/app:pull")
    readers = (token, registry.anon, registry.mallory)
    for actor in readers:
        assert (await actor.pull("pub/app", "1")).status == 200
    await registry.change("UPDATE projects SET public = :no WHERE name = 'pub'", no=False)
    assert [(await actor.pull("pub/app", "1")).status for actor in readers] == [401, 401, 404]


async def test_A10_an_owner_who_is_none_any_more_is_a_stranger(registry: Registry) -> None:
    token = await registry.alice.with_token("repository:a/app:pull,push")
    location = await token.begin_upload("a/app")
    await registry.change("DELETE FROM grants")
    assert (await token.patch(location, b"x")).status == 403
    assert (await token.start("a/app")).status == 403


async def test_R15_a_token_is_never_worth_more_than_its_user_or_its_scopes(registry: Registry) -> None:
    await registry.bob.push_image("b/app", "1")
    await registry.alice.push_image("pub/app", "1")
    greedy = await registry.mallory.ask_for_token(
        "repository:b/app:pull,push,delete,*", "repository:pub/app:*", "registry:catalog:*", "admin:all:*"
    )
    assert greedy.json["scope"] == "repository:pub/app:pull registry:catalog:*"
    pull = await registry.bob.with_token("repository:b/app:pull")
    assert (await pull.pull("b/app", "1")).status == 200
    for method, target in (
        ("PUT", "/v2/b/app/manifests/2"),
        ("DELETE", "/v2/b/app/manifests/1"),
        ("POST", "/v2/b/app/blobs/uploads/"),
        ("GET", "/v2/b/other/tags/list"),
        ("GET", "/v2/_catalog"),
    ):
        answer = await pull.request(method, target)
        assert answer.status == 401
        assert 'error="insufficient_scope"' in answer["www-authenticate"]
    assert (await registry.anon.get("/v2/b/app/tags/list")).status == 401
    assert (
        await Actor(registry.app, "", pull.authorization).ask_for_token("repository:b/app:push")
    ).status == 401


async def test_A23_a_wrong_password_is_no_token(registry: Registry) -> None:
    wrong = Actor(registry.app, "alice", basic("alice", "wrong password"))
    for target in ("/v2/", "/service/token?service=roadstead", "/v2/pub/app/tags/list"):
        assert (await wrong.get(target)).status == 401
