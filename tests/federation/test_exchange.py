"""A CI's token for a robot's login token."""

from __future__ import annotations

import base64
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.api_jws import PyJWS
from tests.api.test_robots import project_block, replacing, send
from tests.federation.ci import AUDIENCE, GITHUB, GITLAB, private_key, public_jwk
from tests.federation.conftest import EXCHANGE, JWT, ROBOT, Scene, post_form

pytestmark = pytest.mark.anyio


def segment(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def hs256(secret: bytes, header: dict[str, object], claims: dict[str, object]) -> str:
    message = f"{segment(header)}.{segment(claims)}"
    signature = hmac.digest(secret, message.encode(), "sha256")
    return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_token_of_the_ci_becomes_the_robots_password_for_a_while(scene: Scene) -> None:
    await scene.trust()
    answer = await scene.exchange(scene.ci.token())
    assert answer.status == 200, answer
    assert answer.json == {
        "access_token": answer.json["access_token"],
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "N_A",
        "username": ROBOT,
        "expires_in": 900,
    }
    assert answer["cache-control"] == "no-store"
    robot = await scene.robot()
    await robot.push_image("a/app", "v1")
    token = await robot.with_token("repository:a/app:pull")
    assert (await token.pull("a/app", "v1")).status == 200
    assert (await robot.start("b/app")).status == 403


async def test_the_robot_may_be_named_as_client_id_and_the_token_called_an_id_token(scene: Scene) -> None:
    await scene.trust()
    form = {
        "grant_type": EXCHANGE,
        "subject_token": scene.ci.token(),
        "subject_token_type": JWT.replace("jwt", "id_token"),
        "client_id": ROBOT,
    }
    assert (await post_form(scene.registry.anon, form)).status == 200


async def test_a_token_of_gitlab_is_accepted_by_its_project(scene: Scene) -> None:
    await scene.trust(project_path="acme/group/*", ref_protected="true")

    def of_gitlab(**changes: object) -> str:
        github = dict.fromkeys(GITHUB, None)
        return _signed(scene, {**github, **GITLAB, **changes})

    assert (await scene.exchange(of_gitlab())).status == 200
    assert (await scene.exchange(of_gitlab(project_path="acme/other/app"))).status == 401
    assert (await scene.exchange(of_gitlab(ref_protected="false"))).status == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": ["https://other.example"]},
        {"aud": AUDIENCE + "/"},
        {"aud": {"a": AUDIENCE}},
        {"exp": int(time.time()) - 61},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("nan")},
        {"iat": None},
        {"iat": int(time.time()) + 3600},
        {"iat": int(time.time()) - 90_000},
        {"nbf": int(time.time()) + 3600},
        {"repository": "acme/application"},
        {"repository": "acme/app/"},
        {"repository": "Acme/app"},
        {"repository": None},
        {"repository": ["evil/app"]},
    ],
)
async def test_A12_a_token_for_others_or_another_time_or_project_is_refused(
    scene: Scene, changes: dict[str, object]
) -> None:
    await scene.trust()
    token = _signed(scene, changes)
    answer = await scene.exchange(token)
    assert (answer.status, answer.json["error"]) == (401, "invalid_grant")


def _signed(scene: Scene, changes: dict[str, object]) -> str:
    """With claims that PyJWT would not sign.  None leaves a claim out."""
    claims = {name: value for name, value in {**scene.ci.claims(), **changes}.items() if value is not None}
    payload = json.dumps(claims).encode()
    return PyJWS().encode(payload, scene.ci.key, "RS256", headers={"kid": scene.ci.kid})


async def test_a_token_for_us_among_others_is_accepted(scene: Scene) -> None:
    await scene.trust()
    assert (await scene.exchange(scene.ci.token(aud=[AUDIENCE, "https://other.example"]))).status == 200


@pytest.mark.parametrize("suffix", ["/", "x", "", "#", "?"])
async def test_A7_the_issuer_is_compared_byte_for_byte(scene: Scene, suffix: str) -> None:
    await scene.trust()
    issuer = scene.ci.issuer
    for wrong in (issuer + (suffix or "."), issuer[:-1], issuer.upper(), issuer.replace("https", "http")):
        assert (await scene.exchange(scene.ci.token(iss=wrong))).status == 401
    for odd in ([issuer], 7, {"iss": issuer}, True):
        answer = await scene.exchange(_signed(scene, {"iss": odd}))
        assert answer.status == 401


