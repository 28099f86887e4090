"""Members of projects, and the roles that people make, through the API."""

from __future__ import annotations

import pytest
from tests.api.projects import API, add_member, make_role, send, spelled
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def make_group(registry: Registry, name: str, *people: str, kind: int = 0) -> int:
    await registry.change(
        "INSERT INTO user_groups (name, kind, created_at) VALUES (:name, :kind, 1)", name=name, kind=kind
    )
    group = await registry.scalar("SELECT id FROM user_groups WHERE name = :name", name=name)
    for person in people:
        await registry.change(
            "INSERT INTO user_group_members (user_id, group_id) SELECT id, :g FROM users WHERE username = :u",
            g=group,
            u=person,
        )
    assert isinstance(group, int)
    return group


async def members(registry: Registry, project: str = "a", query: str = "") -> list[tuple[str, str, str]]:
    answer = await registry.root.get(f"{API}/projects/{project}/members{query}")
    assert answer.status == 200, answer
    return [(m["entity_name"], m["entity_type"], m["role_name"]) for m in answer.json]


async def test_a_member_has_a_role(registry: Registry) -> None:
    path = await add_member(registry.alice, "a", "bob", 2)
    assert path.startswith("/projects/a/members/")
    found = (await registry.alice.get(API + path)).json
    project = (await registry.alice.get(f"{API}/projects/a")).json["project_id"]
    user = await registry.scalar("SELECT id FROM users WHERE username = 'bob'")
    assert found == {
        "id": int(path.rpartition("/")[2]),
        "project_id": project,
        "entity_name": "bob",
        "role_name": "developer",
        "role_id": 2,
        "entity_id": user,
        "entity_type": "u",
    }
    assert (await registry.bob.push_image("a/app", "1")).startswith("sha256:")


async def test_members_are_listed_by_name(registry: Registry) -> None:
    group = await make_group(registry, "crew")
    body = {"role_id": 3, "member_group": {"id": group}}
    assert (await send(registry.alice, "POST", "/projects/a/members", body)).status == 201
    await add_member(registry.alice, "a", "mallory", 5)
    await add_member(registry.alice, "a", "bob", 4)
    assert await members(registry) == [
        ("alice", "u", "projectAdmin"),
        ("bob", "u", "maintainer"),
        ("crew", "g", "guest"),
        ("mallory", "u", "limitedGuest"),
    ]
    assert await members(registry, query="?entityname=crew") == [("crew", "g", "guest")]
    assert await members(registry, query="?entityname=cre") == []
    assert await members(registry, query="?q=entity_type=g") == [("crew", "g", "guest")]
    answer = await registry.alice.get(f"{API}/projects/a/members?page_size=1&page=2")
    assert (answer["x-total-count"], len(answer.json)) == ("4", 1)


@pytest.mark.parametrize("key", ["password_hash", "user__password_hash", "permissions", "email", "entityId"])
async def test_R10_members_are_not_searched_by_what_is_not_shown(registry: Registry, key: str) -> None:
    for query in (f"q={key}=~a", f"sort={key}"):
        assert (await registry.alice.get(f"{API}/projects/a/members?{query}")).status == 400


