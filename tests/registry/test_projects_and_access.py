"""Where a push lands, what it may create, and who is told to sign in for what."""

from __future__ import annotations

import pytest
from tests.registry.actors import Actor, digest_of, index_of, then_vanish
from tests.registry.asgi import Answer
from tests.registry.conftest import Opener
from tests.registry.registries import Registry, settings_of

from roadstead.app import create_app
from roadstead.telemetry.clock import now_ms

pytestmark = pytest.mark.anyio


async def projects(registry: Registry) -> set[object]:
    return {name for (name,) in await registry.sql("SELECT name FROM projects")}


async def test_a_name_of_one_component_is_in_the_default_project(registry: Registry) -> None:
    digest = await registry.root.push_image("app", "1")
    for name in ("app", "library/app"):
        assert (await registry.anon.pull(name, "1"))["docker-content-digest"] == digest
    start = await registry.root.start("app")
    assert start["location"].startswith("/v2/app/blobs/uploads/")
    assert (await registry.alice.start("app")).status == 403


async def test_an_administrators_first_push_makes_a_private_project_of_theirs(registry: Registry) -> None:
    await registry.root.push_image("new/app", "1")
    assert "new" in await projects(registry)
    assert (await registry.anon.pull("new/app", "1")).status == 401
    assert (await registry.alice.pull("new/app", "1")).status == 404


async def test_others_make_no_project_by_pushing(registry: Registry) -> None:
    before = await projects(registry)
    for actor, status in ((registry.alice, 403), (registry.anon, 401)):
        assert (await actor.start("new/app")).status == status
        assert (await actor.mount("new/app", digest_of(b"x"))).status == status
        assert (await actor.put_manifest("new/app", "1", index_of())).status == status
    assert await projects(registry) == before


async def test_everyone_may_make_projects_where_that_is_the_setting(registry_with: Opener) -> None:
    async with registry_with(registry={"project_creation": "everyone"}) as registry:
        await registry.mallory.push_image("new/app", "1")
        assert (await registry.mallory.pull("new/app", "1")).status == 200
        assert (await registry.alice.start("new/app")).status == 403
        assert (await registry.anon.start("other/app")).status == 401
        narrow = await registry.alice.with_token("repository:elsewhere/app:pull")
        assert (await narrow.start("elsewhere/app")).status == 401
        assert "elsewhere" not in await projects(registry)


async def test_nobody_makes_projects_by_pushing_where_that_is_off(registry_with: Opener) -> None:
    async with registry_with(registry={"create_projects_on_push": False}) as registry:
        refused = await registry.root.start("new/app")
        assert (refused.status, refused.codes) == (403, ["DENIED"])
        assert "create_projects_on_push" in refused.body.decode()
        assert "new" not in await projects(registry)


async def test_only_a_push_makes_a_project(registry: Registry) -> None:
    before = await projects(registry)
    upload = "0" * 32
    for method, path in (
        ("GET", "manifests/1"),
        ("DELETE", "manifests/1"),
        ("GET", "tags/list"),
        ("GET", f"blobs/{digest_of(b'x')}"),
        ("DELETE", f"blobs/{digest_of(b'x')}"),
        ("GET", f"blobs/uploads/{upload}"),
        ("PATCH", f"blobs/uploads/{upload}"),
        ("PUT", f"blobs/uploads/{upload}?digest={digest_of(b'x')}"),
        ("DELETE", f"blobs/uploads/{upload}"),
    ):
        assert (await registry.root.request(method, f"/v2/new/app/{path}")).status == 404
    assert await projects(registry) == before


