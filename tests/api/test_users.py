"""Users through the admin API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.people import ANOTHER, FIT, add, as_person, id_of, send
from tests.registry.actors import PASSWORD, Actor
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def change_own(actor: Actor, user_id: int, old: str, new: str) -> int:
    body = {"old_password": old, "new_password": new}
    return (await send(actor, "PUT", f"/users/{user_id}/password", body)).status


# ── making ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_somebody_who_was_added_can_sign_in(registry: Registry) -> None:
    number = await add(registry, "carol", email="carol@example.com", realname="Carol C", comment="hello")
    answer = await as_person(registry, "carol").get("/api/v2.0/users/current")
    assert answer.status == 200
    shown = answer.json
    assert shown.pop("creation_time") == shown.pop("update_time")
    # Written down beside the request, sooner or later.
    shown.pop("last_login_time", None)
    assert shown == {
        "user_id": number,
        "username": "carol",
        "email": "carol@example.com",
        "realname": "Carol C",
        "comment": "hello",
        "sysadmin_flag": False,
        "admin_role_in_auth": False,
    }


async def test_what_is_empty_is_left_out(registry: Registry) -> None:
    await add(registry, "carol")
    shown = (await as_person(registry, "carol").get("/api/v2.0/users/current")).json
    assert not {"email", "realname", "comment"} & set(shown)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"username": "carol"}, 400),
        ({"username": "carol", "password": "alllowercase1"}, 400),
        ({"username": "robot$ci", "password": FIT}, 400),
        ({"username": "carol", "password": FIT, "email": "nowhere"}, 400),
        ({"username": "carol", "password": FIT, "realname": "a\u0000b"}, 422),
        ({"username": "carol", "password": FIT, "realname": "a\nb"}, 400),
        ({"username": ["carol"], "password": FIT}, 422),
        ({"username": "carol", "password": {"$ne": ""}}, 422),
        ({"username": "c" * 256, "password": FIT}, 422),
        ({"username": "ALICE", "password": FIT}, 409),
        ([], 422),
    ],
)
async def test_A16_what_is_no_user_is_refused(registry: Registry, body: object, status: int) -> None:
    answer = await send(registry.root, "POST", "/users", body)
    assert answer.status == status, answer
    assert FIT not in answer.body.decode()


async def test_an_email_address_is_given_once(registry: Registry) -> None:
    await add(registry, "carol", email="carol@example.com")
    number = await add(registry, "dave")
    body: dict[str, object] = {"username": "erin", "password": FIT, "email": "Carol@example.com"}
    assert (await send(registry.root, "POST", "/users", body)).status == 409
    profile = {"email": "carol@example.com", "realname": "Dave"}
    assert (await send(registry.root, "PUT", f"/users/{number}", profile)).status == 409


async def test_only_administrators_add_users(registry: Registry) -> None:
    body = {"username": "carol", "password": FIT}
    assert (await send(registry.alice, "POST", "/users", body)).status == 403
    assert (await send(registry.anon, "POST", "/users", body)).status == 401


async def test_anybody_adds_themself_where_self_registration_is_on(registry: Registry) -> None:
    answer = await send(registry.root, "PUT", "/configurations", {"self_registration": True})
    assert answer.status == 200, answer
    body: dict[str, Any] = {"username": "carol", "password": FIT}
    assert (await send(registry.anon, "POST", "/users", body)).status == 201
    admin = {"username": "dave", "password": FIT, "sysadmin_flag": True}
    assert (await send(registry.anon, "POST", "/users", admin)).status == 401
    assert (await send(registry.alice, "POST", "/users", {**body, "username": "erin"})).status == 403


async def test_an_administrator_makes_another(registry: Registry) -> None:
    number = await add(registry, "carol", sysadmin_flag=True)
    assert (await registry.root.get(f"/api/v2.0/users/{number}")).json["sysadmin_flag"] is True


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_administrators_list_everybody_by_name(registry: Registry) -> None:
    answer = await registry.root.get("/api/v2.0/users?page_size=2")
    assert [user["username"] for user in answer.json] == ["alice", "bob"]
    assert (answer["x-total-count"], 'rel="next"' in answer["link"]) == ("4", True)
    assert (await registry.root.get("/api/v2.0/users?page=9")).json == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=username=~l", ["alice", "mallory"]),
        ("q=username=bob", ["bob"]),
        ("username=LIC", ["alice"]),
        ("q=sysadmin_flag=true", ["root"]),
        ("sort=-username&page_size=1", ["root"]),
        ("q=username=bob,email=x", []),
    ],
)
async def test_a_list_of_users_is_filtered_and_sorted(
    registry: Registry, query: str, names: list[str]
) -> None:
    answer = await registry.root.get(f"/api/v2.0/users?{query}")
    assert [user["username"] for user in answer.json] == names


async def test_a_list_of_users_cannot_be_filtered_by_what_it_does_not_show(registry: Registry) -> None:
    for key in ("password_hash", "credential_epoch"):
        assert (await registry.root.get(f"/api/v2.0/users?q={key}=x")).status == 400
        assert (await registry.root.get(f"/api/v2.0/users?sort={key}")).status == 400


async def test_the_name_itself_is_found_before_what_it_begins(registry: Registry) -> None:
    for name in ("aliceb", "alice-c"):
        await add(registry, name)
    answer = await registry.mallory.get("/api/v2.0/users/search?username=alice")
    assert [found["username"] for found in answer.json] == ["alice", "aliceb", "alice-c"]
    assert set(answer.json[0]) == {"user_id", "username"}


async def test_A14_nobody_searches_without_signing_in(registry: Registry) -> None:
    known = await registry.anon.get("/api/v2.0/users/search?username=alice")
    unknown = await registry.anon.get("/api/v2.0/users/search?username=nobody")
    assert known.status == unknown.status == 401
    assert known.body == unknown.body
    assert (await registry.alice.get("/api/v2.0/users/search?username=")).json == []
    assert (await registry.alice.get("/api/v2.0/users/search")).status == 422


async def test_everybody_sees_themself(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    assert (await registry.alice.get(f"/api/v2.0/users/{number}")).json["username"] == "alice"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"email": "", "realname": ""}),
        ("DELETE", "", None),
        ("PUT", "/sysadmin", {"sysadmin_flag": True}),
        ("PUT", "/password", {"new_password": FIT}),
        ("PUT", "/disabled", {"disabled": True}),
        ("PUT", "/cli_secret", {"secret": ""}),
    ],
)
async def test_A14_others_are_hidden_whether_they_exist_or_not(
    registry: Registry, method: str, path: str, body: object
) -> None:
    number = await id_of(registry, "bob")
    for actor, status in ((registry.alice, 403), (registry.anon, 401)):
        there = await send(actor, method, f"/users/{number}{path}", body)
        not_there = await send(actor, method, f"/users/{number + 1000}{path}", body)
        assert there.status == not_there.status == status
        assert there.body == not_there.body
    assert (await send(registry.root, method, f"/users/{number + 1000}{path}", body)).status == 404


async def test_nobody_is_nobody(registry: Registry) -> None:
    assert (await registry.anon.get("/api/v2.0/users/current")).status == 401
    assert (await registry.anon.get("/api/v2.0/users")).status == 401
    assert (await registry.alice.get("/api/v2.0/users")).status == 403


# ── changing ────────────────────────────────────────────────────────────────────────────────────────────


async def test_everybody_changes_their_own_profile_and_nothing_else_by_it(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    body = {"email": "a@example.com", "realname": "Alice", "sysadmin_flag": True, "username": "root2"}
    answer = await send(registry.alice, "PUT", f"/users/{number}", body)
    assert (answer.status, answer.body, answer.get("content-type")) == (200, b"", None)
    shown = (await registry.alice.get("/api/v2.0/users/current")).json
    assert (shown["email"], shown["username"], shown["sysadmin_flag"]) == ("a@example.com", "alice", False)


async def test_demotion_takes_effect_with_the_next_request(registry: Registry) -> None:
    number = await add(registry, "carol", sysadmin_flag=True)
    carol = as_person(registry, "carol")
    assert (await carol.get("/api/v2.0/users")).status == 200
    answer = await send(registry.root, "PUT", f"/users/{number}/sysadmin", {"sysadmin_flag": False})
    assert answer.status == 200
    assert (await carol.get("/api/v2.0/users")).status == 403


async def test_the_last_administrator_stays(registry: Registry) -> None:
    number = await id_of(registry, "root")
    for method, path, body in (
        ("PUT", "/sysadmin", {"sysadmin_flag": False}),
        ("PUT", "/disabled", {"disabled": True}),
    ):
        assert (await send(registry.root, method, f"/users/{number}{path}", body)).status == 409
    assert (await registry.root.delete(f"/api/v2.0/users/{number}")).status == 403


async def test_a_deleted_user_is_gone_with_their_next_request(registry: Registry) -> None:
    number = await id_of(registry, "bob")
    assert (await registry.bob.get("/api/v2.0/users/current")).status == 200
    assert (await registry.root.delete(f"/api/v2.0/users/{number}")).status == 200
    assert (await registry.bob.get("/api/v2.0/users/current")).status == 401
    assert (await registry.root.delete(f"/api/v2.0/users/{number}")).status == 404


async def test_a_disabled_user_is_out_with_their_next_request(registry: Registry) -> None:
    number = await id_of(registry, "bob")
    assert (await registry.bob.get("/api/v2.0/users/current")).status == 200
    path = f"/users/{number}/disabled"
    assert (await send(registry.root, "PUT", path, {"disabled": True})).status == 200
    assert (await registry.bob.get("/api/v2.0/users/current")).status == 401
    assert (await send(registry.root, "PUT", path, {"disabled": False})).status == 200
    assert (await registry.bob.get("/api/v2.0/users/current")).status == 200


# ── passwords ───────────────────────────────────────────────────────────────────────────────────────────


async def test_A23_a_new_password_ends_the_old_one(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    token = await registry.alice.with_token("repository:a/app:pull,push")
    assert await change_own(registry.alice, number, PASSWORD, FIT) == 200
    assert (await registry.alice.get("/api/v2.0/users/current")).status == 401
    assert (await token.start("a/app")).status == 401
    assert (await as_person(registry, "alice").get("/api/v2.0/users/current")).status == 200


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("wrong", FIT, 403),
        ("", FIT, 403),
        (PASSWORD, "weak", 400),
        (PASSWORD, "", 400),
        (PASSWORD, PASSWORD, 400),
    ],
)
async def test_ones_own_password_is_changed_with_the_old_one_to_a_fit_one(
    registry: Registry, old: str, new: str, status: int
) -> None:
    assert await change_own(registry.alice, await id_of(registry, "alice"), old, new) == status
    assert (await registry.alice.get("/api/v2.0/users/current")).status == 200


async def test_a_password_is_not_the_one_before(registry: Registry) -> None:
    number = await add(registry, "carol")
    assert await change_own(as_person(registry, "carol"), number, FIT, FIT) == 400
    assert (
        await send(registry.root, "PUT", f"/users/{number}/password", {"new_password": FIT})
    ).status == 400


async def test_A20_the_old_password_is_guessed_at_only_so_often(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    codes = [await change_own(registry.alice, number, f"guess {guess}", FIT) for guess in range(11)]
    assert codes[:10] == [403] * 10
    assert codes[10] == 429


async def test_an_administrator_gives_somebody_a_new_password(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    body = {"new_password": ANOTHER}
    assert (await send(registry.root, "PUT", f"/users/{number}/password", body)).status == 200
    assert (await registry.alice.get("/api/v2.0/users/current")).status == 401
    alice = as_person(registry, "alice", ANOTHER)
    assert (await alice.get("/api/v2.0/users/current")).status == 200
    assert (await alice.get("/v2/")).status == 200


async def test_a_password_that_was_handed_over_is_good_for_choosing_another_only(registry: Registry) -> None:
    number = await add(registry, "carol", must_change_password=True)
    carol = as_person(registry, "carol")
    for path in ("/api/v2.0/projects", "/api/v2.0/users/search?username=a", "/v2/", "/service/token"):
        answer = await carol.get(path)
        assert answer.status == 403, path
        assert f"PUT /api/v2.0/users/{number}/password" in answer.body.decode()
    assert (await carol.get("/api/v2.0/users/current")).json["must_change_password"] is True
    assert await change_own(carol, await id_of(registry, "bob"), FIT, ANOTHER) == 403
    assert await change_own(carol, number, FIT, ANOTHER) == 200
    carol = as_person(registry, "carol", ANOTHER)
    assert (await carol.get("/api/v2.0/users/search?username=a")).status == 200
    assert (await carol.get("/v2/")).status == 200


async def test_the_first_password_pulls_and_pushes_and_administers_nothing(registry: Registry) -> None:
    await registry.change("UPDATE users SET password_state = 1 WHERE username = 'root'")
    number = await id_of(registry, "root")
    assert (await registry.root.get("/v2/")).status == 200
    assert (await registry.root.ask_for_token("repository:library/app:push")).status == 200
    assert (await registry.root.get("/api/v2.0/users")).status == 403
    assert await change_own(registry.root, number, PASSWORD, FIT) == 200
    assert (await as_person(registry, "root").get("/api/v2.0/users")).status == 200


async def test_there_are_no_command_line_secrets(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    answer = await send(registry.alice, "PUT", f"/users/{number}/cli_secret", {"secret": "x"})
    assert answer.status == 412
    assert "/users/current/tokens" in answer.body.decode()


# ── what is told of it ──────────────────────────────────────────────────────────────────────────────────


async def test_every_change_is_told_and_recorded_without_a_secret(registry: Registry) -> None:
    number = await add(registry, "carol", email="carol@example.com")
    path = f"/users/{number}"
    await send(registry.root, "PUT", path, {"realname": "Carol"})
    await send(registry.root, "PUT", f"{path}/password", {"new_password": ANOTHER})
    await send(registry.root, "PUT", f"{path}/sysadmin", {"sysadmin_flag": True})
    await send(registry.root, "PUT", f"{path}/disabled", {"disabled": True})
    await send(registry.root, "PUT", f"{path}/disabled", {"disabled": False})
    await registry.root.delete(f"/api/v2.0{path}")
    events = await registry.sql("SELECT kind, payload FROM events WHERE kind LIKE 'user.%' ORDER BY id")
    told = [(kind, payload) for kind, payload in events if "carol" in json.dumps(payload)]
    assert [kind for kind, _ in told] == [
        "user.created",
        "user.updated",
        "user.password_changed",
        "user.admin_changed",
        "user.disabled",
        "user.enabled",
        "user.deleted",
    ]
    entries = await registry.sql(
        "SELECT operation, username, door, address, payload FROM audit_log"
        " WHERE resource_type = 'user' AND resource = 'carol' ORDER BY id"
    )
    assert [operation for operation, *_ in entries] == ["create", *["update"] * 5, "delete"]
    assert {tuple(row[1:4]) for row in entries} == {("root", "api", "192.0.2.7")}
    everything = str(events) + str(entries)
    assert not [secret for secret in (FIT, ANOTHER, "argon2") if secret in everything]


# ── permissions ─────────────────────────────────────────────────────────────────────────────────────────


async def permissions(actor: Actor, scope: str, relative: str = "true") -> set[tuple[str, str]]:
    answer = await actor.get(f"/api/v2.0/users/current/permissions?scope={scope}&relative={relative}")
    assert answer.status == 200, answer
    return {(found["resource"], found["action"]) for found in answer.json}


async def test_everybody_sees_what_they_may(registry: Registry) -> None:
    number = await registry.scalar("SELECT id FROM projects WHERE name = 'a'")
    assert ("repository", "push") in await permissions(registry.alice, f"/project/{number}")
    assert (f"/project/{number}/repository", "push") in await permissions(
        registry.alice, f"/project/{number}", "false"
    )
    assert ("user", "create") in await permissions(registry.root, "/system")
    assert not await permissions(registry.alice, "/system")


async def test_nothing_tells_a_hidden_project_from_none(registry: Registry) -> None:
    number = await registry.scalar("SELECT id FROM projects WHERE name = 'b'")
    for scope in (
        f"/project/{number}",
        "/project/99999",
        "/project/x",
        "/nothing",
        "/project/" + "9" * 40,
        "",
    ):
        assert await permissions(registry.alice, scope) == set()
    assert (await registry.anon.get("/api/v2.0/users/current/permissions?scope=/system")).status == 401