@pytest.mark.parametrize("kind", ["id", "name", "dn"])
async def test_people_of_a_group_have_its_role(registry: Registry, kind: str) -> None:
    group = await make_group(registry, "crew", "bob", kind=1 if kind == "dn" else 3)
    await registry.change("UPDATE user_groups SET ldap_dn = 'cn=crew' WHERE id = :g", g=group)
    whom: dict[str, object] = {
        "id": {"id": group},
        "name": {"group_name": "crew", "group_type": 3},
        "dn": {"ldap_group_dn": "cn=crew"},
    }[kind]  # type: ignore[assignment]  # any of them
    body = {"role_id": 2, "member_group": whom, "member_user": {}}
    assert (await send(registry.alice, "POST", "/projects/a/members", body)).status == 201
    assert (await registry.bob.get(f"{API}/projects/a")).json["current_user_role_ids"] == [2]
    await registry.change("DELETE FROM user_group_members WHERE group_id = :g", g=group)
    assert (await registry.bob.get(f"{API}/projects/a")).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role_id": 2}, 400),
        ({"role_id": 2, "member_user": {}, "member_group": {}}, 400),
        ({"role_id": 2, "member_user": {"username": "nobody"}}, 404),
        ({"role_id": 2, "member_user": {"user_id": 999_999}}, 400),
        ({"role_id": 2, "member_group": {"id": 999_999}}, 400),
        ({"role_id": 2, "member_group": {"group_name": "none", "group_type": 1}}, 404),
        ({"role_id": 9, "member_user": {"username": "bob"}}, 400),
        ({"role_id": 0, "member_user": {"username": "bob"}}, 400),
        ({"member_user": {"username": "bob"}}, 400),
        ({"role_id": 2, "member_user": {"username": "alice"}}, 409),
        ({"role_id": 2, "member_user": {"username": "bob"}, "repositories": "[a"}, 400),
    ],
)
async def test_who_cannot_be_a_member_is_refused(registry: Registry, body: object, status: int) -> None:
    assert (await send(registry.alice, "POST", "/projects/a/members", body)).status == status
    assert await members(registry) == [("alice", "u", "projectAdmin")]


async def test_a_robot_is_no_member(registry: Registry) -> None:
    await registry.change("UPDATE users SET kind = 'robot' WHERE username = 'bob'")
    body = {"role_id": 2, "member_user": {"username": "bob"}}
    assert (await send(registry.alice, "POST", "/projects/a/members", body)).status == 404


