"""Rank 1: every route, every method, every kind of caller, and the status each of them gets (R6, R14, R19, R20).

The rows are written down; the routes are read from the running application.  A route without rows fails.
"""

from __future__ import annotations

from itertools import product

import pytest
from tests.registry.actors import NOBODY, Actor, digest_of, encoded
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.errors import Unavailable

pytestmark = pytest.mark.anyio

WHO = ("anon", "mallory", "alice", "bob", "root", "narrow", "anonymous token", "bad password", "bad token")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "TRACE")
# Statuses in the order of WHO, for a repository of alice's private project `a`; `narrow` is alice with a token
# for pulling from another repository.
MATRIX: dict[tuple[str, str], str] = {
    ("/v2/", "GET"): "401 200 200 200 200 200 200 401 401",
    ("/v2/", "HEAD"): "401 200 200 200 200 200 200 401 401",
    ("/v2", "GET"): "401 200 200 200 200 200 200 401 401",
    ("/v2", "HEAD"): "401 200 200 200 200 200 200 401 401",
    ("/v2/_catalog", "GET"): "401 200 200 200 200 401 401 401 401",
    ("/v2/_catalog", "HEAD"): "401 200 200 200 200 401 401 401 401",
    ("/v2/_oci/ext/discover", "GET"): "200 200 200 200 200 200 200 401 401",
    ("/v2/_oci/ext/discover", "HEAD"): "200 200 200 200 200 200 200 401 401",
    ("/v2/<name>/_oci/ext/discover", "GET"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/_oci/ext/discover", "HEAD"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/manifests/<reference>", "GET"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/manifests/<reference>", "HEAD"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/manifests/<reference>", "PUT"): "401 403 201 403 201 401 401 401 401",
    ("/v2/<name>/manifests/<reference>", "DELETE"): "401 404 202 404 202 401 401 401 401",
    ("/v2/<name>/blobs/<digest>", "GET"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/blobs/<digest>", "HEAD"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/blobs/<digest>", "DELETE"): "401 404 202 404 202 401 401 401 401",
    ("/v2/<name>/blobs/uploads/", "POST"): "401 403 202 403 202 401 401 401 401",
    # Nobody but the one who began it: not even an administrator.
    ("/v2/<name>/blobs/uploads/<id>", "GET"): "401 403 204 403 404 401 401 401 401",
    ("/v2/<name>/blobs/uploads/<id>", "HEAD"): "401 403 204 403 404 401 401 401 401",
    ("/v2/<name>/blobs/uploads/<id>", "PATCH"): "401 403 202 403 404 401 401 401 401",
    ("/v2/<name>/blobs/uploads/<id>", "PUT"): "401 403 201 403 404 401 401 401 401",
    ("/v2/<name>/blobs/uploads/<id>", "DELETE"): "401 403 204 403 404 401 401 401 401",
    ("/v2/<name>/tags/list", "GET"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/tags/list", "HEAD"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/referrers/<digest>", "GET"): "401 404 200 404 200 401 401 401 401",
    ("/v2/<name>/referrers/<digest>", "HEAD"): "401 404 200 404 200 401 401 401 401",
    # Tokens are bought with passwords, not with tokens; what a token holds is another question.
    ("/service/token", "GET"): "200 200 200 200 200 401 401 401 401",
    ("/service/token", "HEAD"): "200 200 200 200 200 401 401 401 401",
    # A form without a grant.
    ("/service/token", "POST"): "400 400 400 400 400 400 400 400 400",
    # A form without a name and a password; and nobody has a session to end.
    ("/c/login", "POST"): "401 401 401 401 401 401 401 401 401",
    ("/c/log_out", "GET"): "200 200 200 200 200 200 200 200 200",
    ("/c/log_out", "HEAD"): "200 200 200 200 200 200 200 200 200",
    ("/c/log_out", "POST"): "200 200 200 200 200 200 200 200 200",
    ("/livez", "GET"): "200 200 200 200 200 200 200 200 200",
    ("/livez", "HEAD"): "200 200 200 200 200 200 200 200 200",
    ("/readyz", "GET"): "200 200 200 200 200 200 200 200 200",
    ("/readyz", "HEAD"): "200 200 200 200 200 200 200 200 200",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BLOB = b"a blob that nothing needs"


def routes_of(registry: Registry) -> dict[str, set[str]]:
    """What the application serves: path → methods."""
    assert registry.app.registry is not None
    served = {route.path: set(route.endpoints) for route in registry.app.registry.routes}
    for route in registry.app.web.router.routes:
        path, methods = getattr(route, "path", None), getattr(route, "methods", None)
        assert path is not None, route
        assert methods, f"{route} is a mount or a socket: no row can say who may use it"
        served.setdefault(path, set()).update(methods)
    return served


async def test_R20_every_route_has_its_rows(registry: Registry) -> None:
    served = {(path, method) for path, methods in routes_of(registry).items() for method in methods}
    assert served == set(MATRIX)
    assert all(len(row.split()) == len(WHO) for row in MATRIX.values())


async def test_R14_every_route_has_its_rows_with_every_switch_turned(registry_with: Opener) -> None:
    async with registry_with(
        auth={"anonymous_pull": False, "challenge": "basic"}, registry={"delete_enabled": False}
    ) as turned:
        served = {(path, method) for path, methods in routes_of(turned).items() for method in methods}
        assert served == set(MATRIX)


async def people(registry: Registry) -> dict[str, Actor]:
    narrow = await registry.alice.with_token("repository:a/other:pull")
    nobody = await registry.anon.with_token("repository:a/app:pull")
    return {
        "anon": registry.anon,
        "mallory": registry.mallory,
        "alice": registry.alice,
        "bob": registry.bob,
        "root": registry.root,
        "narrow": narrow,
        "anonymous token": nobody,
        "bad password": Actor(registry.app, "", "Basic YWxpY2U6d3Jvbmc="),
        "bad token": Actor(registry.app, "", "Bearer " + "a" * 40),
    }


async def prepared(registry: Registry, path: str, method: str) -> tuple[str, bytes, dict[str, str]]:
    """A request that would succeed for whoever may make it."""
    document = await registry.alice.image("a/app", "1")
    payload = encoded(document)
    await registry.alice.push_manifest("a/app", "1", document)
    path = path.replace("<name>", "a/app").replace("<reference>", "1")
    if path.endswith("<id>"):
        location = await registry.alice.begin_upload("a/app")
        query = f"?digest={digest_of(b'')}" if method == "PUT" else ""
        return location + query, b"", {}
    if "/blobs/" in path:
        path = path.replace("<digest>", await registry.alice.push_blob("a/app", BLOB))
    path = path.replace("<digest>", NOBODY)
    if method == "PUT":
        return path, payload, {"Content-Type": document["mediaType"]}
    return path, b"", FORM if method == "POST" and not path.startswith("/v2/") else {}


@pytest.mark.parametrize("path", sorted({path for path, _ in MATRIX}))
async def test_R20_everybody_gets_what_the_matrix_says(registry: Registry, path: str) -> None:
    actors = await people(registry)
    for (row, method), statuses in MATRIX.items():
        if row != path:
            continue
        found = []
        for who in WHO:
            target, body, headers = await prepared(registry, path, method)
            answer = await actors[who].request(method, target, body, headers)
            found.append(answer.status)
            if answer.status == 401 and path.startswith("/v2"):
                assert answer.all("www-authenticate")
        assert found == [int(status) for status in statuses.split()], f"{method} {path}"


async def test_R6_a_method_that_is_not_served_is_refused_and_told_which_are(registry: Registry) -> None:
    for path in sorted({path for path, _ in MATRIX}):
        target, _, _ = await prepared(registry, path, "GET")
        served = {method for row, method in MATRIX if row == path}
        for method, actor in product(METHODS, (registry.anon, registry.root)):
            if method in served:
                continue
            answer = await actor.request(method, target)
            assert answer.status == 405
            told = {name.strip() for name in answer["allow"].split(",")}
            assert told == served if path.startswith("/v2/") else told <= served


DISGUISES = [
    "/v2//", "/v2/_catalog/", "//v2//_catalog", "/v2//_catalog", "/v2/./_catalog", "/v2/x/../_catalog",
    "/v2/%5fcatalog", "/V2/_catalog", "/v2/_Catalog", "/v2/_catalog;x", "/v2/_catalog%2f", "/v2/_catalog%20",
    "/v2/_catalog%00", "/v2/_catalog.json", "/v2\\_catalog", "/v2/_oci", "/v2/_oci/ext", "/v2/_oci/ext/",
    "/v2/a/app", "/v2/a/app/", "/v2/a/app/tags", "/v2/a/app/tags/", "/v2/a/app/tags/list/", "/v2/a/app/manifests",
    "/v2/a/app/manifests/", "/v2/a/app/blobs", "/v2/a/app/blobs/", "/v2/a/app/blobs/uploads", "/v2/a/app/manifests//1",
    "/v2/a/app/referrers/", "/v2/a/app/_uploads/x", "/v2/a/app/_layers/x", "/v2/manifests/1", "/v2/tags/list",
    "/v2/a/app/manifests/1/2", "/v1/", "/v2/../livez", "/", "/docs", "/redoc", "/openapi.json", "/metrics", "/debug",
    "/api/v1.0/users", "/api/users", "/api/v2.0", "/api/v2.0/", "/api/v2.0/users/",
    "/service/token/", "/service", "/livez/", "/static/x", "/.env", "/favicon.ico",
]  # fmt: skip


async def test_R6_what_is_not_in_the_table_is_not_served(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    for target in DISGUISES:
        for actor in (registry.anon, registry.mallory, registry.root):
            for method in ("GET", "HEAD", "POST", "PATCH", "OPTIONS", "PURGE"):
                answer = await actor.request(method, target)
                assert answer.status in {400, 404, 405, 307}, (target, method, answer.status)
                if answer.status == 307:
                    # A slash too many or too few: the address meant is another row of the matrix.
                    assert answer["location"].rstrip("/").endswith(target.rstrip("/"))
                if method != "HEAD" and answer.body:
                    assert "repositories" not in answer.body.decode()


async def test_R6_no_path_reaches_a_repository_under_another_spelling(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    for name in (
        "a%2Fapp",
        "a//app",
        "./a/app",
        "a/./app",
        "a/app/.",
        "x/../a/app",
        "A/app",
        "a/App",
        "a\\app",
        "a/app%20",
    ):
        answer = await registry.alice.get(f"/v2/{name}/manifests/1")
        assert answer.status in {400, 404}, name


async def test_R16_no_answer_from_the_database_is_no_permission(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.alice.push_image("a/app", "1")

    async def unavailable(*args: object, **kwargs: object) -> object:
        raise Unavailable("the database does not answer", retry_after=5)

    with monkeypatch.context() as patch:
        for name in ("first", "all", "read", "write", "brief"):
            patch.setattr(registry.parts.database, name, unavailable)
        for method, target in (
            ("GET", "/v2/a/app/manifests/1"),
            ("POST", "/v2/a/app/blobs/uploads/"),
            ("GET", "/api/v2.0/projects/a"),
            ("DELETE", "/api/v2.0/projects/a"),
        ):
            assert (await registry.alice.request(method, target)).status == 503
