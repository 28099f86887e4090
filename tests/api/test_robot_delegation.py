"""Nobody hands out what they do not have."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.test_robots import (
    PULL,
    PUSH,
    access,
    in_project,
    in_system,
    make,
    project_block,
    replacing,
    send,
    shown,
    signed_in,
    system_block,
)
from tests.registry.registries import Registry

from roadstead.projects.robots.rules import IN_A_PROJECT, IN_THE_SYSTEM

pytestmark = pytest.mark.anyio
MAKES = access("robot:create")
DELETES = access("robot:delete")
READS = access("robot:read")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (in_project("b", PULL), 404),
        (in_project("library", PUSH), 403),
        (in_project("nowhere", PULL), 404),
        (in_project("*", PULL), 400),
        (in_project("a", access("user:list")), 400),
        ({**in_project("a"), "permissions": [project_block("a", PULL), project_block("b", PULL)]}, 400),
        ({**in_project("a"), "permissions": [system_block(access("user:list"))]}, 400),
        (in_system(project_block("a", PULL)), 403),
        (in_system(project_block("a", PULL), project_block("b", PULL)), 403),
        (in_system(project_block("*", PULL)), 403),
        (in_system(system_block(access("user:create"))), 403),
    ],
)
async def test_R4_a_project_administrator_reaches_no_further_than_the_project(
    registry: Registry, body: dict[str, Any], status: int
) -> None:
    answer = await send(registry.alice, "POST", "/robots", body)
    assert answer.status == status, answer
    assert await registry.scalar("SELECT count(*) FROM robots") == 0
    assert await registry.scalar("SELECT count(*) FROM users WHERE kind = 'robot'") == 0


async def test_R4_a_robot_is_not_widened_into_another_project(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a"))
    document = await shown(registry, made)
    for blocks in (
        [project_block("b", PULL)],
        [project_block("a", PULL), project_block("b", PULL)],
        [project_block("*", PULL)],
    ):
        answer = await send(
            registry.alice, "PUT", f"/robots/{made['id']}", {**document, "permissions": blocks}
        )
        assert answer.status in {400, 404}, answer
    assert await shown(registry, made) == document


async def test_a_project_administrator_hands_out_everything_that_there_is_in_the_project(
    registry: Registry,
) -> None:
    await make(registry.alice, in_project("a", *map(access, IN_A_PROJECT)))


async def test_an_administrator_hands_out_everything(registry: Registry) -> None:
    everywhere = project_block("*", *map(access, IN_A_PROJECT))
    await make(registry.root, in_system(system_block(*map(access, IN_THE_SYSTEM)), everywhere))


async def test_R5_a_robot_hands_out_no_more_than_it_has(registry: Registry) -> None:
    maker = signed_in(registry, await make(registry.alice, in_project("a", MAKES, PULL, name="maker")))
    for accesses in ([PUSH], [PULL, PUSH], [DELETES], [access("repository:delete")]):
        answer = await send(maker, "POST", "/robots", in_project("a", *accesses))
        assert answer.status == 403, answer
    assert (await send(maker, "POST", "/robots", in_project("b", PULL))).status == 404
    assert (await send(maker, "POST", "/robots", in_system(project_block("a", PULL)))).status == 403
    child = await make(maker, in_project("a", PULL, duration=20))
    assert (await shown(registry, child))["creator_type"] == "robot"


async def test_R5_a_robot_of_the_system_hands_out_no_more_than_it_has(registry: Registry) -> None:
    blocks = [system_block(MAKES, access("project:list")), project_block("a", PULL)]
    maker = signed_in(registry, await make(registry.root, in_system(*blocks, name="maker")))
    for refused in (project_block("*", PULL), system_block(access("user:list")), project_block("a", PUSH)):
        assert (await send(maker, "POST", "/robots", in_system(refused))).status == 403
    assert (await send(maker, "POST", "/robots", in_system(project_block("b", PULL)))).status == 404
    await make(maker, in_system(*blocks))


async def test_R5_a_robot_with_everything_everywhere_may_hand_that_on(registry: Registry) -> None:
    blocks = [system_block(MAKES), project_block("*", PULL)]
    maker = signed_in(registry, await make(registry.root, in_system(*blocks, name="maker")))
    await make(maker, in_system(project_block("*", PULL), name="wide"))
    await make(maker, in_system(project_block("b", PULL), name="narrow"))


async def test_R5_a_robot_makes_none_that_outlives_it(registry: Registry) -> None:
    maker = signed_in(registry, await make(registry.alice, in_project("a", MAKES, PULL, name="maker")))
    for duration in (-1, 31):
        answer = await send(maker, "POST", "/robots", in_project("a", PULL, duration=duration))
        assert answer.status == 403, answer
    await make(maker, in_project("a", PULL, duration=29))


async def test_R5_a_robot_changes_no_robot(registry: Registry) -> None:
    powers = [access(p) for p in IN_A_PROJECT]
    itself = await make(registry.alice, in_project("a", *powers, name="self"))
    other = await make(registry.alice, in_project("a", PULL, name="other"))
    robot = signed_in(registry, itself)
    child = await make(robot, in_project("a", PULL, name="child", duration=1))
    for made in (itself, other, child):
        document = await shown(registry, made)
        assert (await send(robot, "PUT", f"/robots/{made['id']}", document)).status == 403
        assert (await send(robot, "PATCH", f"/robots/{made['id']}", {})).status == 403
    for made in (itself, other):
        assert (await robot.delete(f"/api/v2.0/robots/{made['id']}")).status == 403
    assert (await robot.delete(f"/api/v2.0/robots/{child['id']}")).status == 200


async def test_R5_a_robot_whose_maker_is_narrowed_is_narrowed_too(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", MAKES, PUSH, PULL, name="maker"))
    child = await make(
        signed_in(registry, made), in_project("a", PUSH, MAKES, PULL, name="child", duration=20)
    )
    grandchild = await make(signed_in(registry, child), in_project("a", PUSH, name="grandchild", duration=10))
    assert (await replacing(registry, made, permissions=[project_block("a", PULL)], duration=5)).status == 200
    document = await shown(registry, child)
    assert document["permissions"] == [project_block("a", PULL)]
    assert document["expires_at"] == (await shown(registry, made))["expires_at"]
    assert (await shown(registry, grandchild))["permissions"] == []
    assert (await signed_in(registry, child).start("a/app")).status == 403
    assert (await signed_in(registry, grandchild).start("a/app")).status in {403, 404}


async def test_R5_a_robot_ends_with_the_robot_that_made_it(registry: Registry) -> None:
    made = await make(registry.alice, in_project("a", MAKES, PULL, name="maker"))
    child = await make(signed_in(registry, made), in_project("a", PULL, name="child", duration=20))
    assert (await replacing(registry, made, disable=True)).status == 200
    assert (await signed_in(registry, child).get("/v2/")).status == 401
    assert (await registry.alice.delete(f"/api/v2.0/robots/{made['id']}")).status == 200
    assert (await registry.root.get(f"/api/v2.0/robots/{child['id']}")).status == 404


async def test_R5_a_secret_is_refreshed_only_by_somebody_who_has_what_the_robot_has(
    registry: Registry,
) -> None:
    made = await make(registry.alice, in_project("a", PUSH, PULL))
    await registry.change(
        "INSERT INTO roles (id, name, description, permissions, created_at, updated_at)"
        " VALUES (150, 'robot keeper', '', 'project:read,robot:create,robot:read,robot:update,repository:pull', 1, 1)"
    )
    await registry.change(
        "INSERT INTO grants (place, project_id, user_id, role_id, permissions, repositories, created_at)"
        " SELECT 'project', p.id, u.id, 150, '', '', 1 FROM projects p, users u"
        " WHERE p.name = 'a' AND u.username = 'bob'"
    )
    assert (await send(registry.bob, "PATCH", f"/robots/{made['id']}", {})).status == 403
    document = await shown(registry, made)
    assert (await send(registry.bob, "PUT", f"/robots/{made['id']}", document)).status == 403
    assert (await send(registry.bob, "POST", "/robots", in_project("a", PUSH, name="wide"))).status == 403
    await make(registry.bob, in_project("a", PULL, name="narrow"))


async def test_a_robot_goes_on_working_when_the_person_who_made_it_leaves(registry: Registry) -> None:
    robot = signed_in(registry, await make(registry.alice, in_project("a", PUSH)))
    await registry.change("UPDATE users SET disabled = TRUE WHERE username = 'alice'")
    assert (await robot.start("a/app")).status == 202


async def test_R9_a_robot_owns_no_project_that_its_push_makes(registry: Registry) -> None:
    creates = system_block(access("project:create"))
    one = signed_in(registry, await make(registry.root, in_system(creates)))
    assert (await one.start("new/app")).status == 403
    assert await registry.scalar("SELECT count(*) FROM projects WHERE name = 'new'") == 0
    pushes = project_block("*", PUSH)
    two = signed_in(registry, await make(registry.root, in_system(creates, pushes, name="pusher")))
    assert (await two.start("new/app")).status == 202
    held = "SELECT count(*) FROM grants g JOIN users u ON u.id = g.user_id WHERE u.kind = 'robot' AND role_id = 1"
    assert await registry.scalar(held) == 0
    owner = "SELECT u.username FROM projects p JOIN users u ON u.id = p.owner_id WHERE p.name = 'new'"
    assert await registry.scalar(owner) == "root"
    assert (await two.get("/api/v2.0/projects/new/members")).status == 403
    assert (await two.delete("/v2/new/app/manifests/v1")).status == 403
