"""The load generator: many connections in few processes, light enough that the server is what is measured.

A process drives its connections from one epoll loop.  What they do is a script: an iterator of operations,
each a generator that yields requests and is sent the answers.  Answers' bodies are dropped inside the kernel.
"""

from __future__ import annotations

import array
import gc
import multiprocessing
import os
import select
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

from benchmarks.wire import Chunks, Piece, Request, Response, WireError

Operation = Generator[Request, Response, None]
# The operations of the part-th of so many processes.  Its connections take them in turn.
Script = Callable[[int, int], Iterator[Operation]]

_RECEIVE = 64 * 1024
_DISCARD = 1024 * 1024
# Pieces offered to the kernel in one call.
_PIECES = 64
_STUCK = 120.0


class LoadFailed(Exception):
    """An answer was not what the line expects, so its numbers would mean nothing."""


@dataclass(slots=True)
class Part:
    """What one process saw.  Times are of the monotonic clock, which processes share."""

    started: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0
    latencies: array.array[float] = field(default_factory=lambda: array.array("d"))
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class LoadResult:
    operations: int
    elapsed: float
    client_cpu: float
    latencies: array.array[float]

    @property
    def rate(self) -> float:
        return self.operations / self.elapsed if self.elapsed else 0.0

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the operations was done."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class _Connection:
    """One connection and the operation that it is in the middle of."""

    __slots__ = (
        "_began", "_buffer", "_chunks", "_left", "_loop", "_operation", "_out", "_request", "_response",
        "_sock", "_waits_to_write",
    )  # fmt: skip

    def __init__(self, loop: _Loop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._buffer = b""
        self._left = 0
        self._chunks: Chunks | None = None
        self._response: Response | None = None
        self._request: Request | None = None
        self._operation: Operation | None = None
        self._out: list[Piece] = []
        self._waits_to_write = False
        self._began = 0.0

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        self._sock.close()

    def begin(self) -> None:
        """Start the next operation, if there is one."""
        operation = self._loop.next_operation()
        if operation is None:
            self._operation = None
            self._loop.idle()
            return
        self._operation = operation
        self._began = time.perf_counter()
        self._send(next(operation))

    def _send(self, request: Request) -> None:
        self._request = request
        self._out = list(request.pieces)
        self.writable()

    def writable(self) -> None:
        out = self._out
        try:
            if len(out) == 1:
                # What all requests without a body are: a call less costly than the one below.
                sent = self._sock.send(out[0])
                if sent == len(out[0]):
                    out.clear()
                else:
                    out[0] = memoryview(out[0])[sent:]
            while out:
                sent = self._sock.sendmsg(out[:_PIECES])
                while out and sent >= len(out[0]):
                    sent -= len(out.pop(0))
                if sent:
                    out[0] = memoryview(out[0])[sent:]
        except BlockingIOError:
            if not self._waits_to_write:
                self._waits_to_write = True
                self._loop.watch(self, writing=True)
            return
        except (BrokenPipeError, ConnectionResetError):
            # An answer that refuses the request may be waiting to be read: it says more than the broken pipe.
            out.clear()
        if self._waits_to_write:
            self._waits_to_write = False
            self._loop.watch(self, writing=False)

    def readable(self) -> None:
        if self._response is not None and self._chunks is None and self._left > _RECEIVE:
            self._discard()
            return
        try:
            data = self._sock.recv(_RECEIVE)
        except BlockingIOError:
            return
        if not data:
            raise WireError("the server closed the connection")
        if self._response is None:
            self._read_head(data)
        else:
            self._read_body(data)

    def _discard(self) -> None:
        # MSG_TRUNC: the kernel drops the bytes without copying them to us.
        with suppress(BlockingIOError):
            taken = self._sock.recv_into(self._loop.bin, min(self._left, _DISCARD), socket.MSG_TRUNC)
            if not taken:
                raise WireError("the server closed the connection in the middle of a body")
            self._left -= taken
            if not self._left:
                self._answered()

    def _read_head(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._buffer = data
            return
        self._buffer = b""
        head = data[:end]
        if head[:5] != b"HTTP/" or self._request is None:
            raise WireError(f"{head[:60]!r} answers nothing that was asked")
        self._response = response = Response(int(head[9:12]), head)
        if response.status != self._request.expect:
            raise LoadFailed(self._complaint(response, data[end + 4 :]))
        if self._out:
            raise LoadFailed("the server answered before it had the whole request")
        self._left = 0
        if not self._request.without_body and response.status != 204:
            self._left = response.length = body_length(head)
            if self._left < 0:
                self._chunks = Chunks()
        if len(data) - end - 4 == self._left:
            self._left = 0
            self._answered()
        else:
            self._read_body(data[end + 4 :])

    def _read_body(self, data: bytes) -> None:
        if self._chunks is not None:
            self._chunks.feed(data)
            if self._chunks.ended:
                self._answered()
            return
        self._left -= len(data)
        if self._left < 0:
            raise WireError("the server sent more than it announced")
        if not self._left:
            self._answered()

    def _answered(self) -> None:
        response, self._response = self._response, None
        if response is None or self._operation is None:
            raise WireError("an answer without a question")
        if self._chunks is not None:
            response.length, self._chunks = self._chunks.length, None
        if b"\r\nConnection: close" in response.head:
            self._reconnect()
        try:
            request = self._operation.send(response)
        except StopIteration:
            self._loop.done(self._began)
            self.begin()
        else:
            self._send(request)

    def _reconnect(self) -> None:
        self._loop.forget(self)
        self._sock.close()
        self._sock = self._loop.connect()
        self._loop.watch_new(self)

    def _complaint(self, response: Response, body: bytes) -> str:
        request = self._request
        asked = bytes(request.pieces[0]).split(b"\r\n", 1)[0].decode("latin-1") if request else "nothing"
        wanted = request.expect if request else 0
        return (
            f"{asked!r} was answered {response.status}, not {wanted}: {body[:300].decode('utf-8', 'replace')}"
        )


def body_length(head: bytes) -> int:
    """The length that the head of an answer announces; -1 for chunked framing, 0 for neither."""
    # Go and uvicorn spell it in these two ways, and this is the client's hottest place.
    at = head.find(b"\r\nContent-Length: ")
    if at < 0:
        at = head.find(b"\r\ncontent-length: ")
    if at < 0:
        lower = head.lower()
        at = lower.find(b"\r\ncontent-length:")
        if at < 0:
            return -1 if b"\r\ntransfer-encoding: chunked" in lower else 0
    start = at + len(b"\r\nContent-Length:")
    end = head.find(b"\r\n", start)
    return int(head[start : end if end >= 0 else len(head)])


class _Loop:
    """One process's connections, until the script or the time has run out."""

    def __init__(self, address: tuple[str, int], script: Iterator[Operation], connections: int) -> None:
        self.bin = bytearray(_DISCARD)
        self.part = Part()
        self._address = address
        self._script = script
        self._deadline = float("inf")
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._busy = 0
        for _ in range(connections):
            self.watch_new(_Connection(self, self.connect()))

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    def watch_new(self, connection: _Connection) -> None:
        self._connections[connection.fileno()] = connection
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def forget(self, connection: _Connection) -> None:
        self._epoll.unregister(connection.fileno())
        del self._connections[connection.fileno()]

    def watch(self, connection: _Connection, *, writing: bool) -> None:
        self._epoll.modify(connection.fileno(), select.EPOLLIN | (select.EPOLLOUT if writing else 0))

    def next_operation(self) -> Operation | None:
        if time.perf_counter() >= self._deadline:
            return None
        return next(self._script, None)

    def done(self, began: float) -> None:
        self.part.ended = now = time.perf_counter()
        self.part.latencies.append(now - began)

    def idle(self) -> None:
        self._busy -= 1

    def run(self, seconds: float | None) -> None:
        cpu = time.process_time()
        self.part.started = self.part.ended = time.perf_counter()
        if seconds is not None:
            self._deadline = self.part.started + seconds
        self._busy = len(self._connections)
        for connection in list(self._connections.values()):
            connection.begin()
        while self._busy > 0:
            events = self._epoll.poll(_STUCK)
            if not events:
                raise LoadFailed(f"no byte moved for {_STUCK:g} seconds")
            for descriptor, event in events:
                connection = self._connections[descriptor]
                if event & select.EPOLLOUT:
                    connection.writable()
                if event & ~select.EPOLLOUT:
                    connection.readable()
        self.part.cpu = time.process_time() - cpu

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._epoll.close()


def _child(
    pipe: Pipe, address: tuple[str, int], script: Iterator[Operation], connections: int, seconds: float | None
) -> None:
    # A collection in the middle of a line would be the client's pause, not the server's.
    gc.disable()
    part = Part()
    try:
        loop = _Loop(address, script, connections)
        part = loop.part
        pipe.send(None)
        pipe.recv()
        loop.run(seconds)
        loop.close()
    except (LoadFailed, WireError, OSError) as error:
        part.failure = f"{type(error).__name__}: {error}"
    pipe.send(part)


def run_load(
    address: tuple[str, int],
    script: Script,
    *,
    connections: int,
    processes: int = 1,
    seconds: float | None = None,
    around: Callable[[], None] = lambda: None,
) -> LoadResult:
    """Run the script over so many connections, for `seconds` or until it ends; operations begun are finished.

    `around` is called when all connections stand, before the first request, and again after the last answer.
    """
    processes = min(processes, connections)
    shares = [len(range(part, connections, processes)) for part in range(processes)]
    # Forked, so that scripts may be closures and large contents are shared.
    context = multiprocessing.get_context("fork")
    pipes: list[Pipe] = []
    children = []
    for part, share in enumerate(shares):
        ours, theirs = context.Pipe()
        child = context.Process(
            target=_child, args=(theirs, address, script(part, processes), share, seconds)
        )
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        parts = _conduct(pipes, around)
    finally:
        for child in children:
            child.join(timeout=5)
            if child.is_alive():
                child.kill()
    return _sum(parts)


def _conduct(pipes: list[Pipe], around: Callable[[], None]) -> list[Part]:
    early = [pipe.recv() for pipe in pipes]
    _refuse([part for part in early if part is not None])
    around()
    for pipe in pipes:
        pipe.send(None)
    parts: list[Part] = [pipe.recv() for pipe in pipes]
    around()
    _refuse(parts)
    return parts


def _refuse(parts: list[Part]) -> None:
    failures = [part.failure for part in parts if part.failure]
    if failures:
        raise LoadFailed(failures[0])


def _sum(parts: list[Part]) -> LoadResult:
    latencies = array.array("d")
    for part in parts:
        latencies.extend(part.latencies)
    elapsed = max(part.ended for part in parts) - min(part.started for part in parts)
    return LoadResult(len(latencies), elapsed, sum(part.cpu for part in parts), latencies)


def cores() -> int:
    return len(os.sched_getaffinity(0))