async def test_a_role_that_is_changed_or_taken_counts_with_the_next_request(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    path = await add_member(registry.alice, "a", "bob", 2)
    token = await registry.bob.with_token("repository:a/app:pull,push")
    assert (await token.start("a/app")).status == 202
    assert (await send(registry.alice, "PUT", path, {"role_id": 3, "member_user": {}})).status == 200
    assert (await token.start("a/app")).status == 403
    assert (await token.pull("a/app", digest)).status == 200
    assert (await send(registry.alice, "DELETE", path)).status == 200
    assert (await token.pull("a/app", digest)).status == 404
    assert (await registry.alice.get(API + path)).status == 404
    assert (await send(registry.alice, "DELETE", path)).status == 404


@pytest.mark.parametrize("body", [None, {}, {"role_id": 0}, {"role_id": 77}])
async def test_a_change_names_a_role(registry: Registry, body: object) -> None:
    path = await add_member(registry.alice, "a", "bob", 2)
    assert (await send(registry.alice, "PUT", path, body)).status == 400


async def test_the_last_administrator_of_a_project_may_go(registry: Registry) -> None:
    found = (await registry.alice.get(f"{API}/projects/a/members")).json
    assert (await send(registry.alice, "DELETE", f"/projects/a/members/{found[0]['id']}")).status == 200
    assert (await registry.alice.get(f"{API}/projects/a")).status == 404
    await add_member(registry.root, "a", "bob", 1)
    assert (await registry.bob.get(f"{API}/projects/a")).status == 200


async def test_R2_a_member_of_another_project_is_no_member(registry: Registry) -> None:
    theirs = (await registry.bob.get(f"{API}/projects/b/members")).json[0]["id"]
    path = f"/projects/a/members/{theirs}"
    assert (await registry.alice.get(API + path)).status == 404
    assert (await send(registry.alice, "PUT", path, {"role_id": 5})).status == 404
    assert (await send(registry.alice, "DELETE", path)).status == 404
    assert await members(registry, "b") == [("bob", "u", "projectAdmin")]


async def test_R2_a_robot_s_grant_is_no_member(registry: Registry) -> None:
    access = [{"resource": "repository", "action": "pull"}]
    blocks = [{"kind": "project", "namespace": "a", "access": access}]
    robot = {"name": "ci", "level": "project", "duration": -1, "permissions": blocks}
    assert (await send(registry.alice, "POST", "/robots", robot)).status == 201
    grant = await registry.scalar("SELECT max(id) FROM grants")
    path = f"/projects/a/members/{grant}"
    assert (await registry.alice.get(API + path)).status == 404
    assert (await send(registry.alice, "PUT", path, {"role_id": 1})).status == 404
    assert (await send(registry.alice, "DELETE", path)).status == 404
    assert await members(registry) == [("alice", "u", "projectAdmin")]


@pytest.mark.parametrize("role", [2, 3, 4, 5])
async def test_R3_only_administrators_of_a_project_change_its_members(registry: Registry, role: int) -> None:
    path = await add_member(registry.alice, "a", "bob", role)
    body = {"role_id": 1, "member_user": {"username": "mallory"}}
    assert (await send(registry.bob, "POST", "/projects/a/members", body)).status == 403
    assert (await send(registry.bob, "PUT", path, {"role_id": 1})).status == 403
    assert (await send(registry.bob, "PUT", path, {})).status == 403
    assert (await send(registry.bob, "DELETE", path)).status == 403
    listed = (await registry.bob.get(f"{API}/projects/a/members")).status
    assert listed == (403 if role == 5 else 200)


@pytest.mark.parametrize("mid", ["0", "-1", "9223372036854775808", "me", "null", "1.5"])
async def test_R16_a_member_has_a_number(registry: Registry, mid: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await send(registry.alice, method, f"/projects/a/members/{mid}", {"role_id": 1})
        assert answer.status in {404, 422}


async def test_members_are_told_and_recorded(registry: Registry) -> None:
    path = await add_member(registry.alice, "a", "bob", 2)
    await send(registry.alice, "PUT", path, {"role_id": 3})
    await send(registry.alice, "DELETE", path)
    kinds = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'member.%' ORDER BY id")
    assert [kind for (kind,) in kinds] == ["member.added", "member.changed", "member.removed"]
    entries = await registry.sql(
        "SELECT operation, resource, username FROM audit_log WHERE resource_type = 'member' ORDER BY id"
    )
    assert entries == [(operation, "bob", "alice") for operation in ("create", "update", "delete")]


# ── some repositories only ──────────────────────────────────────────────────────────────────────────────


async def test_a_role_can_be_limited_to_repositories(registry: Registry) -> None:
    await registry.alice.push_image("a/web/app", "1")
    await registry.alice.push_image("a/db", "1")
    path = await add_member(registry.alice, "a", "bob", 2, repositories="web/**")
    assert (await registry.alice.get(API + path)).json["repositories"] == "web/**"
    assert (await registry.bob.pull("a/web/app", "1")).status == 200
    assert (await registry.bob.pull("a/db", "1")).status == 404
    assert (await registry.bob.start("a/web/new")).status == 202
    assert (await registry.bob.get(f"{API}/projects/a")).status == 200
    assert (await registry.bob.get(f"{API}/projects/a/members")).status == 403
    assert (await send(registry.alice, "PUT", path, {"role_id": 3})).status == 200
    assert (await registry.bob.start("a/web/new")).status == 403
    assert (await send(registry.alice, "PUT", path, {"role_id": 3, "repositories": "**"})).status == 200
    assert (await registry.bob.pull("a/db", "1")).status == 200


async def test_somebody_may_have_several_roles_for_different_repositories(registry: Registry) -> None:
    await add_member(registry.alice, "a", "bob", 3)
    path = await add_member(registry.alice, "a", "bob", 2, repositories="web/**")
    assert (await registry.bob.start("a/web/app")).status == 202
    assert (await registry.bob.start("a/db")).status == 403
    twice = {"role_id": 2, "member_user": {"username": "bob"}, "repositories": "web/**"}
    assert (await send(registry.alice, "POST", "/projects/a/members", twice)).status == 409
    assert (await send(registry.alice, "PUT", path, {"role_id": 2, "repositories": ""})).status == 409


# ── roles that people make ──────────────────────────────────────────────────────────────────────────────


async def test_the_roles_that_are_built_in_are_listed(registry: Registry) -> None:
    answer = await registry.mallory.get(f"{API}/roles")
    assert [(role["id"], role["name"], role["built_in"]) for role in answer.json] == [
        (1, "projectAdmin", True),
        (2, "developer", True),
        (3, "guest", True),
        (4, "maintainer", True),
        (5, "limitedGuest", True),
    ]
    assert {"resource": "repository", "action": "push"} in answer.json[1]["permissions"]
    assert (await registry.anon.get(f"{API}/roles")).status == 401


async def test_a_role_of_one_s_own_is_given_like_the_others(registry: Registry) -> None:
    role = await make_role(registry.root, "pusher", "repository:push", "project:read")
    assert role >= 100
    await add_member(registry.alice, "a", "bob", role)
    assert (await registry.bob.start("a/app")).status == 202
    assert (await registry.bob.get(f"{API}/projects/a/members")).status == 403
    assert (await registry.bob.get(f"{API}/projects/a")).json["current_user_role_id"] == role


async def test_a_changed_role_counts_with_the_next_request(registry: Registry) -> None:
    role = await make_role(registry.root, "pusher", "repository:push", "project:read")
    await add_member(registry.alice, "a", "bob", role)
    body = {"name": "puller", "permissions": spelled("repository:pull")}
    assert (await send(registry.root, "PUT", f"/roles/{role}", body)).status == 200
    assert (await registry.bob.start("a/app")).status == 403
    found = (await registry.bob.get(f"{API}/roles/{role}")).json
    assert (found["name"], found["permissions"]) == ("puller", body["permissions"])


async def test_nobody_gives_a_role_that_may_more_than_they(registry: Registry) -> None:
    adder = await make_role(
        registry.root, "adder", "project:read", "member:create", "member:update", "repository:pull"
    )
    await add_member(registry.root, "a", "bob", adder)
    mine = next(
        m for m in (await registry.root.get(f"{API}/projects/a/members")).json if m["role_id"] == adder
    )
    body = {"role_id": 1, "member_user": {"username": "mallory"}}
    assert (await send(registry.bob, "POST", "/projects/a/members", body)).status == 403
    assert (
        await send(registry.bob, "PUT", f"/projects/a/members/{mine['id']}", {"role_id": 1})
    ).status == 403
    await add_member(registry.bob, "a", "mallory", adder)


async def test_only_administrators_make_roles(registry: Registry) -> None:
    body = {"name": "mine", "permissions": spelled("repository:pull")}
    assert (await send(registry.anon, "POST", "/roles", body)).status == 401
    assert (await send(registry.alice, "POST", "/roles", body)).status == 403
    role = await make_role(registry.root, "theirs", "repository:pull")
    assert (await send(registry.alice, "PUT", f"/roles/{role}", body)).status == 403
    assert (await send(registry.alice, "DELETE", f"/roles/{role}")).status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "", "permissions": []}, 400),
        ({"name": " x", "permissions": []}, 400),
        ({"name": "developer", "permissions": []}, 409),
        ({"name": "x", "permissions": [{"resource": "user", "action": "create"}]}, 400),
        ({"name": "x", "permissions": [{"resource": "repository", "action": "pull,push"}]}, 400),
        ({"name": "x", "permissions": [{"resource": "a|b\n", "action": "pull"}]}, 400),
        ({"permissions": []}, 422),
        ({"name": "x", "description": "d" * 1001}, 400),
    ],
)
async def test_a_role_that_cannot_be_is_refused(registry: Registry, body: object, status: int) -> None:
    assert (await send(registry.root, "POST", "/roles", body)).status == status


async def test_roles_that_are_built_in_stay_as_they_are(registry: Registry) -> None:
    body = {"name": "x", "permissions": []}
    assert (await send(registry.root, "PUT", "/roles/3", body)).status == 412
    assert (await send(registry.root, "DELETE", "/roles/3")).status == 412


async def test_a_role_that_somebody_has_is_not_deleted(registry: Registry) -> None:
    role = await make_role(registry.root, "pusher", "repository:push")
    path = await add_member(registry.alice, "a", "bob", role)
    assert (await send(registry.root, "DELETE", f"/roles/{role}")).status == 412
    await send(registry.alice, "DELETE", path)
    assert (await send(registry.root, "DELETE", f"/roles/{role}")).status == 200
    assert (await registry.root.get(f"{API}/roles/{role}")).status == 404
    assert (await send(registry.root, "DELETE", f"/roles/{role}")).status == 404