async def test_A1_a_key_that_the_token_brings_along_is_not_used(scene: Scene) -> None:
    await scene.trust()
    evil = private_key("RS256", 1)
    before = list(scene.ci.peer.asked)
    for header in (
        {"jwk": public_jwk(evil)},
        {"jku": f"{scene.ci.issuer}/evil"},
        {"x5u": f"{scene.ci.issuer}/evil"},
        {"x5c": ["AAAA"]},
    ):
        token = jwt.encode(scene.ci.claims(), evil, "RS256", headers={"kid": scene.ci.kid, **header})
        assert (await scene.exchange(token)).status == 401
    assert "/evil" not in scene.ci.peer.asked
    assert len(scene.ci.peer.asked) <= len(before) + 2


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "", None, ["RS256"], "HS256", "RS1", "PS256", "ES256K"]
)
async def test_A3_an_algorithm_that_is_none_is_refused(scene: Scene, algorithm: object) -> None:
    await scene.trust()
    header = {"alg": algorithm, "kid": scene.ci.kid, "typ": "JWT"}
    for signature in ("", "A" * 342, "AAAA"):
        token = f"{segment(header)}.{segment(scene.ci.claims())}.{signature}"
        assert (await scene.exchange(token)).status == 401


async def test_A4_a_public_key_is_no_hmac_secret(scene: Scene) -> None:
    await scene.trust()
    public = scene.ci.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = (
        pem,
        pem.strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk(scene.ci.key)).encode(),
    )
    for secret in secrets:
        header: dict[str, object] = {"alg": "HS256", "kid": scene.ci.kid, "typ": "JWT"}
        assert (await scene.exchange(hs256(secret, header, scene.ci.claims()))).status == 401


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["x"]},
        {"crit": []},
        {"crit": "b64"},
        {"b64": False},
        {"typ": "at+jwt"},
        {"typ": "rt+jwt"},
        {"typ": 7},
        {"kid": None},
        {"kid": ""},
        {"kid": 7},
        {"kid": "x" * 300},
        {"enc": "A128GCM"},
    ],
)
async def test_A6_a_header_that_asks_for_something_else_is_refused(
    scene: Scene, header: dict[str, object]
) -> None:
    await scene.trust()
    whole = {"alg": "RS256", "typ": "JWT", "kid": scene.ci.kid, **header}
    token = f"{segment({k: v for k, v in whole.items() if v is not None})}.{segment(scene.ci.claims())}"
    signature = scene.ci.token().rpartition(".")[2]
    assert (await scene.exchange(f"{token}.{signature}")).status == 401


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "." * 5000, "A" * 7000, "é", "A" * 20 + "." + "A" * 20 + "." + "A" * 20]
)
async def test_A9_what_is_no_token_is_refused(scene: Scene, token: str) -> None:
    await scene.trust()
    assert (await scene.exchange(token)).status in {400, 401}


async def test_our_own_tokens_are_no_tokens_of_an_issuer(scene: Scene) -> None:
    await scene.trust()
    ours = (await scene.registry.alice.ask_for_token("repository:a/app:pull")).json["token"]
    assert (await scene.exchange(ours)).status == 401


async def test_a_token_for_a_robot_that_does_not_trust_or_is_not_there_is_refused_alike(scene: Scene) -> None:
    without = await scene.exchange(scene.ci.token())
    await scene.trust()
    nobody = await scene.exchange(scene.ci.token(), "robot$a+nobody")
    person = await scene.exchange(scene.ci.token(), "alice")
    forged = await scene.exchange(scene.ci.token()[:-8] + "AAAAAAAA")
    assert without.status == 401
    assert without.body == nobody.body == person.body == forged.body


async def test_trusts_of_one_robot_are_not_anothers(scene: Scene) -> None:
    await scene.trust()
    await send(
        scene.registry.alice,
        "POST",
        "/robots",
        {
            "name": "other",
            "level": "project",
            "duration": 1,
            "permissions": [project_block("a", {"resource": "repository", "action": "pull"})],
        },
    )
    assert (await scene.exchange(scene.ci.token(), "robot$a+other")).status == 401


async def test_a_disabled_and_an_expired_robot_get_nothing_and_lose_what_they_have(scene: Scene) -> None:
    await scene.trust()
    robot = await scene.robot()
    made = {"id": scene.robot_id}
    assert (await replacing(scene.registry, made, disable=True)).status == 200
    assert (await robot.get("/v2/")).status == 401
    assert (await scene.exchange(scene.ci.token())).status == 401
    assert (await replacing(scene.registry, made, disable=False)).status == 200
    again = await scene.robot()
    await scene.registry.change("UPDATE users SET expires_at = 1000 WHERE id = :id", id=scene.robot_id)
    assert (await again.get("/v2/")).status == 401
    assert (await scene.exchange(scene.ci.token())).status == 401


async def test_a_login_token_makes_nothing_that_outlives_it(scene: Scene) -> None:
    makes = {"resource": "robot", "action": "create"}
    pull = {"resource": "repository", "action": "pull"}
    await scene.trust()
    await replacing(scene.registry, {"id": scene.robot_id}, permissions=[project_block("a", makes, pull)])
    robot = await scene.robot()
    body = {"name": "child", "level": "project", "duration": 1, "permissions": [project_block("a", pull)]}
    assert (await send(robot, "POST", "/robots", body)).status == 403


