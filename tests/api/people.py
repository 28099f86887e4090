"""What tests of accounts do: requests with JSON, and new people."""

from __future__ import annotations

import json
from typing import Any

from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

FIT = "Correct-Horse-9"
ANOTHER = "Battery-Staple-7"


async def send(actor: Actor, method: str, path: str, body: object, **headers: str) -> Answer:
    lines = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return await actor.request(method, f"/api/v2.0{path}", json.dumps(body).encode(), lines)


async def add(registry: Registry, username: str, password: str = FIT, **more: Any) -> int:
    """The new user's number."""
    answer = await send(registry.root, "POST", "/users", {"username": username, "password": password, **more})
    assert (answer.status, answer.body, answer.get("content-type")) == (201, b"", None), answer
    return int(answer["location"].removeprefix("/api/v2.0/users/"))


async def id_of(registry: Registry, username: str) -> int:
    found = await registry.scalar("SELECT id FROM users WHERE username = :name", name=username)
    assert isinstance(found, int)
    return found


def as_person(registry: Registry, username: str, password: str = FIT) -> Actor:
    return Actor(registry.app, username, basic(username, password))
