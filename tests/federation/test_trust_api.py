"""Trusted issuers and trust rules through the API: who may, and what is refused."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.api.test_robots import send
from tests.federation.ci import AUDIENCE, private_key, public_jwk
from tests.federation.conftest import Scene

pytestmark = pytest.mark.anyio


async def test_an_administrator_sees_and_changes_issuers(scene: Scene) -> None:
    path = f"/api/v2.0/issuers/{scene.issuer_id}"
    shown = (await scene.registry.root.get(path)).json
    assert (shown["name"], shown["issuer"], shown["audience"]) == ("ci", scene.ci.issuer, AUDIENCE)
    body = {"name": "build", "issuer": scene.ci.issuer, "audience": "other"}
    assert (await send(scene.registry.root, "PUT", f"/issuers/{scene.issuer_id}", body)).status == 200
    listed = await scene.registry.root.get("/api/v2.0/issuers?q=name=build")
    assert [issuer["audience"] for issuer in listed.json] == ["other"]
    assert listed["x-total-count"] == "1"
    assert (await scene.registry.root.delete(path)).status == 200
    assert (await scene.registry.root.get(path)).status == 404


async def test_only_administrators_of_the_registry_decide_whom_to_trust(scene: Scene) -> None:
    body = {"name": "mine", "issuer": "https://evil.example", "audience": "x"}
    for actor, status in ((scene.registry.alice, 403), (scene.registry.anon, 401)):
        assert (await send(actor, "POST", "/issuers", body)).status == status
        assert (await send(actor, "PUT", f"/issuers/{scene.issuer_id}", body)).status == status
        assert (await actor.delete(f"/api/v2.0/issuers/{scene.issuer_id}")).status == status
        assert (await actor.get(f"/api/v2.0/issuers/{scene.issuer_id}")).status == status
        assert (await actor.get("/api/v2.0/issuers")).status == status


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"audience": ""},
        {"issuer": ""},
        {"issuer": "http://issuer.example"},
        {"issuer": "file:///etc"},
        {"issuer": "https://issuer.example/?a=b"},
        {"issuer": "https://user:pass@issuer.example"},
        {"jwks_uri": "http://issuer.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": "x"}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AA", "kid": "a"}]}},
        {"jwks": {"keys": [{**public_jwk(private_key("ES256"), kid="a"), "d": "AA"}]}},
    ],
)
async def test_an_issuer_that_cannot_be_trusted_is_refused(scene: Scene, changes: dict[str, object]) -> None:
    body = {"name": "other", "issuer": "https://other.example", "audience": "x", **changes}
    assert (await send(scene.registry.root, "POST", "/issuers", body)).status == 400


async def test_an_issuer_is_trusted_once_and_stays_the_same(scene: Scene) -> None:
    for body in (
        {"name": "other", "issuer": scene.ci.issuer, "audience": "x"},
        {"name": "ci", "issuer": "https://other.example", "audience": "x"},
    ):
        assert (await send(scene.registry.root, "POST", "/issuers", body)).status == 409
    moved = {"name": "ci", "issuer": "https://evil.example", "audience": AUDIENCE}
    assert (await send(scene.registry.root, "PUT", f"/issuers/{scene.issuer_id}", moved)).status == 400


async def test_rules_are_written_read_changed_and_removed(scene: Scene) -> None:
    answer = await scene.trust(repository="acme/app", ref="refs/heads/main")
    assert answer.status == 201, answer
    path = answer["location"].removeprefix("/api/v2.0")
    shown = (await scene.registry.alice.get(f"/api/v2.0{path}")).json
    assert (shown["issuer"], shown["claims"]) == ("ci", {"repository": "acme/app", "ref": "refs/heads/main"})
    changed = {"claims": {"repository": "acme/other"}}
    assert (await send(scene.registry.alice, "PUT", path, changed)).status == 200
    listed = (await scene.registry.alice.get(f"/api/v2.0/robots/{scene.robot_id}/trusts")).json
    assert [rule["claims"] for rule in listed] == [{"repository": "acme/other"}]
    assert (await scene.exchange(scene.ci.token())).status == 401
    assert (await scene.registry.alice.delete(f"/api/v2.0{path}")).status == 200
    assert (await scene.registry.alice.get(f"/api/v2.0{path}")).status == 404
    kinds = await scene.registry.sql("SELECT kind FROM events WHERE kind LIKE 'robot.trust%' ORDER BY id")
    assert [kind for (kind,) in kinds] == [
        "robot.trust_created",
        "robot.trust_updated",
        "robot.trust_deleted",
    ]


async def test_the_issuer_may_be_called_by_its_name(scene: Scene) -> None:
    path = f"/robots/{scene.robot_id}/trusts"
    claims = {"repository": "acme/app"}
    assert (await send(scene.registry.alice, "POST", path, {"issuer": "ci", "claims": claims})).status == 201
    assert (
        await send(scene.registry.alice, "POST", path, {"issuer": "none", "claims": claims})
    ).status == 404
    assert (await send(scene.registry.alice, "POST", path, {"claims": claims})).status == 400
    assert (await send(scene.registry.alice, "POST", path, {"issuer": "ci"})).status == 400
    assert (
        await send(scene.registry.alice, "POST", path, {"issuer": "ci", "claims": {"sub": "*"}})
    ).status == 400


async def test_R5_only_who_may_change_the_robot_says_what_stands_for_its_secret(scene: Scene) -> None:
    rule = (await scene.trust())["location"].removeprefix("/api/v2.0")
    path = f"/robots/{scene.robot_id}/trusts"
    body = {"issuer_id": scene.issuer_id, "claims": {"repository": "evil/app"}}
    for actor, status in ((scene.registry.mallory, 404), (scene.registry.anon, 401)):
        assert (await send(actor, "POST", path, body)).status == status
        assert (await send(actor, "PUT", rule, body)).status == status
        assert (await actor.delete(f"/api/v2.0{rule}")).status == status
        assert (await actor.get(f"/api/v2.0{path}")).status == status
    robot = await scene.robot()
    assert (await send(robot, "POST", path, body)).status in {403, 404}


async def test_a_rules_number_is_good_for_its_own_robot_only(scene: Scene) -> None:
    rule = (await scene.trust())["location"].rpartition("/")[2]
    pull = {"kind": "project", "namespace": "b", "access": [{"resource": "repository", "action": "pull"}]}
    body = {"name": "ci", "level": "project", "duration": 1, "permissions": [pull]}
    other = (await send(scene.registry.bob, "POST", "/robots", body)).json["id"]
    path = f"/robots/{other}/trusts/{rule}"
    assert (await scene.registry.bob.get(f"/api/v2.0{path}")).status == 404
    assert (await send(scene.registry.bob, "PUT", path, {"claims": {"repository": "evil/app"}})).status == 404
    assert (await scene.registry.bob.delete(f"/api/v2.0{path}")).status == 404


async def test_private_keys_never_reach_the_database(scene: Scene) -> None:
    private = private_key("ES256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    jwks = {"keys": [public_jwk(private_key("ES256"), kid="a", note=private.decode())]}
    body = {"name": "other", "issuer": "https://other.example", "audience": "x", "jwks": jwks}
    assert (await send(scene.registry.root, "POST", "/issuers", body)).status == 201
    rows = str(await scene.registry.sql("SELECT CAST(jwks AS TEXT) FROM trusted_issuers"))
    assert "PRIVATE" not in rows
