"""Fifty push into one project with a tight quota, through two replicas: it never holds more than it may."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.quota.limits import limit, used
from tests.registry.actors import Actor, digest_of, encoded, image_of
from tests.registry.registries import Registry, open_registry, settings_of

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

PUSHERS = 50
IMAGES = 3
LIMIT = 200_000


@pytest.fixture
async def replicas(anyio_backend: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[list[Registry]]:
    async with AsyncExitStack() as stack:
        settings = settings_of(tmp_path / "data", postgres_url)
        yield [
            await stack.enter_async_context(open_registry(settings, seed=first)) for first in (True, False)
        ]


async def push_some(alice: Actor, number: int) -> list[int]:
    """Blobs of all sizes, some that others push too, in all ways; and a manifest of what was kept."""
    chosen = random.Random(number)
    statuses = []
    for n in range(IMAGES):
        repository = f"a/app{number % 7}"
        own = bytes([number, n]) * chosen.randrange(1, 4000)
        shared = bytes([n]) * 1000
        for data in (own, shared):
            if chosen.random() < 0.5:
                answer = await alice.start(repository, f"?digest={digest_of(data)}", data)
            else:
                location = await alice.begin_upload(repository)
                half = len(data) // 2
                answer = await alice.patch(location, [data[:half], data[half:]])
                if answer.status == 202:
                    answer = await alice.put(location, digest_of(data))
                if answer.status == 403 and chosen.random() < 0.5:
                    await alice.delete(location)
            statuses.append(answer.status)
        answer = await alice.put_manifest(repository, f"{number}-{n}", image_of(own, shared))
        statuses.append(answer.status)
        if chosen.random() < 0.3:
            await alice.delete(f"/v2/{repository}/manifests/{digest_of(encoded(image_of(own, shared)))}")
    return statuses


async def test_fifty_pushers_and_two_replicas_never_exceed_a_limit(replicas: list[Registry]) -> None:
    one = replicas[0]
    await limit(one, "a", storage=LIMIT)
    sampled: list[int] = []
    done = asyncio.Event()

    async def sample() -> None:
        while not done.is_set():
            sampled.append(await used(one, "a"))
            await asyncio.sleep(0.01)

    sampling = asyncio.create_task(sample())
    pushed = await asyncio.gather(*(push_some(replicas[n % 2].alice, n) for n in range(PUSHERS)))
    done.set()
    await sampling
    statuses = {status for each in pushed for status in each}
    # 400 is a manifest whose blobs were refused.
    assert statuses <= {201, 400, 403}
    assert {201, 403} <= statuses
    assert max(sampled) <= LIMIT
    # All that is left is for the blobs and manifests that are there, to the byte: the registries check that.
    await one.parts.uploads.expire()
    assert await used(one, "a") > LIMIT * 0.9
