"""File to socket inside the kernel, without ever waiting for disk or client on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Up to this size, one read and one ordinary write are cheaper.
SMALL = 64 * 1024
# What one turn in a thread may send, so that a fast client leaves room for others.
_TURN = 16 * 1024 * 1024

# Started by the first file; a cold disk keeps these threads waiting and nothing else.
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sendfile")


class FileCutShort(OSError):
    """The file ends before the bytes that were promised."""


class ClientStalled(OSError):
    """The client took nothing for as long as we wait."""


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a file thread.  Never returns or raises while the thread still runs: it may hold descriptors."""
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(_threads, lambda: function(*args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


def read(path: str, offset: int, count: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(descriptor, count, offset)
    finally:
        os.close(descriptor)
    if len(data) != count:
        raise FileCutShort(f"the file ends {count - len(data)} bytes early")
    return data


def _open(path: str, end: int) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    size = os.fstat(descriptor).st_size
    if size < end:
        os.close(descriptor)
        raise FileCutShort(f"the file ends {end - size} bytes early")
    return descriptor


def _push(socket: int, file: int, offset: int, count: int) -> tuple[int, bool]:
    """Send what the socket takes now.  Returns the bytes sent, and whether it may take more at once."""
    sent = 0
    while sent < count and sent < _TURN:
        try:
            step = os.sendfile(socket, file, offset + sent, count - sent)
        except BlockingIOError:
            return sent, False
        if step == 0:
            raise FileCutShort(f"the file lost {count - sent} bytes while it was sent")
        sent += step
    return sent, True


class FileSender:
    """One file on its way.  `lost()` may be called at any time; sending then ends with ConnectionResetError."""

    def __init__(self, socket: int, *, timeout: float) -> None:
        # A duplicate, for two reasons: the transport may close its own descriptor while a thread uses ours,
        # and uvloop lets nobody watch a descriptor that belongs to a transport.
        self._socket = os.dup(socket)
        self._timeout = timeout
        self._waiting: asyncio.Future[None] | None = None
        self._lost = False

    def lost(self) -> None:
        self._lost = True
        self._settle(ConnectionResetError("the client is gone"))

    async def send(self, path: str, offset: int, count: int) -> None:
        try:
            file = await in_thread(_open, path, offset + count)
            try:
                while count:
                    if self._lost:
                        raise ConnectionResetError("the client is gone")
                    sent, more = await in_thread(_push, self._socket, file, offset, count)
                    offset += sent
                    count -= sent
                    if count and not more:
                        await self._writable()
            finally:
                os.close(file)
        finally:
            os.close(self._socket)

    async def _writable(self) -> None:
        if self._lost:
            return
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        loop.add_writer(self._socket, self._settle, None)
        stalled = ClientStalled(f"the client took nothing for {self._timeout:g} seconds")
        timer = loop.call_later(self._timeout, self._settle, stalled)
        try:
            await self._waiting
        finally:
            timer.cancel()
            loop.remove_writer(self._socket)
            self._waiting = None

    def _settle(self, error: OSError | None) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if error is None:
            self._waiting.set_result(None)
        else:
            self._waiting.set_exception(error)
