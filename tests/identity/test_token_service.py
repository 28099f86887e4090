"""`/service/token`, as clients use it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import httpx2
import jwt
import pytest
from starlette.applications import Starlette
from tests.identity.building import PASSWORD, SERVICE, FakeClock, Identity, basic, pulls_only

from roadstead.identity.http import TokenService

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind is enough: nothing here depends on it."""
    return sqlite_url


@pytest.fixture
async def client(identity: Identity) -> AsyncIterator[httpx2.AsyncClient]:
    await identity.users.create("alice", PASSWORD)
    service = TokenService(identity.authenticator, identity.issuer, pulls_only, service=SERVICE)
    transport = httpx2.ASGITransport(app=Starlette(routes=service.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://registry") as opened:
        yield opened


ALICE = {"Authorization": basic("alice")}


async def get(
    client: httpx2.AsyncClient, query: str, headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    return await client.get(f"/service/token?{query}", headers=headers or {})


async def post(client: httpx2.AsyncClient, **fields: str) -> httpx2.Response:
    return await client.post(
        "/service/token",
        content=urlencode(fields),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def access(response: httpx2.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    granted: list[dict[str, Any]] = jwt.decode(response.json()["token"], options={"verify_signature": False})[
        "access"
    ]
    return granted


async def test_the_answer_has_what_clients_read(client: httpx2.AsyncClient, clock: FakeClock) -> None:
    response = await get(client, "service=roadstead&scope=repository:a/app:pull,push", ALICE)
    answer = response.json()
    assert answer["token"] == answer["access_token"]
    assert answer["expires_in"] == 1800
    assert answer["issued_at"] == "2027-01-15T08:00:00Z"
    assert answer["scope"] == "repository:a/app:pull,push"
    assert "refresh_token" not in answer
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"


async def test_the_token_is_good(client: httpx2.AsyncClient, identity: Identity) -> None:
    response = await get(client, "scope=repository:a/app:pull", ALICE)
    principal = await identity.bearer(response.json()["token"])
    assert principal.username == "alice"
    assert not principal.limits("a/app", "pull")
    assert principal.limits("a/app", "push")


async def test_an_anonymous_caller_gets_what_is_public(client: httpx2.AsyncClient) -> None:
    response = await get(client, "scope=repository:pub/app:pull,push&scope=repository:a/app:pull")
    assert access(response) == [{"type": "repository", "name": "pub/app", "actions": ["pull"]}]


async def test_empty_credentials_are_an_anonymous_callers(client: httpx2.AsyncClient) -> None:
    response = await get(client, "scope=repository:pub/app:pull", {"Authorization": "Basic Og=="})
    assert access(response) == [{"type": "repository", "name": "pub/app", "actions": ["pull"]}]


@pytest.mark.parametrize(
    "query",
    [
        "scope=repository:a/app:pull&scope=repository:a/lib:push,pull",
        "scope=repository:a/app:pull%20repository:a/lib:pull,push",
        "scope=repository:a/app:pull+repository%3Aa%2Flib%3Apull%2Cpush",
    ],
)
async def test_scopes_are_repeated_or_separated_by_spaces(client: httpx2.AsyncClient, query: str) -> None:
    assert [(entry["name"], entry["actions"]) for entry in access(await get(client, query, ALICE))] == [
        ("a/app", ["pull"]),
        ("a/lib", ["pull", "push"]),
    ]


async def test_a_star_is_every_action(client: httpx2.AsyncClient) -> None:
    granted = access(await get(client, "scope=repository:a/app:*", ALICE))
    assert granted[0]["actions"] == ["pull", "push", "delete"]


@pytest.mark.parametrize(
    "scope", ["repository:b/app:pull", "repository(plugin):a/app:pull", "nonsense", ":", ""]
)
async def test_a_denied_scope_makes_an_empty_token(client: httpx2.AsyncClient, scope: str) -> None:
    assert access(await get(client, f"scope={scope}", ALICE)) == []


async def test_a_login_without_a_scope_is_answered_with_a_token(client: httpx2.AsyncClient) -> None:
    assert access(await get(client, "account=alice&client_id=docker&service=roadstead", ALICE)) == []


async def test_wrong_credentials_are_refused_in_the_registrys_form(client: httpx2.AsyncClient) -> None:
    response = await get(client, "", {"Authorization": basic("alice", "wrong password")})
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic realm=")
    assert response.headers["cache-control"] == "no-store"
    (error,) = response.json()["errors"]
    assert error["code"] == "UNAUTHORIZED"
    assert "password is wrong" in error["message"]
    assert error["detail"]["remedy"]


@pytest.mark.parametrize("header", ["Basic", "Basic !!", "Bearer x", "Digest x", "x" * 10_000])
async def test_a_malformed_header_is_wrong_credentials(client: httpx2.AsyncClient, header: str) -> None:
    assert (await get(client, "", {"Authorization": header})).status_code == 401


async def test_a_token_cannot_fetch_the_next_one(client: httpx2.AsyncClient) -> None:
    token = (await get(client, "scope=repository:a/app:pull", ALICE)).json()["token"]
    assert (await get(client, "", {"Authorization": f"Bearer {token}"})).status_code == 401


async def test_two_authorization_headers_are_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get(
        "/service/token", headers=[("Authorization", basic("alice")), ("Authorization", "Basic Og==")]
    )
    assert response.status_code == 401


async def test_another_services_token_is_not_to_be_had(client: httpx2.AsyncClient) -> None:
    response = await get(client, "service=elsewhere", ALICE)
    assert response.status_code == 400
    assert "roadstead" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("name", ["service", "account", "client_id", "offline_token"])
async def test_I16_a_parameter_that_may_stand_once_is_refused_twice(
    client: httpx2.AsyncClient, name: str
) -> None:
    response = await get(client, f"{name}=roadstead&{name}=roadstead", ALICE)
    assert response.status_code == 400
    assert name in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["scope=repository:a/b:pull"] * 101),
        "&".join(["scope=repository:a/b:pull"] * 2000),
        "scope=" + "a" * 20_000,
        "scope=%ff",
        "%ff=1",
        "&".join(f"{n}=1" for n in range(1000)),
    ],
)
async def test_D15_a_request_that_asks_for_too_much_is_refused(
    client: httpx2.AsyncClient, query: str
) -> None:
    response = await get(client, query, ALICE)
    assert response.status_code == 400
    assert response.json()["errors"][0]["detail"]["remedy"]


async def test_A20_a_guesser_is_told_when_to_come_back(client: httpx2.AsyncClient) -> None:
    for number in range(10):
        await get(client, "", {"Authorization": basic("alice", f"guess {number}")})
    response = await get(client, "", ALICE)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "300"
    assert response.json()["errors"][0]["code"] == "TOOMANYREQUESTS"


# ── OAuth 2 ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_docker_login_gets_a_refresh_token_and_lives_on_it(client: httpx2.AsyncClient) -> None:
    login = await get(client, "account=alice&client_id=docker&offline_token=true&service=roadstead", ALICE)
    response = await post(
        client,
        grant_type="refresh_token",
        refresh_token=login.json()["refresh_token"],
        service="roadstead",
        client_id="docker",
        scope="repository:a/app:push,pull repository:b/app:pull",
    )
    assert access(response) == [{"type": "repository", "name": "a/app", "actions": ["pull", "push"]}]


async def test_an_anonymous_caller_gets_no_refresh_token(client: httpx2.AsyncClient) -> None:
    assert "refresh_token" not in (await get(client, "offline_token=true")).json()


async def test_a_password_is_posted(client: httpx2.AsyncClient) -> None:
    response = await post(
        client, grant_type="password", username="alice", password=PASSWORD, scope="repository:a/app:pull"
    )
    assert access(response)[0]["actions"] == ["pull"]
    assert "refresh_token" not in response.json()


async def test_a_posted_password_is_exchanged_for_a_refresh_token_on_demand(
    client: httpx2.AsyncClient,
) -> None:
    response = await post(
        client, grant_type="password", username="alice", password=PASSWORD, access_type="offline"
    )
    assert response.json()["refresh_token"]


@pytest.mark.parametrize(
    "fields",
    [
        {"grant_type": "password", "username": "alice", "password": "wrong password"},
        {"grant_type": "password", "username": "alice"},
        {"grant_type": "refresh_token", "refresh_token": "made up"},
        {"grant_type": "refresh_token"},
    ],
)
async def test_a_bad_grant_is_refused_in_both_forms(
    client: httpx2.AsyncClient, fields: dict[str, str]
) -> None:
    response = await post(client, **fields)
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_grant"
    assert response.json()["error_description"]
    assert response.json()["errors"][0]["code"] == "UNAUTHORIZED"


async def test_an_access_token_is_no_refresh_token(client: httpx2.AsyncClient) -> None:
    token = (await get(client, "", ALICE)).json()["token"]
    assert (await post(client, grant_type="refresh_token", refresh_token=token)).status_code == 401


async def test_a_refresh_token_is_no_access_token(client: httpx2.AsyncClient) -> None:
    token = (await get(client, "offline_token=true", ALICE)).json()["refresh_token"]
    credentials = base64.b64encode(f"alice:{token}".encode()).decode()
    assert (await get(client, "", {"Authorization": f"Bearer {token}"})).status_code == 401
    assert (await get(client, "", {"Authorization": f"Basic {credentials}"})).status_code == 401


async def test_A23_a_new_password_ends_logins_everywhere(
    client: httpx2.AsyncClient, identity: Identity
) -> None:
    token = (await get(client, "offline_token=true", ALICE)).json()["refresh_token"]
    await identity.users.set_password("alice", "another password")
    assert (await get(client, "", ALICE)).status_code == 401
    assert (await post(client, grant_type="refresh_token", refresh_token=token)).status_code == 401


@pytest.mark.parametrize("grant_type", ["", "client_credentials", "authorization_code"])
async def test_other_grants_are_not_served(client: httpx2.AsyncClient, grant_type: str) -> None:
    response = await post(client, grant_type=grant_type)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"


async def test_a_body_of_another_type_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.post("/service/token", json={"grant_type": "password"})
    assert response.status_code == 400


async def test_a_body_is_at_most_8_KiB(client: httpx2.AsyncClient) -> None:
    response = await post(client, grant_type="password", username="alice", password="p" * 9000)
    assert response.status_code == 413


async def test_I16_a_posted_field_counts_once(client: httpx2.AsyncClient) -> None:
    response = await client.post(
        "/service/token",
        content=f"grant_type=password&username=alice&username=root&password={PASSWORD}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.status_code == 400


async def test_a_posted_password_may_hold_any_character(
    client: httpx2.AsyncClient, identity: Identity
) -> None:
    await identity.users.create("bob", "p&s=s+ w%örd")
    assert (
        await post(client, grant_type="password", username="bob", password="p&s=s+ w%örd")
    ).status_code == 200


async def test_L_no_secret_comes_back_in_an_answer(client: httpx2.AsyncClient) -> None:
    canary = "canary-1b9f3c"
    for response in (
        await get(client, "", {"Authorization": basic("alice", canary)}),
        await get(client, "", {"Authorization": f"Bearer {canary}"}),
        await post(client, grant_type="password", username="alice", password=canary),
        await post(client, grant_type="refresh_token", refresh_token=canary),
    ):
        assert canary not in response.text
        assert canary not in str(response.headers)
