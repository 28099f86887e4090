"""A registry that may connect to an issuer on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.api.test_robots import PUSH, in_project, make, send
from tests.federation.ci import AUDIENCE, Ci
from tests.outgoing.peers import open_peer
from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.registry.conftest import postgres_url, shared_postgres
from tests.registry.registries import Registry, open_registry, settings_of

__all__ = ["postgres_url", "shared_postgres"]

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ROBOT = "robot$a+ci"


@dataclass
class Scene:
    """alice has a robot in project a, and the CI is trusted by the registry."""

    registry: Registry
    ci: Ci
    robot_id: int
    issuer_id: int

    async def trust(self, **claims: str) -> Answer:
        return await send(
            self.registry.alice,
            "POST",
            f"/robots/{self.robot_id}/trusts",
            {"issuer_id": self.issuer_id, "claims": claims or {"repository": "acme/app"}},
        )

    async def exchange(self, token: str, robot: str = ROBOT, **more: str) -> Answer:
        form = {
            "grant_type": EXCHANGE,
            "subject_token": token,
            "subject_token_type": JWT,
            "audience": robot,
            **more,
        }
        return await post_form(self.registry.anon, form)

    async def robot(self, token: str | None = None) -> Actor:
        """The robot, signed in by a token of the CI."""
        answer = await self.exchange(token or self.ci.token())
        assert answer.status == 200, answer
        return Actor(self.registry.app, ROBOT, basic(answer.json["username"], answer.json["access_token"]))


async def post_form(actor: Actor, form: dict[str, str]) -> Answer:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await actor.request("POST", "/service/token", urlencode(form).encode(), headers)


@pytest.fixture
async def ci(anyio_backend: str, tmp_path: Path) -> AsyncIterator[tuple[Ci, Path]]:
    async with open_peer(tmp_path) as (peer, authority):
        opened = Ci(peer)
        opened.announce()
        yield opened, authority


@pytest.fixture
async def scene(ci: tuple[Ci, Path], database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    issuer, authority = ci
    outgoing = {"allow": ["127.0.0.1/32"], "ca": authority, "timeout": 5.0}
    async with open_registry(settings_of(tmp_path / "data", database_url, outgoing=outgoing)) as registry:
        made = await make(registry.alice, in_project("a", PUSH))
        body = {"name": "ci", "issuer": issuer.issuer, "audience": AUDIENCE}
        answer = await send(registry.root, "POST", "/issuers", body)
        assert answer.status == 201, answer
        yield Scene(registry, issuer, made["id"], int(answer["location"].rpartition("/")[2]))
