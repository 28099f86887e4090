"""Projects through the API: making, finding, changing, renaming and deleting them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event
from tests.api.projects import API, add_member, make_project, send
from tests.registry.actors import Actor, Document
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def shown(actor: Actor, reference: str | int) -> Document:
    answer = await actor.get(f"{API}/projects/{reference}")
    assert answer.status == 200, answer
    return dict(answer.json)


async def names(actor: Actor, query: str = "") -> list[str]:
    answer = await actor.get(f"{API}/projects?{query}")
    assert answer.status == 200, answer
    assert answer["x-total-count"] == str(len(answer.json)) or "page" in query
    return [project["name"] for project in answer.json]


# ── making ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_administrator_makes_a_project_and_administers_it(registry: Registry) -> None:
    answer = await send(registry.root, "POST", "/projects", {"project_name": "team", "public": True})
    assert (answer.status, answer.body) == (201, b"")
    assert answer.get("content-type") is None
    found = await registry.root.get(answer["location"])
    assert found.status == 200
    assert found.json["name"] == "team"
    assert found.json["owner_name"] == "root"
    assert (found.json["current_user_role_id"], found.json["current_user_role_ids"]) == (1, [1])
    assert found.json["metadata"]["public"] == "true"
    assert found.json["repo_count"] == 0
    assert "registry_id" not in found.json
    assert found.json["cve_allowlist"]["items"] == []


async def test_the_location_can_hold_the_name(registry: Registry) -> None:
    header = {"X-Resource-Name-In-Location": "true"}
    answer = await send(registry.root, "POST", "/projects", {"project_name": "team"}, header)
    assert answer["location"] == "/api/v2.0/projects/team"


async def test_making_a_project_is_told_and_recorded(registry: Registry) -> None:
    project = await make_project(registry.root, "team")
    event = await registry.sql("SELECT payload FROM events WHERE kind = 'project.created' ORDER BY id DESC")
    assert "team" in str(event[0])
    entry = await registry.sql(
        "SELECT operation, resource_type, resource, username, door FROM audit_log WHERE project_id = :p",
        p=project,
    )
    assert entry == [("create", "project", "team", "root", "api")]
    assert await registry.scalar("SELECT count(*) FROM quotas WHERE project_id = :p", p=project) == 1


async def test_a_project_that_a_push_makes_is_recorded_alike(registry: Registry) -> None:
    await registry.root.push_image("made/app", "1")
    entry = await registry.sql("SELECT operation, username FROM audit_log WHERE resource = 'made'")
    assert entry == [("create", "root")]
    assert await registry.scalar("SELECT count(*) FROM events WHERE kind = 'project.created'") == 1


@pytest.mark.parametrize(
    "name",
    ["", "Team", "team/app", "-team", "team-", "te__am", "te--am", "équipe", "a b", "a\n", "scanner*", "_a"],
)
async def test_R18_an_unfit_name_is_refused(registry: Registry, name: str) -> None:
    answer = await send(registry.root, "POST", "/projects", {"project_name": name})
    assert (answer.status, answer.codes) == (400, ["BAD_REQUEST"])


async def test_a_long_name_is_refused(registry: Registry) -> None:
    assert (await send(registry.root, "POST", "/projects", {"project_name": "a" * 255})).status == 201
    assert (await send(registry.root, "POST", "/projects", {"project_name": "a" * 256})).status == 422


async def test_a_taken_name_is_refused(registry: Registry) -> None:
    answer = await send(registry.root, "POST", "/projects", {"project_name": "a"})
    assert (answer.status, answer.codes) == (409, ["CONFLICT"])


async def test_who_may_make_projects_is_configured(registry: Registry) -> None:
    body = {"project_name": "mine"}
    assert (await send(registry.anon, "POST", "/projects", body)).status == 401
    assert (await send(registry.alice, "POST", "/projects", body)).status == 403
    everyone = {"project_creation_restriction": "everyone"}
    assert (await send(registry.root, "PUT", "/configurations", everyone)).status == 200
    assert (await send(registry.alice, "POST", "/projects", body)).status == 201
    assert (await registry.alice.start("pushed/app")).status == 202
    assert (await send(registry.anon, "POST", "/projects", {"project_name": "no"})).status == 401


async def test_projects_that_are_caches_are_not_built(registry: Registry) -> None:
    answer = await send(registry.root, "POST", "/projects", {"project_name": "cache", "registry_id": 7})
    assert (answer.status, answer.codes) == (501, ["UNSUPPORTED"])
    assert (
        await send(registry.root, "POST", "/projects", {"project_name": "x", "registry_id": 0})
    ).status == 201


async def test_only_administrators_set_a_storage_limit(registry_with: Opener) -> None:
    async with registry_with(registry={"project_creation": "everyone"}) as registry:
        of = "SELECT storage FROM quotas WHERE project_id = :p"
        assert await registry.scalar(of, p=await make_project(registry.root, "x", storage_limit=10)) == 10
        assert await registry.scalar(of, p=await make_project(registry.root, "y", storage_limit=-1)) == -1
        assert await registry.scalar(of, p=await make_project(registry.root, "z", storage_limit=0)) == -2
        assert await registry.scalar(of, p=await make_project(registry.alice, "w", storage_limit=-1)) == -2
        for limit in (-2, 2**50 + 1):
            body = {"project_name": "bad", "storage_limit": limit}
            assert (await send(registry.root, "POST", "/projects", body)).status == 400


@pytest.mark.parametrize(
    "more",
    [
        {"owner_id": 1},
        {"project_id": 77},
        {"id": 77},
        {"creation_time": "1999-01-01T00:00:00Z"},
        {"ownerName": "root"},
        {"repo_count": 5},
        {"current_user_role_id": 1},
        {"metadata": {"public": "false", "owner_id": "1", "network_rules": "{}"}},
    ],
)
async def test_R1_a_body_sets_nothing_that_belongs_to_the_server(
    registry_with: Opener, more: dict[str, object]
) -> None:
    async with registry_with(registry={"project_creation": "everyone"}) as registry:
        before = await registry.scalar("SELECT max(id) FROM projects")
        await make_project(registry.alice, "mine", **more)
        found = await shown(registry.alice, "mine")
        assert found["project_id"] == int(str(before)) + 1
        assert found["owner_name"] == "alice"
        assert (found["repo_count"], found["creation_time"][:2]) == (0, "20")
        assert not {"owner_id", "network_rules"} & set(found["metadata"])


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_holds_what_the_caller_may_see(registry: Registry) -> None:
    assert await names(registry.anon) == ["library", "pub"]
    assert await names(registry.mallory) == ["library", "pub"]
    assert await names(registry.alice) == ["a", "library", "pub"]
    assert await names(registry.root) == ["a", "b", "library", "pub"]


async def test_nobody_sees_anything_where_the_anonymous_may_not_pull(registry_with: Opener) -> None:
    async with registry_with(auth={"anonymous_pull": False}) as registry:
        assert await names(registry.anon) == []
        assert await names(registry.mallory) == ["library", "pub"]


async def test_a_list_is_filtered(registry: Registry) -> None:
    assert await names(registry.root, "name=U") == ["pub"]
    assert await names(registry.root, "public=false") == ["a", "b"]
    assert await names(registry.anon, "public=false") == []
    assert await names(registry.alice, "public=false") == ["a"]
    assert await names(registry.root, "owner=alice") == ["a", "pub"]
    assert await names(registry.root, "q=name=~b&sort=-name") == ["pub", "library", "b"]
    assert await names(registry.root, "name=%25") == []
    await registry.bob.push_image("b/app", "1")
    assert await names(registry.root, "sort=-repo_count&q=repo_count=[1~]") == ["b"]


async def test_a_list_comes_in_pages(registry: Registry) -> None:
    answer = await registry.root.get(f"{API}/projects?page=1&page_size=2&with_detail=false")
    assert [p["name"] for p in answer.json] == ["a", "b"]
    assert answer["x-total-count"] == "4"
    assert 'rel="next"' in answer["link"]
    assert all("metadata" not in p and "owner_name" not in p for p in answer.json)
    assert (await registry.root.get(f"{API}/projects?page=9")).json == []


@pytest.mark.parametrize(
    "key", ["password_hash", "owner__password_hash", "network_rules", "settings", "userId"]
)
async def test_R10_a_list_is_not_filtered_or_sorted_by_what_it_does_not_show(
    registry: Registry, key: str
) -> None:
    for query in (f"q={key}=~a", f"q={key}=[a~b]", f"sort={key}", f"sort=-{key}"):
        assert (await registry.root.get(f"{API}/projects?{query}")).status == 400


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that go through SQLAlchemy meanwhile."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_list_asks_a_constant_number_of_statements(registry: Registry) -> None:
    # Signs in, which later requests remember.
    await names(registry.root)
    with counted() as few:
        assert len(await names(registry.root)) == 4
    for number in range(20):
        await make_project(registry.root, f"p{number}")
    with counted() as many:
        answer = await registry.root.get(f"{API}/projects?page_size=100")
    assert len(answer.json) == 24
    assert {tuple(p["current_user_role_ids"]) for p in answer.json} == {(), (1,)}
    assert 0 < len(few) == len(many) <= 3


async def test_a_project_is_found_by_its_name_and_by_its_number(registry: Registry) -> None:
    found = await shown(registry.alice, "a")
    assert await shown(registry.alice, found["project_id"]) == found


async def test_a_name_of_digits_is_asked_for_as_a_name(registry: Registry) -> None:
    project = await make_project(registry.root, "123")
    assert (await registry.root.get(f"{API}/projects/123")).status == 404
    found = await registry.root.request("GET", f"{API}/projects/123", headers={"X-Is-Resource-Name": "true"})
    assert found.json["project_id"] == project


@pytest.mark.parametrize(
    "reference", ["b", "nothing", "2147483648", "0", "9223372036854775807", "me", "null"]
)
async def test_R16_a_project_that_is_hidden_is_no_project(registry: Registry, reference: str) -> None:
    for path in ("", "/summary", "/_deletable", "/metadatas/", "/members", "/network-rules", "/scanner"):
        answer = await registry.mallory.get(f"{API}/projects/{reference}{path}")
        assert (answer.status, answer.codes) == (404, ["NOT_FOUND"]), path
        missing = await registry.mallory.get(f"{API}/projects/nothing{path}")
        assert answer.body.replace(f" {reference};".encode(), b" nothing;") == missing.body


async def test_a_hidden_project_and_none_are_alike_to_the_anonymous(registry: Registry) -> None:
    hidden, missing = [await registry.anon.get(f"{API}/projects/{name}") for name in ("b", "nothing")]
    assert hidden.status == missing.status == 401
    assert hidden.body == missing.body
    assert (await registry.anon.get(f"{API}/projects/pub")).status == 200


async def test_a_name_can_be_looked_for(registry: Registry) -> None:
    ask = f"{API}/projects?project_name="
    assert [(await registry.alice.head(ask + name)).status for name in ("a", "b", "nothing")] == [
        200,
        404,
        404,
    ]
    assert (await registry.anon.head(ask + "pub")).status == 401
    assert (await registry.root.head(f"{API}/projects")).status == 422


async def test_a_summary_counts(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    answer = await registry.alice.get(f"{API}/projects/a/summary")
    assert answer.status == 200
    assert (answer.json["repo_count"], answer.json["project_admin_count"]) == (1, 1)
    assert "guest_count" not in answer.json
    assert answer.json["quota"]["hard"]["storage"] == -1
    assert answer.json["quota"]["used"]["storage"] > 0
    stranger = await registry.mallory.get(f"{API}/projects/pub/summary")
    assert "project_admin_count" not in stranger.json
    assert "quota" not in stranger.json


async def test_there_is_no_scanner(registry: Registry) -> None:
    assert (await registry.root.get(f"{API}/projects/a/scanner")).status == 404


# ── changing ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_change_sets_what_it_names_and_leaves_the_rest(registry: Registry) -> None:
    first = {
        "metadata": {"auto_scan": "true", "severity": "High"},
        "project_name": "other",
        "storage_limit": 7,
    }
    assert (await send(registry.alice, "PUT", "/projects/a", first)).status == 200
    second = {"metadata": {"public": "true"}, "cve_allowlist": {"items": [{"cve_id": "CVE-1"}]}}
    assert (await send(registry.alice, "PUT", "/projects/a", second)).status == 200
    found = await shown(registry.anon, "a")
    assert found["metadata"] == {
        "public": "true",
        "deletion_protected": "false",
        "auto_scan": "true",
        "severity": "high",
    }
    assert found["cve_allowlist"]["items"] == [{"cve_id": "CVE-1"}]
    assert (
        await registry.scalar(
            "SELECT storage FROM quotas q JOIN projects p ON p.id = q.project_id WHERE p.name = 'a'"
        )
        == -2
    )
    assert (await send(registry.alice, "PUT", "/projects/a", {"cve_allowlist": {}})).status == 200
    assert (await shown(registry.alice, "a"))["cve_allowlist"]["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"public": "perhaps"}},
        {"metadata": {"severity": "extreme"}},
        {"metadata": {"proxy_speed_kb": "0"}},
        {"metadata": {"retention_id": "1"}},
        {"cve_allowlist": {"items": [{"cve_id": ""}]}},
        {"cve_allowlist": {"items": [{"cve_id": "CVE-1"}, {"cve_id": "CVE-1"}]}},
        {"cve_allowlist": {"project_id": 999_999}},
    ],
)
async def test_what_makes_no_sense_is_refused(registry: Registry, body: object) -> None:
    assert (await send(registry.alice, "PUT", "/projects/a", body)).status == 400
    assert (await shown(registry.alice, "a"))["metadata"] == {
        "public": "false",
        "deletion_protected": "false",
    }


async def test_a_project_that_becomes_private_is_closed_with_the_next_request(registry: Registry) -> None:
    await registry.alice.push_image("pub/app", "1")
    assert (await registry.anon.pull("pub/app", "1")).status == 200
    await send(registry.alice, "PUT", "/projects/pub", {"metadata": {"public": "false"}})
    assert (await registry.anon.pull("pub/app", "1")).status == 401


async def test_R3_a_maintainer_changes_no_settings_by_either_way(registry: Registry) -> None:
    await add_member(registry.alice, "a", "bob", 4)
    keys = (
        "public",
        "auto_scan",
        "severity",
        "enable_content_trust",
        "proxy_speed_kb",
        "deletion_protected",
        "nope",
    )
    before = await shown(registry.alice, "a")
    for key in keys:
        value = {key: "true"}
        assert (await send(registry.bob, "PUT", "/projects/a", {"metadata": value})).status == 403
        for path in ("/projects/a/metadatas", "/projects/a/metadatas/"):
            assert (await send(registry.bob, "POST", path, value)).status == 403
        assert (await send(registry.bob, "PUT", f"/projects/a/metadatas/{key}", value)).status == 403
        assert (await send(registry.bob, "DELETE", f"/projects/a/metadatas/{key}")).status == 403
    assert await shown(registry.alice, "a") == before
    assert (await registry.bob.get(f"{API}/projects/a/metadatas")).status == 200


# ── metadata ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/projects/a/metadatas", "/projects/a/metadatas/"])
async def test_metadata_is_set_one_key_at_a_time(registry: Registry, path: str) -> None:
    assert (await send(registry.alice, "POST", path, {"auto_scan": "1"})).status == 200
    assert (await send(registry.alice, "POST", path, {"auto_scan": "false"})).status == 409
    assert (await send(registry.alice, "POST", path, {"auto_scan": "true", "severity": "low"})).status == 400
    assert (await send(registry.alice, "POST", path, {"retention_id": "1"})).status == 400
    listed = await registry.alice.get(f"{API}{path}")
    assert listed.json == {"public": "false", "deletion_protected": "false", "auto_scan": "true"}


async def test_one_key_is_shown_changed_and_unset(registry: Registry) -> None:
    path = "/projects/a/metadatas/severity"
    assert (await registry.alice.get(API + path)).json == {}
    assert (await send(registry.alice, "PUT", path, {"severity": "Negligible"})).status == 200
    assert (await registry.alice.get(API + path)).json == {"severity": "none"}
    assert (await send(registry.alice, "PUT", path, {})).status == 400
    assert (await send(registry.alice, "DELETE", path)).status == 200
    assert (await registry.alice.get(API + path)).json == {}
    assert (await send(registry.alice, "DELETE", path)).status == 200


async def test_a_project_is_made_public_by_its_metadata(registry: Registry) -> None:
    assert (
        await send(registry.alice, "PUT", "/projects/a/metadatas/public", {"public": "true"})
    ).status == 200
    assert "a" in await names(registry.anon)
    assert (await send(registry.alice, "DELETE", "/projects/a/metadatas/public")).status == 200
    assert "a" not in await names(registry.anon)


# ── deleting and renaming ───────────────────────────────────────────────────────────────────────────────


async def test_an_empty_project_is_deleted_with_all_that_belongs_to_it(registry: Registry) -> None:
    assert (await registry.alice.get(f"{API}/projects/a/_deletable")).json == {"deletable": True}
    answer = await registry.alice.delete(f"{API}/projects/a")
    assert (answer.status, answer.body) == (200, b"")
    assert (await registry.alice.get(f"{API}/projects/a")).status == 404
    assert await registry.scalar("SELECT count(*) FROM events WHERE kind = 'project.deleted'") == 1
    assert await registry.scalar("SELECT count(*) FROM audit_log WHERE operation = 'delete'") == 1


async def test_a_project_with_repositories_is_not_deleted(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    answer = await registry.alice.delete(f"{API}/projects/a")
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    reason = (await registry.alice.get(f"{API}/projects/a/_deletable")).json
    assert set(reason) == {"message"}


async def test_a_protected_project_is_not_deleted(registry: Registry) -> None:
    protect = {"metadata": {"deletion_protected": "true"}}
    assert (await send(registry.alice, "PUT", "/projects/a", protect)).status == 200
    for person in (registry.alice, registry.root):
        assert (await person.delete(f"{API}/projects/a")).status == 412
    await send(registry.alice, "DELETE", "/projects/a/metadatas/deletion_protected")
    assert (await registry.alice.delete(f"{API}/projects/a")).status == 200


async def test_only_its_administrators_delete_or_rename_a_project(registry: Registry) -> None:
    await add_member(registry.alice, "a", "bob", 4)
    for person, status in ((registry.bob, 403), (registry.mallory, 404), (registry.anon, 401)):
        assert (await person.delete(f"{API}/projects/a")).status == status
        assert (await send(person, "POST", "/projects/a/rename", {"name": "mine"})).status == status


async def test_a_renamed_project_keeps_what_is_in_it(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    assert (await send(registry.alice, "POST", "/projects/a/rename", {"name": "new"})).status == 200
    assert (await registry.alice.pull("new/app", digest)).status == 200
    assert (await registry.alice.pull("a/app", digest)).status == 404
    assert (await shown(registry.alice, "new"))["repo_count"] == 1
    event = await registry.sql("SELECT payload FROM events WHERE kind = 'project.renamed'")
    assert "'a'" in str(event).replace('"', "'")


async def test_an_old_name_is_free_and_its_tokens_are_good_for_nothing(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    old = await registry.alice.with_token("repository:a/app:pull,push")
    await send(registry.alice, "POST", "/projects/a/rename", {"name": "new"})
    assert (await old.pull("a/app", digest)).status == 404
    assert (await old.pull("new/app", digest)).status == 401
    await make_project(registry.root, "a")
    await registry.root.push_image("a/app", "1")
    assert (await old.pull("a/app", digest)).status == 404


async def test_a_project_does_not_take_a_name_that_is_taken_or_unfit(registry: Registry) -> None:
    assert (await send(registry.alice, "POST", "/projects/a/rename", {"name": "b"})).status == 409
    assert (await send(registry.alice, "POST", "/projects/a/rename", {"name": "No"})).status == 400
    assert (await send(registry.alice, "POST", "/projects/a/rename", {"name": "a"})).status == 200


async def test_the_robots_of_a_project_are_renamed_with_it(registry: Registry) -> None:
    access = [{"resource": "repository", "action": "pull"}]
    robot = {
        "name": "ci",
        "level": "project",
        "duration": -1,
        "permissions": [{"kind": "project", "namespace": "a", "access": access}],
    }
    made = await send(registry.alice, "POST", "/robots", robot)
    assert made.status == 201, made
    await send(registry.alice, "POST", "/projects/a/rename", {"name": "new"})
    assert await registry.sql("SELECT username FROM users WHERE kind = 'robot'") == [("robot$new+ci",)]
    found = await registry.alice.get(f"{API}/robots/{made.json['id']}")
    assert (found.json["name"], found.json["permissions"][0]["namespace"]) == ("robot$new+ci", "new")
    await registry.alice.delete(f"{API}/projects/new")
    assert await registry.sql("SELECT username FROM users WHERE kind = 'robot'") == []


# ── the CVE allow list of the registry ──────────────────────────────────────────────────────────────────


async def test_the_registry_s_allow_list_keeps_its_order(registry: Registry) -> None:
    path = "/system/CVEAllowlist"
    assert (await registry.alice.get(API + path)).json["items"] == []
    items = [{"cve_id": "CVE-2"}, {"cve_id": "CVE-1"}]
    assert (await send(registry.root, "PUT", path, {"items": items, "expires_at": 9})).status == 200
    found = (await registry.alice.get(API + path)).json
    assert (found["items"], found["expires_at"]) == (items, 9)
    assert (await send(registry.root, "PUT", path, {})).status == 200
    assert "expires_at" not in (await registry.alice.get(API + path)).json
    assert (await send(registry.root, "PUT", path, {"items": [items[0], items[0]]})).status == 400


async def test_R13_only_administrators_change_the_registry_s_allow_list(registry: Registry) -> None:
    path = "/system/CVEAllowlist"
    assert (await registry.anon.get(API + path)).status == 401
    assert (await send(registry.anon, "PUT", path, {})).status == 401
    assert (await send(registry.alice, "PUT", path, {})).status == 403
