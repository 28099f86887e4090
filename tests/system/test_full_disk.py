"""A disk without room: a clear refusal, reads go on, and all is well when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.conftest import skip_or_fail
from tests.system.client import SIGNED_IN, Answer, Client
from tests.system.content import Content
from tests.system.inside import Inside
from tests.system.machine import MIB, registry

from roadstead.testing.running import RunningRegistry

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

REPOSITORY = "library/full"
ROOM = 48 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 48 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "roadstead-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
        skip_or_fail("NO SMALL DISK HERE: only root may mount one")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["all of the data", "the blobs alone"])
async def server(
    anyio_backend: str, request: pytest.FixtureRequest, tmp_path: Path, small_disk: Path
) -> AsyncIterator[RunningRegistry]:
    data = small_disk / "data" if request.param == "all of the data" else tmp_path / "data"
    if request.param != "all of the data":
        data.mkdir()
        (data / "blobs").symlink_to(small_disk)
    running = registry(tmp_path, workers=2, data=data)
    with running:
        yield running


async def _push(client: Client, content: Content, style: str) -> Answer:
    uploads = f"/v2/{REPOSITORY}/blobs/uploads/"
    if style == "POST":
        return await client.request("POST", f"{uploads}?digest={content.digest}", content.data())
    begun = await client.request("POST", uploads, b"")
    if begun.status != 202:
        return begun
    location = begun["location"]
    if style == "PATCH":
        answer = await client.request("PATCH", location, content.pieces())
        if answer.status != 202:
            return answer
        return await client.request("PUT", f"{location}?digest={content.digest}", b"")
    return await client.request("PUT", f"{location}?digest={content.digest}", content.data())


async def test_a_full_disk_refuses_pushes_and_serves_pulls_and_recovers(
    server: RunningRegistry, small_disk: Path
) -> None:
    inside = Inside(server.data)
    kept: list[Content] = []
    refused: list[Answer] = []
    async with Client(server.host, server.port, SIGNED_IN) as client:
        for number in range(60):
            content = Content(600 + number, 5 * MIB if number < 9 else 700_000)
            answer = await _push(client, content, ("POST", "PATCH", "PUT")[number % 3])
            if answer.status == 201:
                kept.append(content)
            else:
                refused.append(answer)
        assert kept
        assert refused
        for answer in refused:
            assert answer.status == 507, answer
            [error] = answer.json["errors"]
            assert error["message"]
            assert error["detail"]["remedy"]
        # Not one byte is left, and reading goes on.
        filler = small_disk / "filler"
        _fill(filler)
        for content in kept:
            answer = await client.request("GET", f"/v2/{REPOSITORY}/blobs/{content.digest}")
            assert (answer.status, answer.body == content.data()) == (200, True)
        assert (await _push(client, Content(690, 100_000), "POST")).status == 507
        assert (await client.request("GET", "/v2/")).status == 200
        assert inside.broken_promises() == []
        # Room again: no restart is needed.
        filler.unlink()
        _enlarge(small_disk)
        for number, style in enumerate(("POST", "PATCH", "PUT")):
            assert (await _push(client, Content(691 + number, 5 * MIB), style)).status == 201
    assert inside.broken_promises() == []
    # Refused bytes were not kept.
    assert inside.orphans() == {}


def _enlarge(folder: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={4 * ROOM}", str(folder)], check=True)


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
