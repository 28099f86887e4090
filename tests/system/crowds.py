"""Clients that take their time, and one that does not."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.system.client import SIGNED_IN, Client
from tests.system.content import Content
from tests.system.machine import MIB

from roadstead.testing.running import RunningRegistry

REPOSITORY = "library/crowd"
BIG = Content(900, 32 * MIB)
SMALL = Content(901, 4096)
# Short, so that a test can wait for them; the order of a request's life.
DEADLINES: dict[str, Any] = {
    "http__header_timeout": 8,
    "http__body_grace": 8,
    "http__min_body_rate": 4096,
    "http__write_timeout": 8,
    "http__keep_alive_timeout": 8,
}
LONGEST = 8.0
# Measurements that make a median.
FEW = 5


@dataclass
class Crowd:
    """Slow clients, and how each of them ended: by a status, or cut without one."""

    server: RunningRegistry
    ends: list[str] = field(default_factory=list)
    # Seconds until the end.
    lasted: list[float] = field(default_factory=list)
    connected: int = 0

    @property
    def present(self) -> int:
        return self.connected - len(self.ends)

    async def of(self, count: int) -> None:
        """`count` of them, in equal parts of each kind, until the server has got rid of all."""
        kinds: list[Callable[[socket.socket], Awaitable[None]]] = [
            self._drip_a_head, self._stall_in_a_body, self._do_not_read, self._say_nothing,
        ]  # fmt: skip
        await asyncio.gather(*(self._one(kinds[number % len(kinds)]) for number in range(count)))

    async def _one(self, behave: Callable[[socket.socket], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, (self.server.host, self.server.port))
            self.connected += 1
            began = time.monotonic()
            try:
                await behave(sock)
            except ConnectionError:
                self.ends.append("cut")
            self.lasted.append(time.monotonic() - began)

    async def _drip_a_head(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        answer = asyncio.create_task(loop.sock_recv(sock, 65536))
        for letter in f"GET /v2/ HTTP/1.1\r\nHost: {self.server.address}\r\nX-Slow: {'s' * 1000}".encode():
            await loop.sock_sendall(sock, bytes([letter]))
            await asyncio.wait([answer], timeout=0.25)
            if answer.done():
                break
        self._ended(await answer)

    async def _stall_in_a_body(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        head = f"POST /v2/{REPOSITORY}/blobs/uploads/?digest={SMALL.digest} HTTP/1.1\r\n"
        if len(self.ends) % 2:
            async with Client(self.server.host, self.server.port, SIGNED_IN) as client:
                answer = await client.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
            head = f"PATCH {answer['location']} HTTP/1.1\r\n"
        head += (
            f"Host: {self.server.address}\r\nAuthorization: {SIGNED_IN}\r\nContent-Length: 1000000\r\n\r\n"
        )
        await loop.sock_sendall(sock, head.encode() + bytes(8000))
        self._ended(await loop.sock_recv(sock, 65536))

    async def _do_not_read(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        request = f"GET /v2/{REPOSITORY}/blobs/{BIG.digest} HTTP/1.1\r\nHost: {self.server.address}\r\n\r\n"
        await loop.sock_sendall(sock, request.encode())
        # Nothing is read until the server must have given up; then there is an end, well before all of it.
        await asyncio.sleep(LONGEST + 2)
        count = 0
        while data := await loop.sock_recv(sock, MIB):
            count += len(data)
        self.ends.append("cut" if count < BIG.size else "all of it")

    async def _say_nothing(self, sock: socket.socket) -> None:
        self._ended(await asyncio.get_running_loop().sock_recv(sock, 65536))

    def _ended(self, data: bytes) -> None:
        self.ends.append(data.split(b" ", 2)[1].decode() if data else "cut")


async def latencies(
    server: RunningRegistry, *, seconds: float = 2.0, going_on: Callable[[], bool] = lambda: True
) -> tuple[float, float]:
    """The median seconds of `/v2/`, and of a small blob, for a client in a hurry; all must be answered.

    Measured for so long, and as long as what is measured is `going_on`; a few times at least.
    """
    paths = ("/v2/", f"/v2/{REPOSITORY}/blobs/{SMALL.digest}")
    times: dict[str, list[float]] = {path: [] for path in paths}
    async with Client(server.host, server.port) as client:
        assert (await client.sign_in(f"repository:{REPOSITORY}:pull")).status == 200
        ends = time.monotonic() + seconds
        while len(times[paths[0]]) < FEW or (time.monotonic() < ends and going_on()):
            for path in paths:
                began = time.perf_counter()
                answer = await client.request("GET", path, patience=30)
                times[path].append(time.perf_counter() - began)
                assert answer.status == 200
    return statistics.median(times[paths[0]]), statistics.median(times[paths[1]])


async def push_both(server: RunningRegistry) -> None:
    async with Client(server.host, server.port, SIGNED_IN) as client:
        for content in (BIG, SMALL):
            path = f"/v2/{REPOSITORY}/blobs/uploads/?digest={content.digest}"
            answer = await client.request("POST", path, content.pieces(), length=content.size)
            assert answer.status == 201, answer
