"""Groups of people through the admin API."""

from __future__ import annotations

import pytest
from tests.api.people import id_of, send
from tests.registry.actors import Actor
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def add_group(registry: Registry, name: str = "devs", kind: int = 0) -> int:
    answer = await send(registry.root, "POST", "/usergroups", {"group_name": name, "group_type": kind})
    assert (answer.status, answer.body, answer.get("content-type")) == (201, b"", None), answer
    return int(answer["location"].removeprefix("/api/v2.0/usergroups/"))


async def put_in(registry: Registry, group: int, username: str) -> int:
    return (await send(registry.root, "POST", f"/usergroups/{group}/users", {"username": username})).status


async def grant(registry: Registry, group: int, project: str = "b", role: int = 2) -> None:
    await registry.change(
        "INSERT INTO grants (place, project_id, group_id, role_id, permissions, repositories, created_at)"
        " SELECT 'project', id, :group, :role, '', '', 1 FROM projects WHERE name = :project",
        group=group,
        role=role,
        project=project,
    )


async def may_look(actor: Actor) -> bool:
    return (await actor.get("/v2/b/app/tags/list")).status == 200


@pytest.fixture
async def devs(registry: Registry) -> int:
    await registry.bob.push_image("b/app", "1")
    return await add_group(registry)


async def test_a_group_is_made_renamed_and_deleted(registry: Registry) -> None:
    number = await add_group(registry, "devs", 3)
    path = f"/api/v2.0/usergroups/{number}"
    assert (await registry.root.get(path)).json == {"id": number, "group_name": "devs", "group_type": 3}
    body = {"group_name": "makers", "group_type": 1}
    assert (await send(registry.root, "PUT", f"/usergroups/{number}", body)).status == 200
    assert (await registry.root.get(path)).json == {"id": number, "group_name": "makers", "group_type": 3}
    assert (await registry.root.delete(path)).status == 200
    assert (await registry.root.get(path)).status == 404
    assert (await registry.root.delete(path)).status == 404


async def test_a_name_is_given_once(registry: Registry) -> None:
    await add_group(registry, "devs")
    number = await add_group(registry, "ops")
    body: dict[str, object] = {"group_name": "devs"}
    assert (await send(registry.root, "POST", "/usergroups", body)).status == 409
    assert (await send(registry.root, "PUT", f"/usergroups/{number}", body)).status == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, 400),
        ({}, 400),
        ({"group_name": " "}, 400),
        ({"group_name": "a\nb"}, 400),
        ({"group_name": "a" * 256}, 422),
        ({"group_name": "devs", "group_type": 4}, 400),
        ({"group_name": "devs", "group_type": "x"}, 422),
        ({"group_name": ["devs"]}, 422),
    ],
)
async def test_what_is_no_group_is_refused(registry: Registry, body: object, status: int) -> None:
    assert (await send(registry.root, "POST", "/usergroups", body)).status == status


async def test_groups_are_listed_and_searched(registry: Registry) -> None:
    for name in ("devs", "ops", "devs-of-b"):
        await add_group(registry, name)
    answer = await registry.root.get("/api/v2.0/usergroups?group_name=DEV&page_size=1")
    assert ([group["group_name"] for group in answer.json], answer["x-total-count"]) == (["devs"], "2")
    found = await registry.mallory.get("/api/v2.0/usergroups/search?groupname=dev")
    assert [group["group_name"] for group in found.json] == ["devs", "devs-of-b"]
    assert set(found.json[0]) == {"id", "group_name", "group_type"}
    assert (await registry.mallory.get("/api/v2.0/usergroups/search?groupname=")).status == 400
    assert (await registry.mallory.get("/api/v2.0/usergroups/search?groupname=%25")).json == []
    assert (await registry.anon.get("/api/v2.0/usergroups/search?groupname=dev")).status == 401


async def test_what_a_group_has_everybody_in_it_has(registry: Registry, devs: int) -> None:
    await grant(registry, devs)
    assert not await may_look(registry.alice)
    assert await put_in(registry, devs, "alice") == 201
    assert await may_look(registry.alice)
    people = await registry.root.get(f"/api/v2.0/usergroups/{devs}/users")
    assert [found["username"] for found in people.json] == ["alice"]


async def test_A11_whoever_leaves_a_group_has_nothing_of_it_from_then_on(
    registry: Registry, devs: int
) -> None:
    await grant(registry, devs)
    await put_in(registry, devs, "alice")
    token = await registry.alice.with_token("repository:b/app:pull")
    assert await may_look(token)
    number = await id_of(registry, "alice")
    assert (await registry.root.delete(f"/api/v2.0/usergroups/{devs}/users/{number}")).status == 200
    assert not await may_look(token)
    assert not await may_look(registry.alice)
    assert (await registry.root.delete(f"/api/v2.0/usergroups/{devs}/users/{number}")).status == 404


async def test_A11_a_deleted_groups_grants_end_at_once(registry: Registry, devs: int) -> None:
    await grant(registry, devs)
    await put_in(registry, devs, "alice")
    assert await may_look(registry.alice)
    assert (await registry.root.delete(f"/api/v2.0/usergroups/{devs}")).status == 200
    assert not await may_look(registry.alice)
    assert await registry.scalar("SELECT count(*) FROM grants WHERE group_id IS NOT NULL") == 0


async def test_A10_a_group_of_the_same_name_is_another_group(registry: Registry, devs: int) -> None:
    await grant(registry, devs)
    await put_in(registry, devs, "alice")
    await registry.root.delete(f"/api/v2.0/usergroups/{devs}")
    again = await add_group(registry)
    await put_in(registry, again, "alice")
    assert not await may_look(registry.alice)


async def test_people_are_put_into_a_group_once_and_must_be_there(registry: Registry, devs: int) -> None:
    assert await put_in(registry, devs, "alice") == 201
    assert await put_in(registry, devs, "alice") == 409
    assert await put_in(registry, devs, "nobody") == 404
    assert await put_in(registry, devs, "") == 404
    assert await put_in(registry, devs + 1000, "alice") == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/1"),
        ("PUT", "/1"),
        ("DELETE", "/1"),
        ("GET", "/1/users"),
        ("POST", "/1/users"),
        ("DELETE", "/1/users/1"),
    ],
)
async def test_only_administrators_have_to_do_with_groups(registry: Registry, method: str, path: str) -> None:
    for actor, status in ((registry.alice, 403), (registry.anon, 401)):
        answer = await send(actor, method, f"/usergroups{path}", {"group_name": "x", "username": "alice"})
        assert answer.status == status


async def test_every_change_of_a_group_is_told_and_recorded(registry: Registry, devs: int) -> None:
    number = await id_of(registry, "alice")
    await put_in(registry, devs, "alice")
    await registry.root.delete(f"/api/v2.0/usergroups/{devs}/users/{number}")
    await send(registry.root, "PUT", f"/usergroups/{devs}", {"group_name": "makers"})
    await registry.root.delete(f"/api/v2.0/usergroups/{devs}")
    events = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'group.%' ORDER BY id")
    assert [kind for (kind,) in events] == [
        "group.created",
        "group.member_added",
        "group.member_removed",
        "group.renamed",
        "group.deleted",
    ]
    entries = await registry.sql(
        "SELECT operation, resource, username FROM audit_log WHERE resource_type = 'user-group' ORDER BY id"
    )
    assert [entry[:2] for entry in entries] == [
        ("create", "devs"),
        ("update", "devs"),
        ("update", "devs"),
        ("update", "makers"),
        ("delete", "makers"),
    ]
    assert {entry[2] for entry in entries} == {"root"}
