"""Workers that share one listening socket share its connections."""

from __future__ import annotations

import asyncio
import socket

import pytest

from roadstead.server.accepting import Acceptor, Board

pytestmark = pytest.mark.anyio


class Held(asyncio.Protocol):
    """A connection that its worker keeps."""

    def __init__(self, connections: list[asyncio.Protocol]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._connections.append(self)


class Worker:
    """What a process has: its place on the board, and the connections it took."""

    def __init__(self, listener: socket.socket, counts: list[int], place: int) -> None:
        self.connections: list[asyncio.Protocol] = []
        self.board = Board(counts, place)
        # As another process would have it: a descriptor of its own for the same socket.
        self.listener = listener.dup()
        self.acceptor = Acceptor(
            self.listener,
            lambda: Held(self.connections),
            self.board,
            held=lambda: len(self.connections),
            context=None,
            handshake_timeout=1,
            most_handshakes=100,
        )
        self.board.post(0)

    async def stop(self) -> None:
        self.acceptor.close()
        await self.acceptor.wait_closed()
        for connection in self.connections:
            assert isinstance(connection, Held)
            connection.transport.close()
        self.listener.close()


async def share(workers: int, clients: int, *, gone: int | None = None) -> list[int]:
    """How many of `clients` each worker took; the worker `gone` never accepts."""
    counts = [-1] * workers
    with socket.create_server(("127.0.0.1", 0)) as listener:
        staff = [Worker(listener, counts, place) for place in range(workers)]
        for place, worker in enumerate(staff):
            if place != gone:
                worker.acceptor.start()
        streams = [await asyncio.open_connection(*listener.getsockname()) for _ in range(clients)]
        async with asyncio.timeout(10):
            while sum(len(worker.connections) for worker in staff) < clients:  # noqa: ASYNC110 - in their time
                await asyncio.sleep(0.001)
        taken = [len(worker.connections) for worker in staff]
        for worker in staff:
            await worker.stop()
        for _, writer in streams:
            writer.close()
            await writer.wait_closed()
    return taken


async def test_connections_are_shared_out_evenly() -> None:
    fewer, more = sorted(await share(2, 10))
    # A worker that the system lets wait may come late to one of them.
    assert more - fewer <= 2


async def test_a_worker_that_does_not_accept_keeps_nobody_waiting() -> None:
    assert await share(2, 5, gone=1) == [5, 0]


async def test_a_worker_that_left_the_board_is_not_waited_for() -> None:
    counts = [3, -1]
    assert not Board(counts, 0).others_hold_fewer(3)
    Board(counts, 1).post(2)
    assert Board(counts, 0).others_hold_fewer(3)
    Board(counts, 1).leave()
    assert not Board(counts, 0).others_hold_fewer(3)
