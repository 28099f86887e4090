"""Robots: made, listed, changed, refreshed and deleted, and what they may do meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.api.permissions import Permissions

pytestmark = pytest.mark.anyio

DAY = 86_400
PUSH = {"resource": "repository", "action": "push"}
PULL = {"resource": "repository", "action": "pull"}


def project_block(namespace: str, *accesses: dict[str, str]) -> dict[str, Any]:
    return {"kind": "project", "namespace": namespace, "access": list(accesses)}


def system_block(*accesses: dict[str, str]) -> dict[str, Any]:
    return {"kind": "system", "namespace": "/", "access": list(accesses)}


def access(permission: str) -> dict[str, str]:
    resource, _, action = permission.partition(":")
    return {"resource": resource, "action": action}


def in_project(namespace: str, *accesses: dict[str, str], name: str = "ci", **more: object) -> dict[str, Any]:
    blocks = [project_block(namespace, *(accesses or (PUSH,)))]
    return {"name": name, "level": "project", "duration": 30, "permissions": blocks, **more}


def in_system(*blocks: dict[str, Any], name: str = "ci", **more: object) -> dict[str, Any]:
    return {"name": name, "level": "system", "duration": -1, "permissions": list(blocks), **more}


async def send(actor: Actor, method: str, path: str, body: object) -> Answer:
    return await actor.request(
        method, f"/api/v2.0{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )


async def make(actor: Actor, body: object) -> Any:
    answer = await send(actor, "POST", "/robots", body)
    assert answer.status == 201, answer
    return answer.json


def signed_in(registry: Registry, made: Any) -> Actor:
    return Actor(registry.app, made["name"], basic(made["name"], made["secret"]))


async def shown(registry: Registry, made: Any) -> Any:
    answer = await registry.root.get(f"/api/v2.0/robots/{made['id']}")
    assert answer.status == 200, answer
    return answer.json


async def replacing(registry: Registry, made: Any, **changes: object) -> Answer:
    body = {**await shown(registry, made), **changes}
    return await send(registry.root, "PUT", f"/robots/{made['id']}", body)


# ── the account ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_project_administrator_makes_a_robot_whose_secret_is_shown_once(registry: Registry) -> None:
    answer = await send(
        registry.alice, "POST", "/robots", in_project("a", PUSH, name="ci", description="builds")
    )
    made = answer.json
    assert (answer.status, made["name"], len(made["secret"])) == (201, "robot$a+ci", 32)
    assert answer["location"] == f"/api/v2.0/robots/{made['id']}"
    assert made["creation_time"].endswith("Z")
    document = await shown(registry, made)
    assert "secret" not in document
    assert document["expires_at"] == made["expires_at"]
    assert (document["level"], document["duration"], document["description"]) == ("project", 30, "builds")
    assert (document["editable"], document["disable"], document["creator_type"]) == (True, False, "local")


async def test_a_robot_pushes_and_pulls_where_it_may_and_nowhere_else(registry: Registry) -> None:
    robot = signed_in(registry, await make(registry.alice, in_project("a", PUSH)))
    await robot.push_image("a/app", "v1")
    assert (await robot.pull("a/app", "v1")).status == 200
    assert (await robot.start("b/app")).status == 403
    assert (await robot.pull("b/app", "v1")).status == 404
    assert (await robot.delete("/v2/a/app/manifests/v1")).status == 403


async def test_R15_a_robots_token_covers_no_more_than_the_robot_may(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    robot = signed_in(registry, await make(registry.alice, in_project("a", PULL)))
    token = await robot.with_token(
        "repository:a/app:pull,push,delete,*", "repository:b/app:pull", "registry:catalog:*"
    )
    assert (await token.pull("a/app", "v1")).status == 200
    assert (await token.start("a/app")).status in {401, 403}
    assert (await token.delete("/v2/a/app/manifests/v1")).status in {401, 403}
    answer = await token.get("/api/v2.0/robots")
    assert answer.status == 401


async def test_the_permissions_come_back_as_they_were_sent(registry: Registry) -> None:
    blocks = [
        system_block(access("project:list"), access("audit-log:list")),
        project_block("a", PULL, access("tag:create")),
        project_block("*", access("artifact:read")),
    ]
    document = await shown(registry, await make(registry.root, in_system(*blocks)))
    found = {
        (b["kind"], b["namespace"]): {(p["resource"], p["action"]) for p in b["access"]}
        for b in document["permissions"]
    }
    assert found == {
        ("system", "/"): {("project", "list"), ("audit-log", "list")},
        ("project", "a"): {("repository", "pull"), ("tag", "create")},
        ("project", "*"): {("artifact", "read")},
    }


async def test_a_robot_for_all_projects_pulls_from_those_that_come_later(registry: Registry) -> None:
    robot = signed_in(registry, await make(registry.root, in_system(project_block("*", PULL))))
    await registry.add_project("later", "bob")
    await registry.bob.push_image("later/app", "v1")
    assert (await robot.pull("later/app", "v1")).status == 200
    assert (await robot.start("later/app")).status == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "CI"},
        {"name": ""},
        {"name": "robot$ci"},
        {"name": "a+ci"},
        {"name": "ci."},
        {"name": "ci "},
        {"name": "\uff43\uff49"},
        {"name": "x" * 250},
        {"duration": 0},
        {"duration": -2},
        {"duration": 2**31 - 1},
        {"duration": None},
        {"level": "cluster"},
        {"permissions": []},
        {"permissions": None},
        {"permissions": [project_block("a")]},
        {"permissions": [project_block("a", PULL), project_block("a", PUSH)]},
        {"permissions": [project_block("*", PULL)]},
        {"permissions": [project_block("/", PULL)]},
        {"permissions": [system_block(access("user:list"))]},
        {"permissions": [{**system_block(access("user:list")), "namespace": "a"}]},
        {"permissions": [{**project_block("a", PULL), "kind": "galaxy"}]},
        {"permissions": [project_block("a", access("robot:update"))]},
        {"permissions": [project_block("a", access("repository:*"))]},
        {"permissions": [project_block("a", access("repository:pull,repository:push"))]},
        {"permissions": [project_block("a", access("user:create"))]},
        {"permissions": [project_block("a", {**PULL, "effect": "deny"})]},
    ],
)
async def test_R18_a_robot_that_cannot_be_is_refused(registry: Registry, changes: dict[str, object]) -> None:
    answer = await send(registry.alice, "POST", "/robots", {**in_project("a"), **changes})
    assert answer.status == 400, answer
    assert await registry.scalar("SELECT count(*) FROM robots") == 0


async def test_names_are_taken_once_in_each_project(registry: Registry) -> None:
    await make(registry.alice, in_project("a"))
    answer = await send(registry.alice, "POST", "/robots", in_project("a"))
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])
    await make(registry.bob, in_project("b"))


async def test_a_robot_that_is_disabled_at_its_creation_may_not_enter(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", disable=True))
    assert (await shown(registry, made))["disable"] is True
    assert (await signed_in(registry, made).get("/v2/")).status == 401


# ── changes take effect with the next request ───────────────────────────────────────────────────────────────


async def test_disabling_ends_a_robot_and_its_tokens_at_once(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", PUSH))
    robot = signed_in(registry, made)
    token = await robot.with_token("repository:a/app:pull,push")
    assert (await robot.get("/v2/")).status == 200
    assert (await replacing(registry, made, disable=True)).status == 200
    assert (await robot.get("/v2/")).status == 401
    assert (await token.start("a/app")).status == 401
    assert (await replacing(registry, made, disable=False)).status == 200
    assert (await token.start("a/app")).status == 401
    assert (await robot.start("a/app")).status == 202


async def test_a_robot_ends_with_its_duration(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", PUSH))
    robot = signed_in(registry, made)
    token = await robot.with_token("repository:a/app:pull,push")
    await registry.change("UPDATE users SET expires_at = 1000 WHERE id = :id", id=made["id"])
    assert (await robot.start("a/app")).status == 401
    assert (await token.start("a/app")).status == 401


async def test_a_changed_duration_counts_from_the_creation(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    assert (await replacing(registry, made, duration=60)).status == 200
    assert (await shown(registry, made))["expires_at"] == made["expires_at"] + 30 * DAY
    assert (await replacing(registry, made, duration=-1)).status == 200
    assert (await shown(registry, made))["expires_at"] == -1


async def test_a_duration_that_is_left_out_stays(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    assert (await replacing(registry, made, duration=None, description="new")).status == 200
    document = await shown(registry, made)
    assert (document["duration"], document["expires_at"], document["description"]) == (
        30,
        made["expires_at"],
        "new",
    )


async def test_permissions_that_are_taken_away_are_gone_with_the_next_request(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", PUSH))
    robot = signed_in(registry, made)
    token = await robot.with_token("repository:a/app:pull,push")
    assert (await token.start("a/app")).status == 202
    assert (await replacing(registry, made, permissions=[project_block("a", PULL)])).status == 200
    assert (await robot.start("a/app")).status == 403
    assert (await token.start("a/app")).status == 403


async def test_a_new_secret_voids_the_old_one_and_its_tokens(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", PUSH))
    robot = signed_in(registry, made)
    token = await robot.with_token("repository:a/app:pull,push")
    answer = await send(registry.alice, "PATCH", f"/robots/{made['id']}", {})
    assert answer.status == 200
    assert (await robot.get("/v2/")).status == 401
    assert (await token.start("a/app")).status == 401
    assert (await signed_in(registry, {**made, **answer.json}).get("/v2/")).status == 200


async def test_a_secret_can_be_chosen_and_is_not_shown_again(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    chosen = "Chosen-by-a-person-7"
    answer = await send(registry.alice, "PATCH", f"/robots/{made['id']}", {"secret": chosen})
    assert (answer.status, answer.json) == (200, {})
    assert (await signed_in(registry, {**made, "secret": chosen}).get("/v2/")).status == 200
    assert "argon2" in str(
        await registry.scalar("SELECT password_hash FROM users WHERE id = :id", id=made["id"])
    )


@pytest.mark.parametrize(
    "secret", ["Short1", "nocapitals123", "NOSMALLS123", "NoDigitsHere", "A1" + "a" * 127]
)
async def test_a_weak_secret_is_refused(registry: Registry, secret: str) -> None:
    made = await make(registry.alice, in_project("a"))
    answer = await send(registry.alice, "PATCH", f"/robots/{made['id']}", {"secret": secret})
    assert answer.status == 400
    assert (await signed_in(registry, made).get("/v2/")).status == 200


async def test_a_generated_secret_is_kept_as_a_hash_only(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    stored = str(await registry.scalar("SELECT password_hash FROM users WHERE id = :id", id=made["id"]))
    assert stored.startswith("sha256$")
    assert made["secret"] not in stored
    rows = await registry.sql(
        "SELECT CAST(payload AS TEXT) FROM audit_log UNION SELECT CAST(payload AS TEXT) FROM events"
    )
    assert made["secret"] not in str(rows)


async def test_A10_a_robot_of_the_same_name_is_another(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", PUSH))
    robot = signed_in(registry, made)
    token = await robot.with_token("repository:a/app:pull,push")
    assert (await registry.alice.delete(f"/api/v2.0/robots/{made['id']}")).status == 200
    assert (await registry.root.get(f"/api/v2.0/robots/{made['id']}")).status == 404
    again = await make(registry.alice, in_project("a", PUSH))
    assert again["id"] != made["id"]
    assert (await robot.get("/v2/")).status == 401
    assert (await token.start("a/app")).status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "robot$a+other"},
        {"name": "ci"},
        {"level": "system"},
        {"permissions": [project_block("b", PULL)]},
    ],
)
async def test_level_name_and_project_of_a_robot_stay(registry: Registry, changes: dict[str, object]) -> None:
    made = await make(registry.alice, in_project("a"))
    before = await shown(registry, made)
    assert (await replacing(registry, made, **changes)).status == 400
    assert await shown(registry, made) == before


async def test_every_change_is_an_event_and_an_entry_of_the_audit_log(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    await replacing(registry, made, description="x")
    await send(registry.alice, "PATCH", f"/robots/{made['id']}", {})
    await registry.alice.delete(f"/api/v2.0/robots/{made['id']}")
    kinds = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'robot.%' ORDER BY id")
    assert [kind for (kind,) in kinds] == [
        "robot.created",
        "robot.updated",
        "robot.secret_refreshed",
        "robot.deleted",
    ]
    entries = await registry.sql(
        "SELECT operation, username, resource FROM audit_log WHERE resource_type = 'robot' ORDER BY id"
    )
    assert entries == [
        ("create", "alice", "robot$a+ci"),
        ("update", "root", "robot$a+ci"),
        ("refresh_secret", "alice", "robot$a+ci"),
        ("delete", "alice", "robot$a+ci"),
    ]


async def test_the_last_use_of_a_robot_is_shown(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    assert "last_use_time" not in await shown(registry, made)
    await signed_in(registry, made).get("/v2/")
    await registry.parts.authenticator.close()
    assert (await shown(registry, made))["last_use_time"].endswith("Z")


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────


async def project_number(registry: Registry, name: str) -> object:
    return await registry.scalar("SELECT id FROM projects WHERE name = :name", name=name)


async def test_robots_are_listed_by_level(registry: Registry) -> None:
    await make(registry.root, in_system(project_block("a", PULL)))
    await make(registry.alice, in_project("a", name="one"))
    await make(registry.alice, in_project("a", name="two"))
    system = await registry.root.get("/api/v2.0/robots")
    assert [robot["name"] for robot in system.json] == ["robot$ci"]
    here = await registry.alice.get(
        f"/api/v2.0/robots?q=Level=project,ProjectID={await project_number(registry, 'a')}"
    )
    assert [robot["name"] for robot in here.json] == ["robot$a+one", "robot$a+two"]
    assert here["x-total-count"] == "2"
    assert here.json[0]["permissions"] == [project_block("a", PUSH)]


@pytest.mark.parametrize(
    "q",
    [
        "Level=project",
        "Level=galaxy",
        "Level=project,ProjectID=x",
        "Level=project,ProjectID=-1",
        "colour=red",
    ],
)
async def test_a_list_that_cannot_be_is_refused(registry: Registry, q: str) -> None:
    assert (await registry.root.get(f"/api/v2.0/robots?q={q}")).status == 400


async def test_strangers_see_no_robots(registry: Registry) -> None:
    ours = await make(registry.alice, in_project("a"))
    systems = await make(registry.root, in_system(project_block("a", PULL)))
    number = await project_number(registry, "a")
    for robot in (ours, systems, {"id": 999_999}):
        for method in ("GET", "DELETE"):
            answer = await registry.mallory.request(method, f"/api/v2.0/robots/{robot['id']}")
            assert answer.status == 404
        assert (await send(registry.mallory, "PATCH", f"/robots/{robot['id']}", {})).status == 404
        assert (await registry.anon.get(f"/api/v2.0/robots/{robot['id']}")).status == 401
    assert (await registry.mallory.get(f"/api/v2.0/robots?q=Level=project,ProjectID={number}")).status == 404
    assert (await registry.mallory.get("/api/v2.0/robots?q=Level=project,ProjectID=999999")).status == 404
    assert (await registry.mallory.get("/api/v2.0/robots")).status == 403
    assert (await registry.anon.get("/api/v2.0/robots")).status == 401


async def test_members_who_may_read_robots_do_not_change_them(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    await registry.change(
        "INSERT INTO grants (place, project_id, user_id, role_id, permissions, repositories, created_at)"
        " SELECT 'project', p.id, u.id, 4, '', '', 1 FROM projects p, users u WHERE p.name = 'a' AND u.username = 'bob'"
    )
    assert (await registry.bob.get(f"/api/v2.0/robots/{made['id']}")).status == 200
    assert (await send(registry.bob, "PATCH", f"/robots/{made['id']}", {})).status == 403
    assert (await registry.bob.delete(f"/api/v2.0/robots/{made['id']}")).status == 403
    assert (await send(registry.bob, "POST", "/robots", in_project("a", name="other"))).status == 403


async def test_what_robots_can_be_given_is_told_to_those_who_make_them(registry: Registry) -> None:
    found = Permissions.model_validate((await registry.root.get("/api/v2.0/permissions")).json)
    assert found.system
    listed = {(p.resource, p.action) for p in (*found.system, *found.project)}
    assert ("robot", "update") not in listed
    assert {("repository", "push"), ("user", "create")} <= listed
    assert (await registry.alice.get("/api/v2.0/permissions")).json["system"] is None
    assert (await registry.mallory.get("/api/v2.0/permissions")).status == 403
    assert (await registry.anon.get("/api/v2.0/permissions")).status == 401


async def test_a_project_gets_no_name_with_which_its_robots_could_not_sign_in(registry: Registry) -> None:
    robot = signed_in(registry, await make(registry.alice, in_project("a")))
    refused = await send(registry.alice, "POST", "/projects/a/rename", {"name": "a" * 250})
    assert refused.status == 400, refused
    assert (await robot.start("a/app")).status == 202
