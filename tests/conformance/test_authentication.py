"""Traps 16 to 19: the challenge, the token and what it opens, as the official suite and old clients read them."""

from __future__ import annotations

import base64
import re
import secrets
import time
import urllib.parse

from tests.conformance.wire import SIGNED_IN, Reply, Wire, digest_of

from roadstead.testing.running import ADMIN, PASSWORD

ANONYMOUS = "Basic " + base64.b64encode(b":").decode()


def challenge(reply: Reply) -> dict[str, str]:
    """The parameters of the one challenge, each of them in double quotes."""
    assert reply.status == 401, reply
    value = reply["WWW-Authenticate"]
    assert value.startswith("Bearer ")
    # A greedy reader takes the last such word for the scheme.
    assert "basic" not in value.lower()
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', value))


def token(wire: Wire, parameters: dict[str, str], authorization: str | None = SIGNED_IN) -> Reply:
    asked = {name: value for name, value in parameters.items() if name in {"service", "scope"}}
    query = urllib.parse.urlencode(asked)
    path = urllib.parse.urlsplit(parameters["realm"]).path
    return wire.request("GET", f"{path}?{query}", authorization=authorization)


def test_trap_17_the_challenge_is_one_that_every_client_reads(wire: Wire, repository: str) -> None:
    reply = wire.request("POST", f"/v2/{repository}/blobs/uploads/", b"", authorization=None)
    parameters = challenge(reply)
    assert parameters["realm"].startswith(f"http://{wire.host}:{wire.port}/")
    kind, name, actions = parameters["scope"].split(":")
    assert (kind, name) == ("repository", repository)
    assert {"pull", "push"} <= set(actions.split(","))


def test_a_token_opens_what_it_was_asked_for_and_no_more(wire: Wire, repository: str) -> None:
    upload = f"/v2/{repository}/blobs/uploads/"
    granted = token(wire, challenge(wire.request("POST", upload, b"", authorization=None)))
    assert granted.status == 200
    bearer = f"Bearer {granted.json['token']}"
    assert granted.json.get("access_token", granted.json["token"]) == granted.json["token"]
    assert wire.request("POST", upload, b"", authorization=bearer).status == 202
    other = f"/v2/{repository}-other/blobs/uploads/"
    challenge(wire.request("POST", other, b"", authorization=bearer))


def test_trap_17_an_empty_user_and_password_are_nobody(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    scope = {
        "scope": f"repository:{repository}:pull",
        "service": "roadstead",
        "realm": "http://x/service/token",
    }
    for authorization in (ANONYMOUS, None):
        granted = token(wire, scope, authorization)
        assert granted.status == 200
        bearer = f"Bearer {granted.json['token']}"
        reply = wire.request("GET", f"/v2/{repository}/manifests/1", authorization=bearer)
        assert reply.status == 200
        assert wire.request("POST", f"/v2/{repository}/blobs/uploads/", b"", authorization=bearer).status in {
            401,
            403,
        }


def test_anyone_reads_a_public_project_without_a_token(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    assert wire.request("GET", f"/v2/{repository}/manifests/1", authorization=None).status == 200
    assert wire.request("GET", f"/v2/{repository}/tags/list", authorization=None).status == 200


def test_nobody_reads_a_private_project_without_signing_in(wire: Wire) -> None:
    private = f"private-{secrets.token_hex(4)}/app"
    wire.push(private, "1", wire.image(private))
    for path in ("manifests/1", "tags/list", f"blobs/{digest_of(b'layer ')}"):
        assert wire.request("GET", f"/v2/{private}/{path}", authorization=None).status == 401


def test_a_wrong_password_is_401_on_both_paths(wire: Wire) -> None:
    wrong = "Basic " + base64.b64encode(f"{ADMIN}:wrong".encode()).decode()
    assert wire.request("GET", "/v2/", authorization=wrong).status == 401
    assert wire.request("GET", "/service/token?service=roadstead", authorization=wrong).status == 401


def test_a_token_that_is_none_is_401(wire: Wire, repository: str) -> None:
    for text in ("Bearer x", "Bearer a.b.c", "Bearer", "Bearer ", "Nonsense", "Basic !!!", "Basic eA=="):
        reply = wire.request("GET", f"/v2/{repository}/manifests/1", authorization=text)
        assert reply.status in {400, 401}, text


def test_a_token_is_had_by_a_form_with_a_password(wire: Wire, repository: str) -> None:
    """What containerd and helm try first."""
    form = urllib.parse.urlencode(
        {
            "grant_type": "password",
            "username": ADMIN,
            "password": PASSWORD,
            "service": "roadstead",
            "client_id": "a-test",
            "scope": f"repository:{repository}:pull,push",
        }
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = wire.request("POST", "/service/token", form.encode(), headers=headers, authorization=None)
    assert reply.status == 200
    bearer = f"Bearer {reply.json['access_token']}"
    path = f"/v2/{repository}/blobs/uploads/"
    assert wire.request("POST", path, b"", authorization=bearer).status == 202


def test_trap_17_a_push_token_mounts_from_a_public_repository_or_gets_an_upload(
    wire: Wire, repository: str
) -> None:
    """The suite keeps one push token for a repository, and uses it to mount from another."""
    digest = wire.push_blob(f"{repository}-source", secrets.token_bytes(20))
    path = f"/v2/{repository}/blobs/uploads/"
    granted = token(wire, challenge(wire.request("POST", path, b"", authorization=None)))
    query = f"{path}?mount={digest}&from={repository}-source"
    reply = wire.request("POST", query, b"", authorization=f"Bearer {granted.json['token']}")
    if reply.status == 401:
        assert "scope" in challenge(reply)
    else:
        assert reply.status in {201, 202}


def test_trap_19_a_password_is_not_hashed_anew_for_every_request(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    started = time.monotonic()
    for _ in range(100):
        assert wire.head(f"/v2/{repository}/manifests/1").status == 200
    assert time.monotonic() - started < 20