async def test_a_challenge_names_the_scope_that_is_needed(registry: Registry) -> None:
    cases = [
        ("GET", "/v2/a/app/manifests/1", "repository:a/app:pull"),
        ("POST", "/v2/a/app/blobs/uploads/", "repository:a/app:pull,push"),
        ("DELETE", "/v2/a/app/manifests/1", "repository:a/app:pull,delete"),
        ("POST", "/v2/app/blobs/uploads/", "repository:app:pull,push"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
    ]
    for method, target, scope in cases:
        challenge = (await registry.anon.request(method, target))["www-authenticate"]
        assert challenge.startswith(
            'Bearer realm="http://registry.example/service/token",service="roadstead"'
        )
        assert f'scope="{scope}"' in challenge
        # Who does what the challenge says gets in.
        owner = await registry.root.with_token(scope)
        assert (await owner.request(method, target)).status in {200, 202, 404}


async def test_passwords_are_asked_for_where_that_is_the_setting(registry_with: Opener) -> None:
    async with registry_with(auth={"challenge": "basic"}) as registry:
        answer = await registry.anon.get("/v2/")
        assert answer["www-authenticate"].startswith("Basic realm=")
        assert (await registry.alice.get("/v2/")).status == 200


async def test_strangers_read_nothing_where_that_is_the_setting(registry_with: Opener) -> None:
    async with registry_with(auth={"anonymous_pull": False}) as registry:
        await registry.alice.push_image("pub/app", "1")
        assert (await registry.anon.pull("pub/app", "1")).status == 401
        nobody = await registry.anon.with_token("repository:pub/app:pull")
        assert (await nobody.pull("pub/app", "1")).status == 401
        assert (await registry.mallory.pull("pub/app", "1")).status == 200


async def test_a_registry_asked_for_another_says_which_was_meant(registry: Registry) -> None:
    await registry.alice.push_image("pub/app", "1")
    answer = await registry.anon.get("/v2/pub/app/manifests/1?ns=docker.example.com")
    assert answer["oci-namespace"] == "docker.example.com"
    for bad in ("a%0d%0ab", "-", "a b", "x" * 300):
        answer = await registry.anon.get(f"/v2/pub/app/manifests/1?ns={bad}")
        assert answer.get("oci-namespace") is None


async def test_extensions_are_discovered(registry: Registry) -> None:
    answer = await registry.anon.get("/v2/_oci/ext/discover")
    assert answer.json["extensions"][0]["name"] == "_oci"


# ── uploads over HTTP ───────────────────────────────────────────────────────────────────────────────────


def stands(answer: Answer) -> tuple[int, str]:
    return answer.status, answer["range"]


async def test_a_client_that_vanishes_in_a_patch_finds_what_it_sent(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    answer = await registry.alice.patch(location, then_vanish(b"abc", b"def"))
    assert answer.status == 0
    assert stands(await registry.alice.get(location)) == (204, "0-5")
    assert (await registry.alice.put(location, digest_of(b"abcdefghi"), b"ghi")).status == 201


async def test_a_client_that_vanishes_in_a_put_leaves_nothing_of_it(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, b"abc")
    assert (await registry.alice.put(location, digest_of(b"abcdef"), then_vanish(b"de"))).status == 0
    assert stands(await registry.alice.get(location)) == (204, "0-2")
    assert (await registry.alice.put(location, digest_of(b"abcdef"), b"def")).status == 201


async def test_a_push_in_one_request_that_fails_leaves_nothing(registry: Registry) -> None:
    query = f"?digest={digest_of(b'right')}"
    assert (await registry.alice.start("a/app", query, b"wrong")).status == 400
    assert (await registry.alice.start("a/app", query, then_vanish(b"ri"))).status == 0
    assert await registry.scalar("SELECT count(*) FROM uploads") == 0
    assert await registry.keys() == set()


async def test_a_chunk_out_of_place_is_416_and_tells_where_to_go_on(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, b"abc", 0)
    answer = await registry.alice.patch(location, b"abc", 0)
    assert stands(answer) == (416, "0-2")
    assert answer["location"] == location


async def test_the_algorithm_of_an_upload_may_be_named_at_its_start(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app", "?digest-algorithm=sha512")
    await registry.alice.patch(location, b"abc")
    assert await registry.scalar("SELECT algorithm FROM uploads") == "sha512"
    assert (await registry.alice.put(location, digest_of(b"abc", "sha512"))).status == 201


async def test_clients_are_told_the_least_chunk_where_there_is_one(registry_with: Opener) -> None:
    async with registry_with(registry={"chunk_min_length": 4096}) as registry:
        assert (await registry.alice.start("a/app"))["oci-chunk-min-length"] == "4096"


async def test_an_abandoned_upload_is_forgotten(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/app")
    await registry.alice.patch(location, b"abc")
    assert await registry.parts.uploads.expire() == 0
    await registry.change("UPDATE uploads SET updated_at = :then", then=now_ms() - 25 * 3_600_000)
    assert await registry.parts.uploads.expire() == 1
    assert (await registry.alice.get(location)).status == 404
    assert await registry.keys() == set()


async def test_the_application_opens_and_closes_all_it_needs(registry: Registry) -> None:
    settings = registry.parts.settings
    app = create_app(settings_of(settings.data, settings.database_url))
    async with app.web.router.lifespan_context(app.web):
        assert (await Actor(app, "", registry.root.authorization).get("/v2/")).status == 200
        assert (await Actor(app).get("/readyz")).json == {"status": "ok"}
