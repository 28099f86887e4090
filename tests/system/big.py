"""A blob larger than any memory goes up in every way and comes down, and the server's memory is watched."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tests.system.client import Answer, Client
from tests.system.content import Content
from tests.system.machine import MIB, watched_memory

from roadstead.testing.running import RunningRegistry

REPOSITORY = "library/big"
CHUNK = 64 * MIB
# One request may move all of it.
PATIENCE = 3600.0


class Way(Enum):
    STREAMED = "one PATCH of unknown length"
    CHUNKED = "PATCHes of 64 MiB with Content-Range"
    MONOLITHIC = "one PUT"


@dataclass
class Passage:
    """One blob, up and down."""

    way: Way
    size: int
    up_seconds: float = 0.0
    down_seconds: float = 0.0
    before: int = 0
    up_growth: int = 0
    down_growth: int = 0
    right: bool = False

    def __str__(self) -> str:
        return (
            f"{self.way.name.lower()}: {self.size / MIB:.0f} MiB,"
            f" up {self.size / MIB / self.up_seconds:.0f} MiB/s with {self.up_growth / MIB:.0f} MiB of memory,"
            f" down {self.size / MIB / self.down_seconds:.0f} MiB/s with {self.down_growth / MIB:.0f} MiB,"
            f" over {self.before / MIB:.0f} MiB; the bytes are {'right' if self.right else 'WRONG'}"
        )


async def carry(server: RunningRegistry, way: Way, content: Content) -> Passage:
    """Push the blob and pull it again.  Raises `AssertionError` on an answer that is not expected."""
    result = Passage(way, content.size)
    async with Client(server.host, server.port) as client:
        signed_in = await client.sign_in(f"repository:{REPOSITORY}:pull,push")
        assert signed_in.status == 200, signed_in
        async with watched_memory(server) as memory:
            began = time.monotonic()
            digest = await _push(client, way, content)
            result.up_seconds = time.monotonic() - began
        result.before, result.up_growth = memory.before, memory.growth
        async with watched_memory(server) as memory:
            began = time.monotonic()
            running = hashlib.new(content.algorithm)
            path = f"/v2/{REPOSITORY}/blobs/{digest}"
            answer = await client.request("GET", path, sink=running.update, patience=PATIENCE)
            result.down_seconds = time.monotonic() - began
        result.down_growth = memory.growth
        found = f"{content.algorithm}:{running.hexdigest()}"
        result.right = (answer.status, answer.length, found) == (200, content.size, digest)
    return result


async def _push(client: Client, way: Way, content: Content) -> str:
    if way is Way.MONOLITHIC:
        # The digest comes first here, and making it takes longer than an idle connection is kept.
        digest = await asyncio.to_thread(lambda: content.digest)
        location = await _begin(client)
        ending = client.request(
            *("PUT", f"{location}?digest={digest}", content.pieces()), length=content.size, patience=PATIENCE
        )
        _must(await ending, 201)
        return digest
    location = await _begin(client)
    running = hashlib.new(content.algorithm)
    if way is Way.STREAMED:
        _must(
            await client.request("PATCH", location, _hashed(content.pieces(), running), patience=PATIENCE),
            202,
        )
    else:
        for first in range(0, content.size, CHUNK):
            end = min(first + CHUNK, content.size)
            headers = {"Content-Range": f"{first}-{end - 1}"}
            pieces = _hashed(content.pieces(first, end), running)
            answer = await client.request(
                *("PATCH", location, pieces), headers=headers, length=end - first, patience=PATIENCE
            )
            _must(answer, 202)
    digest = f"{content.algorithm}:{running.hexdigest()}"
    _must(await client.request("PUT", f"{location}?digest={digest}", b"", patience=PATIENCE), 201)
    return digest


async def _begin(client: Client) -> str:
    client.close()
    answer = await client.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
    return _must(answer, 202)["location"]


def _hashed(pieces: Iterator[bytes], running: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        running.update(piece)
        yield piece


def _must(answer: Answer, status: int) -> Answer:
    assert answer.status == status, answer
    return answer
