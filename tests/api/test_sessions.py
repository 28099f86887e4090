"""Signing in with a browser, sessions, and what other sites' pages cannot do with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.api.people import ANOTHER, FIT, add, as_person, id_of, send
from tests.registry.actors import PASSWORD, Actor
from tests.registry.asgi import HOST, Answer, request
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
OWN = f"http://{HOST.decode()}"


@dataclass
class Browser:
    """Somebody with a cookie."""

    registry: Registry
    sid: str = ""

    async def login(self, name: str = "alice", password: str = PASSWORD, **headers: str) -> Answer:
        form = urlencode({"principal": name, "password": password}).encode()
        answer = await self.send("POST", "/c/login", form, {**FORM, **_dashed(headers)})
        if answer.status == 200:
            self.sid = answer["set-cookie"].partition(";")[0].removeprefix("sid=")
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.send("GET", path, b"", _dashed(headers))

    async def token(self) -> str:
        return (await self.get("/api/v2.0/users/current"))["x-harbor-csrf-token"]

    async def change(self, path: str, body: object, method: str = "PUT", **headers: str) -> Answer:
        """With the token, as our own pages do."""
        lines = {"X-Harbor-CSRF-Token": await self.token(), **JSON, **_dashed(headers)}
        return await self.send(method, f"/api/v2.0{path}", json.dumps(body).encode(), lines)

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        cookie = [("Cookie", f"theme=dark; sid={self.sid}")] if self.sid else []
        return await request(self.registry.app, method, path, body, [*cookie, *headers.items()])


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
async def browser(registry: Registry) -> Browser:
    found = Browser(registry)
    assert (await found.login()).status == 200
    return found


async def sessions(actor: Actor | Browser, whose: str = "current") -> list[dict[str, Any]]:
    answer = await actor.get(f"/api/v2.0/users/{whose}/sessions")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json
    return found


async def is_signed_in(browser: Browser) -> bool:
    return (await browser.get("/api/v2.0/users/current")).status == 200


# ── signing in and out ──────────────────────────────────────────────────────────────────────────────────


async def test_a_browser_signs_in_and_out(registry: Registry, browser: Browser) -> None:
    answer = await browser.get("/api/v2.0/users/current")
    assert (answer.status, answer.json["username"]) == (200, "alice")
    gone = await browser.get("/c/log_out")
    assert gone.status == 200
    assert "sid=; Path=/; Max-Age=0" in gone["set-cookie"]
    assert not await is_signed_in(browser)


async def test_a_wrong_password_signs_nobody_in(registry: Registry) -> None:
    answers = [
        await Browser(registry).login("alice", "wrong"),
        await Browser(registry).login("nobody", "wrong"),
        await Browser(registry).login("alice", ""),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert not any(answer.get("set-cookie") for answer in answers)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data", ""])
async def test_W1_a_sign_in_is_a_form(registry: Registry, content_type: str) -> None:
    form = urlencode({"principal": "alice", "password": PASSWORD}).encode()
    answer = await Browser(registry).send("POST", "/c/login", form, {"Content-Type": content_type})
    assert answer.status == 400


async def test_W7_the_cookie_is_kept_from_scripts_and_other_sites(registry: Registry) -> None:
    answer = await Browser(registry).login()
    cookie = answer["set-cookie"]
    assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax")
    assert answer["cache-control"] == "no-store"


async def test_W7_the_cookie_is_for_tls_only_where_there_is_tls(registry_with: Any) -> None:
    urls = ("https://registry.example",)
    async with registry_with(external_urls=urls) as registry:
        answer = await Browser(registry).login()
        assert answer["set-cookie"].endswith("; SameSite=Lax; Secure")


async def test_W7_every_sign_in_has_a_session_of_its_own(registry: Registry, browser: Browser) -> None:
    before = browser.sid
    assert (await browser.login()).status == 200
    assert browser.sid != before
    assert not await is_signed_in(Browser(registry, before))
    made_up = Browser(registry, "rss_" + "a" * 43)
    await made_up.login()
    assert made_up.sid != "rss_" + "a" * 43


async def test_W7_two_different_sessions_in_one_request_are_none(
    registry: Registry, browser: Browser
) -> None:
    other = Browser(registry)
    await other.login("bob")
    answer = await request(
        registry.app,
        "GET",
        "/api/v2.0/users/current",
        headers=[("Cookie", f"sid={browser.sid}"), ("Cookie", f"sid={other.sid}")],
    )
    assert answer.status == 401


async def test_a_cookie_counts_for_nothing_beside_a_header(registry: Registry, browser: Browser) -> None:
    bob = await registry.bob.request(
        "GET", "/api/v2.0/users/current", headers={"Cookie": f"sid={browser.sid}"}
    )
    assert bob.json["username"] == "bob"
    wrong = await browser.get("/api/v2.0/users/current", Authorization="Basic YWxpY2U6d3Jvbmc=")
    assert wrong.status == 401


@pytest.mark.parametrize("sid", ["", "x", "rss_", "a" * 5000, "\xe4", '"', "rss_;sid=x"])
async def test_what_is_no_session_is_nobody(registry: Registry, sid: str) -> None:
    answer = await request(registry.app, "GET", "/api/v2.0/users/current", headers=[("Cookie", f"sid={sid}")])
    assert answer.status == 401
    assert answer.get("x-harbor-csrf-token") is None


async def test_a_session_is_no_key_to_the_registry(registry: Registry, browser: Browser) -> None:
    assert (await browser.get("/v2/")).status == 401
    assert (
        "token" not in (await browser.get("/service/token?scope=repository:a/app:pull")).json
        or (await browser.get("/v2/a/app/tags/list")).status == 401
    )


# ── the end of a session ────────────────────────────────────────────────────────────────────────────────


async def test_A23_a_session_ends_with_the_password(registry: Registry, browser: Browser) -> None:
    number = await id_of(registry, "alice")
    body = {"old_password": PASSWORD, "new_password": FIT}
    assert (await browser.change(f"/users/{number}/password", body)).status == 200
    assert not await is_signed_in(browser)


async def test_A23_a_session_ends_when_the_account_is_disabled_or_gone(
    registry: Registry, browser: Browser
) -> None:
    number = await id_of(registry, "alice")
    path = f"/users/{number}/disabled"
    await send(registry.root, "PUT", path, {"disabled": True})
    assert not await is_signed_in(browser)
    await send(registry.root, "PUT", path, {"disabled": False})
    assert not await is_signed_in(browser)
    await browser.login()
    await registry.root.delete(f"/api/v2.0/users/{number}")
    assert not await is_signed_in(browser)


async def test_A11_a_demotion_is_felt_in_the_same_session(registry: Registry) -> None:
    number = await add(registry, "carol", sysadmin_flag=True)
    carol = Browser(registry)
    await carol.login("carol", FIT)
    assert (await carol.get("/api/v2.0/users")).status == 200
    await send(registry.root, "PUT", f"/users/{number}/sysadmin", {"sysadmin_flag": False})
    assert (await carol.get("/api/v2.0/users")).status == 403


async def test_a_session_ends_when_it_is_not_used(registry: Registry, browser: Browser) -> None:
    await registry.change("UPDATE sessions SET last_seen_at = last_seen_at - 3300000")
    assert await is_signed_in(browser)
    # It was used just now.
    await registry.change("UPDATE sessions SET last_seen_at = last_seen_at - 3300000")
    assert await is_signed_in(browser)
    await registry.change("UPDATE sessions SET last_seen_at = last_seen_at - 3601000")
    assert not await is_signed_in(browser)


async def test_how_long_a_session_may_be_idle_is_configured(registry: Registry, browser: Browser) -> None:
    await send(registry.root, "PUT", "/configurations", {"session_timeout": 5})
    await registry.change("UPDATE sessions SET last_seen_at = last_seen_at - 301000")
    assert not await is_signed_in(browser)


async def test_a_session_ends_in_any_case(registry: Registry, browser: Browser) -> None:
    await registry.change("UPDATE sessions SET expires_at = 1")
    assert not await is_signed_in(browser)


async def test_use_is_written_down_once_a_minute(registry: Registry, browser: Browser) -> None:
    began = await registry.scalar("SELECT last_seen_at FROM sessions")
    for _ in range(3):
        await browser.get("/api/v2.0/users/current")
    assert await registry.scalar("SELECT last_seen_at FROM sessions") == began


async def test_what_has_ended_is_swept(registry: Registry, browser: Browser) -> None:
    await Browser(registry).login("bob")
    await registry.change(
        "UPDATE sessions SET expires_at = 1 WHERE user_id = (SELECT id FROM users WHERE username = 'bob')"
    )
    assert await registry.parts.services.sessions.forget_ended() == 1
    assert await is_signed_in(browser)


# ── other sites' pages ──────────────────────────────────────────────────────────────────────────────────

PROFILE = json.dumps({"email": "", "realname": "Eve"}).encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Harbor-CSRF-Token": ""}, 403),
        ({"X-Harbor-CSRF-Token": "0" * 64}, 403),
        ({"X-Harbor-CSRF-Token": "OTHER"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN"}, 200),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": OWN.upper().replace("HTTP", "http")}, 200),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "null"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": ""}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "https://portal.example.evil"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "http://evil.registry.example"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "http://registry.example.evil"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "http://registry.example@evil"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "http://[registry.example"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Origin": "file://registry.example"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "same-site"}, 403),
        ({"X-Harbor-CSRF-Token": "TOKEN", "Sec-Fetch-Site": "none"}, 200),
    ],
)
async def test_W2_only_our_own_pages_change_anything_with_a_cookie(
    registry: Registry, browser: Browser, headers: dict[str, str], status: int
) -> None:
    other = Browser(registry)
    await other.login("mallory")
    tokens = {"TOKEN": await browser.token(), "OTHER": await other.token()}
    lines = {name: tokens.get(value, value) for name, value in headers.items()}
    number = await id_of(registry, "alice")
    answer = await browser.send("PUT", f"/api/v2.0/users/{number}", PROFILE, {**JSON, **lines})
    assert answer.status == status, answer
    changed = (await browser.get("/api/v2.0/users/current")).json.get("realname") == "Eve"
    assert changed is (status == 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "", "application/json;x"],
)
async def test_W1_no_simple_request_changes_anything(
    registry: Registry, browser: Browser, method: str, content_type: str
) -> None:
    number = await id_of(registry, "alice")
    answer = await browser.send(
        method, f"/api/v2.0/users/{number}?_method=PUT", PROFILE, {"Content-Type": content_type}
    )
    assert answer.status in {403, 405}
    assert "realname" not in (await browser.get("/api/v2.0/users/current")).json


async def test_W2_every_operation_that_changes_something_asks_for_the_token(
    registry: Registry, browser: Browser
) -> None:
    assert registry.app.api is not None
    paths = registry.app.api.web.openapi()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method in {"post", "put", "patch", "delete"} & set(operations):
            target = path.format_map(_Ones())
            answer = await browser.send(method.upper(), target, b"{}", JSON)
            assert answer.status in {403, 422, 501}, (method, path, answer)
            asked += answer.status == 403
    assert asked > 10


class _Ones(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "0" * 64 if key == "session_id" else "1"


async def test_W2_a_page_of_another_site_signs_nobody_in_or_out(registry: Registry, browser: Browser) -> None:
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        stranger = Browser(registry)
        assert (await stranger.login("mallory", **headers)).status == 403
        assert (await browser.get("/c/log_out", **headers)).status == 403
    assert await is_signed_in(browser)


async def test_W7_no_other_origin_is_let_read(registry: Registry, browser: Browser) -> None:
    for origin in ("https://portal.example.evil", "null", "https://evilportal.example"):
        answer = await browser.get("/api/v2.0/users/current", Origin=origin)
        assert not [name for name, _ in answer.headers if name.startswith("access-control")]


async def test_harbors_tools_find_the_token_in_the_refusal(registry: Registry, browser: Browser) -> None:
    number = await id_of(registry, "alice")
    path = f"/api/v2.0/users/{number}"
    refused = await browser.send("PUT", path, PROFILE, JSON)
    assert refused.status == 403
    beside = refused["set-cookie"].partition(";")[0]
    assert beside.startswith("_gorilla_csrf=")
    again = {"X-Harbor-Csrf-Token": refused["x-harbor-csrf-token"], "Cookie": beside, **JSON}
    assert (await browser.send("PUT", path, PROFILE, again)).status == 200


async def test_a_request_with_a_password_needs_no_token(registry: Registry) -> None:
    number = await id_of(registry, "alice")
    answer = await registry.alice.request("PUT", f"/api/v2.0/users/{number}", PROFILE, JSON)
    assert answer.status == 200
    assert answer.get("x-harbor-csrf-token") is None


# ── lists of sessions ───────────────────────────────────────────────────────────────────────────────────


async def test_people_see_their_own_sessions(registry: Registry, browser: Browser) -> None:
    await Browser(registry).login(User_Agent="Netscape")
    await Browser(registry).login("bob")
    found = await sessions(browser)
    assert [(one["kind"], one["current"], one["address"]) for one in found] == [
        ("browser", one["current"], "192.0.2.7") for one in found
    ]
    assert sorted(one["current"] for one in found) == [False, True]
    assert {one["user_agent"] for one in found} == {"", "Netscape"}
    assert browser.sid not in json.dumps(found)


async def test_people_end_their_own_sessions_and_nobody_elses(registry: Registry, browser: Browser) -> None:
    bob = Browser(registry)
    await bob.login("bob")
    of_bob = (await sessions(bob))[0]["id"]
    theirs = await browser.change(f"/users/current/sessions/{of_bob}", None, "DELETE")
    nobodys = await browser.change(f"/users/current/sessions/{'0' * 64}", None, "DELETE")
    assert theirs.status == nobodys.status == 404
    assert theirs.body == nobodys.body
    assert await is_signed_in(bob)
    other = Browser(registry)
    await other.login()
    own = next(one["id"] for one in await sessions(other) if one["current"])
    assert (await browser.change(f"/users/current/sessions/{own}", None, "DELETE")).status == 200
    assert not await is_signed_in(other)
    assert await is_signed_in(browser)


async def test_administrators_see_and_end_everybodys(registry: Registry, browser: Browser) -> None:
    number = await id_of(registry, "alice")
    assert len(await sessions(registry.root, str(number))) == 1
    for actor in (registry.bob, registry.anon):
        there = await actor.get(f"/api/v2.0/users/{number}/sessions")
        not_there = await actor.get("/api/v2.0/users/99999/sessions")
        assert there.status == not_there.status == (401 if actor.authorization is None else 403)
        assert there.body == not_there.body
        assert (await actor.delete(f"/api/v2.0/users/{number}/sessions")).status in {401, 403}
    assert (await registry.root.get("/api/v2.0/users/99999/sessions")).status == 404
    assert (await registry.root.delete(f"/api/v2.0/users/{number}/sessions")).status == 200
    assert not await is_signed_in(browser)
    entries = await registry.sql("SELECT operation, username FROM audit_log WHERE resource_type = 'session'")
    assert entries == [("delete", "root")]


async def test_an_account_has_so_many_sessions_at_most(registry: Registry, browser: Browser) -> None:
    await registry.change(
        "INSERT INTO sessions SELECT 's' || u.id || '-' || p.id || '-' || q.id, a.id, 'browser', '', 1, '', '',"
        " s.created_at, s.last_seen_at - 1000, s.expires_at FROM sessions s, users a, users u, users p, users q,"
        " users r, users t WHERE a.username = 'alice' ON CONFLICT DO NOTHING"
    )
    assert len(await sessions(browser)) == 65
    await registry.change(
        "INSERT INTO sessions SELECT 't' || u.id || '-' || p.id || '-' || q.id, a.id, 'browser', '', 1, '', '',"
        " s.created_at, s.last_seen_at - 1000, s.expires_at FROM sessions s, users a, users u, users p, users q"
        " WHERE a.username = 'alice' AND s.id NOT LIKE 's%' AND s.id NOT LIKE 't%' ON CONFLICT DO NOTHING"
    )
    await Browser(registry).login()
    assert len(await sessions(browser)) == 100


# ── login tokens ────────────────────────────────────────────────────────────────────────────────────────


async def make_token(actor: Actor, **body: object) -> dict[str, Any]:
    answer = await send(actor, "POST", "/users/current/tokens", body)
    assert answer.status == 201, answer
    assert answer["cache-control"] == "no-store"
    assert answer["location"] == f"/api/v2.0/users/current/sessions/{answer.json['id']}"
    found: dict[str, Any] = answer.json
    return found


async def test_a_login_token_opens_every_door(registry: Registry) -> None:
    made = await make_token(registry.alice, name="laptop", lifetime_seconds=60)
    assert made["token"].startswith("rst_")
    alice = as_person(registry, "alice", made["token"])
    assert (await alice.get("/v2/")).status == 200
    assert (await alice.get("/api/v2.0/users/current")).json["username"] == "alice"
    answer = await alice.ask_for_token("repository:a/app:pull")
    assert answer.status == 200
    assert answer.json["expires_in"] <= 60


async def test_a_login_token_makes_nothing_that_outlives_it(registry: Registry) -> None:
    made = await make_token(registry.alice)
    alice = as_person(registry, "alice", made["token"])
    assert (await send(alice, "POST", "/users/current/tokens", {})).status == 403
    assert (await Browser(registry).login("alice", made["token"])).status == 403
    answer = await alice.get("/service/token?offline_token=true&scope=repository:a/app:pull")
    assert "refresh_token" not in answer.json
    number = await id_of(registry, "alice")
    body = {"old_password": made["token"], "new_password": ANOTHER}
    assert (await send(alice, "PUT", f"/users/{number}/password", body)).status == 403


async def test_A23_a_login_token_of_an_administrator_opens_no_other_way_in(registry: Registry) -> None:
    made = await make_token(registry.root)
    root = as_person(registry, registry.root.name, made["token"])
    bob, mallory = await id_of(registry, "bob"), await id_of(registry, "mallory")
    for method, path, body in (
        ("POST", "/users", {"username": "backdoor", "password": FIT, "sysadmin_flag": True}),
        ("POST", "/users", {"username": "backdoor", "password": FIT}),
        ("PUT", f"/users/{bob}/password", {"new_password": ANOTHER}),
        ("PUT", f"/users/{mallory}/sysadmin", {"sysadmin_flag": True}),
    ):
        assert (await send(root, method, path, body)).status == 403, (method, path)
    # What takes power away does no harm when the token has ended.
    assert (await send(root, "PUT", f"/users/{mallory}/sysadmin", {"sysadmin_flag": False})).status == 200


@pytest.mark.parametrize("lifetime", [0, -1, 43_201, "3600s", 1.5, None])
async def test_a_login_token_is_good_for_half_a_day_at_most(registry: Registry, lifetime: object) -> None:
    answer = await send(registry.alice, "POST", "/users/current/tokens", {"lifetime_seconds": lifetime})
    assert answer.status == 422


async def test_a_login_token_that_is_revoked_opens_nothing_from_then_on(registry: Registry) -> None:
    made = await make_token(registry.alice, name="laptop")
    alice = as_person(registry, "alice", made["token"])
    assert (await alice.get("/v2/")).status == 200
    assert [one["name"] for one in await sessions(registry.alice)] == ["laptop"]
    answer = await registry.alice.delete(f"/api/v2.0/users/current/sessions/{made['id']}")
    assert answer.status == 200
    assert (await alice.get("/v2/")).status == 401
    assert (await alice.get("/api/v2.0/users/current")).status == 401


async def test_a_login_token_is_nowhere_but_in_the_answer(registry: Registry) -> None:
    made = await make_token(registry.alice, name="laptop")
    for table in ("sessions", "events", "audit_log"):
        rows = str(await registry.sql(f"SELECT * FROM {table}"))
        assert "laptop" in rows
        assert made["token"] not in rows
        assert made["token"].removeprefix("rst_") not in rows


async def test_nobody_makes_a_token_for_nobody(registry: Registry) -> None:
    assert (await send(registry.anon, "POST", "/users/current/tokens", {})).status == 401
    assert (await registry.anon.get("/api/v2.0/users/current/sessions")).status == 401
