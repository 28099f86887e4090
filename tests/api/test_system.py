"""What the registry says of itself."""

from __future__ import annotations

import pytest
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def test_the_api_answers_a_ping_from_anybody(registry: Registry) -> None:
    answer = await registry.anon.get("/api/v2.0/ping")
    assert (answer.status, answer.body) == (200, b"Pong")


async def test_an_unknown_path_is_refused_in_harbors_words(registry: Registry) -> None:
    answer = await registry.root.get("/api/v2.0/nothing")
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])
