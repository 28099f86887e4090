"""What one client may cost is bounded, whoever it is: rows D1 and D14 of the table of known attacks."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator

import pytest
from tests.system.client import SIGNED_IN, Client, basic
from tests.system.content import OCI_MANIFEST, Content, digest_of
from tests.system.machine import MIB, registry, watched_memory

from roadstead.testing.running import RunningRegistry

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

REPOSITORY = "library/memory"
CONFIG = Content(800, 100)
LIMIT = 4 * MIB
PARALLEL = 100
WRONG = 1000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningRegistry]:
    with registry(tmp_path_factory.mktemp("memory"), workers=2) as running:
        async with Client(running.host, running.port, SIGNED_IN) as client:
            path = f"/v2/{REPOSITORY}/blobs/uploads/?digest={CONFIG.digest}"
            assert (await client.request("POST", path, CONFIG.data())).status == 201
        yield running


def _manifest(number: int, *, entries: int, size: int) -> bytes:
    """A manifest of exactly `size` bytes that names a config we hold and `entries` layers that we do not."""
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": CONFIG.digest,
        "size": CONFIG.size,
    }
    layer = "application/vnd.oci.image.layer.v1.tar"
    layers = [
        {"mediaType": layer, "digest": f"sha256:{number:032x}{entry:032x}", "size": 1}
        for entry in range(entries)
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    document["annotations"] = {"note": f"{number:08d}"}
    text = json.dumps(document, separators=(",", ":"))
    return text.replace(f'{number:08d}"', f'{number:08d}{"x" * (size - len(text))}"', 1).encode()


async def _put_all(server: RunningRegistry, payloads: list[bytes], *, chunked: bool) -> list[int]:
    async def put(payload: bytes) -> int:
        async with Client(server.host, server.port, SIGNED_IN) as client:
            headers = {"Content-Type": OCI_MANIFEST}
            path = f"/v2/{REPOSITORY}/manifests/{digest_of(payload)}"
            body = [payload[at : at + MIB] for at in range(0, len(payload), MIB)] if chunked else payload
            return (await client.request("PUT", path, body, headers=headers)).status

    return list(await asyncio.gather(*map(put, payloads)))


async def test_d1_a_hundred_large_manifests_at_once_take_bounded_memory(server: RunningRegistry) -> None:
    payloads = [_manifest(number, entries=0, size=LIMIT) for number in range(PARALLEL)]
    async with watched_memory(server, every=0.02) as memory:
        statuses = await _put_all(server, payloads, chunked=False)
    assert set(statuses) <= {201, 503}, statuses
    # Their own bytes, which all wait at once, and half as much again for the few that are read and written.
    assert memory.growth < 1.75 * PARALLEL * LIMIT, memory.growth / MIB


async def test_d1_a_hundred_manifests_of_many_parts_take_bounded_memory(server: RunningRegistry) -> None:
    payloads = [_manifest(number, entries=18_000, size=LIMIT - 1000) for number in range(12)] * 3
    async with watched_memory(server, every=0.02) as memory:
        statuses = await _put_all(server, payloads, chunked=True)
    assert set(statuses) == {400}, statuses
    assert memory.growth < 700 * MIB, memory.growth / MIB


async def test_d1_manifests_beyond_the_limit_are_refused_before_they_are_read(
    server: RunningRegistry,
) -> None:
    payload = _manifest(0, entries=0, size=LIMIT + 1)
    async with watched_memory(server, every=0.02) as memory:
        for chunked in (False, True):
            assert set(await _put_all(server, [payload] * PARALLEL, chunked=chunked)) == {413}
    assert memory.growth < 2 * PARALLEL * LIMIT, memory.growth / MIB


async def test_d1_a_large_blob_is_no_manifest(server: RunningRegistry) -> None:
    blob = Content(801, 64 * MIB)
    async with Client(server.host, server.port, SIGNED_IN) as client:
        path = f"/v2/{REPOSITORY}/blobs/uploads/?digest={blob.digest}"
        assert (await client.request("POST", path, blob.pieces(), length=blob.size)).status == 201
        async with watched_memory(server, every=0.02) as memory:
            answer = await client.request("GET", f"/v2/{REPOSITORY}/manifests/{blob.digest}")
        assert answer.status == 404
    assert memory.growth < 16 * MIB


async def test_d14_a_thousand_wrong_passwords_do_not_stop_pulls(server: RunningRegistry) -> None:
    async with Client(server.host, server.port) as fast:
        assert (await fast.sign_in(f"repository:{REPOSITORY}:pull")).status == 200
        statuses: list[int] = []

        async def guess(number: int) -> None:
            async with Client(server.host, server.port, basic(f"user-{number}", f"wrong-{number}")) as client:
                target = "/service/token" if number % 2 else "/v2/"
                statuses.append((await client.request("GET", target)).status)

        guesses = asyncio.gather(*map(guess, range(WRONG)))
        times = []
        while not guesses.done():
            began = time.perf_counter()
            answer = await fast.request("GET", f"/v2/{REPOSITORY}/blobs/{CONFIG.digest}", patience=10)
            times.append(time.perf_counter() - began)
            assert answer.status == 200
            await asyncio.sleep(0.01)
        await guesses
    # A wrong password, or one that nobody had the time to compare.
    assert set(statuses) <= {401, 429, 503}, set(statuses)
    assert {429, 503} & set(statuses)
    # A single hash takes longer than this; a thousand would take a minute.
    assert statistics.median(times) < 1.0, times
