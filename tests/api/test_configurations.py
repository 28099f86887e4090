"""`/api/v2.0/configurations`, as Harbor's clients use it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.registry.actors import Actor
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio

URL = "/api/v2.0/configurations"
JSON = {"Content-Type": "application/json"}
# What goharbor's Terraform provider sends for `harbor_config_system` as it comes.
OF_TERRAFORM = {
    "project_creation_restriction": "adminonly",
    "read_only": False,
    "robot_token_duration": 30,
    "token_expiration": 30,
    "session_timeout": 60,
    "quota_per_project_enable": True,
    "robot_name_prefix": "robot$",
    "storage_per_project": -1,
    "scanner_skip_update_pulltime": False,
    "skip_audit_log_database": False,
    "banner_message": "",
    "notification_enable": True,
    "scan_all_policy": {"parameter": {}},
}


async def put(actor: Actor, **values: Any) -> Answer:
    return await actor.request("PUT", URL, json.dumps(values).encode(), JSON)


async def test_an_administrator_sees_each_key_with_whether_it_can_be_changed(registry: Registry) -> None:
    found = (await registry.root.get(URL)).json
    assert found["storage_per_project"] == {"value": -1, "editable": True}
    assert found["auth_mode"] == {"value": "db_auth", "editable": False}
    assert found["robot_name_prefix"] == {"value": "robot$", "editable": False}


async def test_no_secret_is_among_them(registry: Registry) -> None:
    found = (await registry.root.get(URL)).json
    assert not {"ldap_search_password", "oidc_client_secret", "uaa_client_secret"} & set(found)


async def test_nobody_else_sees_or_changes_them(registry: Registry) -> None:
    assert [(await who.get(URL)).status for who in (registry.anon, registry.alice)] == [401, 403]
    assert [(await put(who, read_only=True)).status for who in (registry.anon, registry.alice)] == [401, 403]


async def test_a_change_answers_with_nothing(registry: Registry) -> None:
    answer = await put(registry.root, banner_message="closed on Sunday")
    assert (answer.status, answer.body, answer.get("content-type")) == (200, b"", None)
    assert (await registry.root.get(URL)).json["banner_message"]["value"] == "closed on Sunday"


async def test_what_terraform_sends_is_taken(registry: Registry) -> None:
    answer = await put(registry.root, **OF_TERRAFORM)
    assert answer.status == 200, answer


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"auth_mode": "ldap_auth"}, 400),
        ({"storage_per_project": 0}, 400),
        ({"oidc_client_secret": "s3cret"}, 400),
        ({"storage_per_project": "9"}, 422),
        ({"read_only": "yes"}, 422),
        ({"storage_per_project": 2**70}, 422),
        ({"no_such_key": 1}, 200),
        ({"auth_mode": "db_auth", "banner_message": None}, 200),
    ],
)
async def test_a_change_that_cannot_be_is_refused(
    registry: Registry, values: dict[str, Any], status: int
) -> None:
    answer = await put(registry.root, **values)
    assert answer.status == status, answer
    assert b"s3cret" not in answer.body


async def test_the_internal_ones_are_nobodys(registry: Registry) -> None:
    for who in (registry.anon, registry.alice, registry.root):
        assert (await who.get("/api/v2.0/internalconfig")).status == 401


class TestReadOnly:
    async def test_nothing_can_be_pushed(self, registry: Registry) -> None:
        await put(registry.root, read_only=True)
        answer = await registry.alice.start("a/app")
        assert (answer.status, answer.codes) == (403, ["DENIED"])

    async def test_what_is_there_can_be_pulled(self, registry: Registry) -> None:
        await registry.alice.push_image("a/app", "v1")
        await put(registry.root, read_only=True)
        assert (await registry.alice.pull("a/app", "v1")).status == 200

    async def test_the_api_changes_nothing(self, registry: Registry) -> None:
        await put(registry.root, read_only=True)
        answer = await registry.root.request("POST", "/api/v2.0/robots", b"{}", JSON)
        assert (answer.status, answer.codes) == (403, ["DENIED"])

    async def test_an_administrator_ends_it(self, registry: Registry) -> None:
        await put(registry.root, read_only=True)
        assert (await put(registry.root, read_only=False)).status == 200
        assert (await registry.alice.start("a/app")).status == 202