@pytest.mark.parametrize(
    "form",
    [
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"subject_token_type": ""},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
    ],
)
async def test_other_kinds_of_exchange_are_refused(scene: Scene, form: dict[str, str]) -> None:
    answer = await scene.exchange(scene.ci.token(), **form)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_A8_made_up_key_ids_cost_the_issuer_one_question(scene: Scene) -> None:
    await scene.trust()
    for number in range(50):
        assert (await scene.exchange(scene.ci.token(header={"kid": f"made-up-{number}"}))).status == 401
    assert scene.ci.peer.asked == ["/.well-known/openid-configuration", "/keys"]
    assert (await scene.exchange(scene.ci.token())).status == 200
    assert len(scene.ci.peer.asked) == 2


async def test_keys_that_an_issuer_shows_for_another_algorithm_are_not_used(scene: Scene) -> None:
    await scene.trust()
    scene.ci.peer.shows("/keys", {"keys": [public_jwk(scene.ci.key, kid=scene.ci.kid, alg="RS512")]})
    assert (await scene.exchange(scene.ci.token())).status == 401


async def test_A5_a_secret_that_an_issuer_publishes_verifies_nothing(scene: Scene) -> None:
    await scene.trust()
    scene.ci.peer.shows(
        "/keys",
        {
            "keys": [
                {"kty": "oct", "k": "c2VjcmV0", "kid": scene.ci.kid, "alg": "HS256"},
                {"kty": "oct", "k": "c2VjcmV0", "kid": scene.ci.kid, "alg": "RS256"},
            ]
        },
    )
    header: dict[str, object] = {"alg": "HS256", "kid": scene.ci.kid, "typ": "JWT"}
    assert (await scene.exchange(hs256(b"secret", header, scene.ci.claims()))).status == 401
    assert (await scene.exchange(scene.ci.token())).status == 401


@pytest.mark.parametrize(
    "document",
    [
        b"x" * 70_000,
        b"[" * 60_000,
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b'{"keys": 7}',
        json.dumps(
            {"keys": [{"kty": "RSA", "kid": str(n), "n": "AQAB", "e": "AQAB"} for n in range(101)]}
        ).encode(),
    ],
    ids=["long", "deep", "html", "binary", "list", "number", "many"],
)
async def test_A8_an_issuer_that_shows_nonsense_is_told_of_in_one_way(scene: Scene, document: bytes) -> None:
    await scene.trust()
    scene.ci.peer.shows("/keys", document)
    answer = await scene.exchange(scene.ci.token())
    assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
    assert answer["retry-after"] == "60"
    # And it is left alone for a while.
    asked = len(scene.ci.peer.asked)
    assert (await scene.exchange(scene.ci.token())).status == 503
    assert len(scene.ci.peer.asked) == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": "https://evil.example/keys"},
        {"jwks_uri": "http://127.0.0.1/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
    ],
)
async def test_F9_discovery_that_leads_elsewhere_is_not_followed(
    scene: Scene, changes: dict[str, object]
) -> None:
    await scene.trust()
    scene.ci.announce(**changes)
    assert (await scene.exchange(scene.ci.token())).status == 503
    assert scene.ci.peer.asked == ["/.well-known/openid-configuration"]


async def test_F9_a_redirect_to_keys_is_not_followed(scene: Scene) -> None:
    await scene.trust()
    scene.ci.peer.shows("/keys", {}, status=302, head="Location: /elsewhere\r\n")
    assert (await scene.exchange(scene.ci.token())).status == 503
    assert "/elsewhere" not in scene.ci.peer.asked


async def test_keys_given_by_hand_need_no_connection(scene: Scene) -> None:
    await scene.trust()
    body = {"name": "ci", "issuer": scene.ci.issuer, "audience": AUDIENCE, "jwks": scene.ci.jwks}
    answer = await send(scene.registry.root, "PUT", f"/issuers/{scene.issuer_id}", body)
    assert answer.status == 200, answer
    assert (await scene.exchange(scene.ci.token())).status == 200
    assert scene.ci.peer.asked == []


async def test_keys_elsewhere_are_used_when_an_administrator_says_where(scene: Scene) -> None:
    await scene.trust()
    scene.ci.peer.shows("/moved", scene.ci.jwks)
    uri = f"{scene.ci.issuer}/moved"
    body = {"name": "ci", "issuer": scene.ci.issuer, "audience": AUDIENCE, "jwks_uri": uri}
    await send(scene.registry.root, "PUT", f"/issuers/{scene.issuer_id}", body)
    assert (await scene.exchange(scene.ci.token())).status == 200
    assert scene.ci.peer.asked == ["/moved"]


async def test_an_issuer_that_is_trusted_no_more_signs_nobody_in(scene: Scene) -> None:
    await scene.trust()
    assert (await scene.exchange(scene.ci.token())).status == 200
    assert (await scene.registry.root.delete(f"/api/v2.0/issuers/{scene.issuer_id}")).status == 200
    assert (await scene.exchange(scene.ci.token())).status == 401
