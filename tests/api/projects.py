"""What tests of projects do with the API: set-up speaks in verbs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.registry.actors import Actor
from tests.registry.asgi import Answer

API = "/api/v2.0"
HAS_JSON = {"Content-Type": "application/json"}


async def send(
    actor: Actor,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Answer:
    payload = b"" if body is None else json.dumps(body).encode()
    return await actor.request(method, API + path, payload, {**HAS_JSON, **(headers or {})}, **more)


async def make_project(actor: Actor, name: str, **more: object) -> int:
    answer = await send(actor, "POST", "/projects", {"project_name": name, **more})
    assert answer.status == 201, answer
    return int(answer["location"].rpartition("/")[2])


async def add_member(actor: Actor, project: str, username: str, role: int, **more: object) -> str:
    """The member's path below the API's."""
    body = {"role_id": role, "member_user": {"username": username}, **more}
    answer = await send(actor, "POST", f"/projects/{project}/members", body)
    assert answer.status == 201, answer
    return answer["location"].removeprefix(API)


async def make_role(actor: Actor, name: str, *permissions: str) -> int:
    answer = await send(actor, "POST", "/roles", {"name": name, "permissions": spelled(*permissions)})
    assert answer.status == 201, answer
    return int(answer["location"].rpartition("/")[2])


def spelled(*permissions: str) -> list[dict[str, str]]:
    parts = [permission.split(":") for permission in permissions]
    return [{"resource": resource, "action": action} for resource, action in parts]
