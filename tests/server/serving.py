"""A server in a thread, and raw sockets to it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.server.apps import Echo

from roadstead.config.settings import HttpSettings, Settings
from roadstead.server.limits import Limits
from roadstead.server.sockets import listen
from roadstead.server.worker import GuardedConfig, WorkerServer, wrapped

# Deadlines that a test can wait for.
FAST: dict[str, Any] = {
    "header_timeout": 0.4,
    "keep_alive_timeout": 0.5,
    "body_grace": 0.4,
    "min_body_rate": 1000,
    "write_timeout": 0.4,
    "drain_timeout": 2.0,
}


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seen(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A raw socket that reads responses one by one."""

    sock: socket.socket
    buffer: bytes = field(default=b"")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def more(self) -> bool:
        try:
            data = self.sock.recv(1 << 20)
        except (ConnectionResetError, ssl.SSLError):
            return False
        self.buffer += data
        return bool(data)

    def response(self, *, head_only: bool = False) -> Response:
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                raise EOFError(self.buffer)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        length = 0 if head_only or status < 200 else int(headers.get("content-length", "0"))
        while len(self.buffer) < length:
            if not self.more():
                raise EOFError(f"{len(self.buffer)} of {length}")
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Response(status, headers, body)

    def ended(self) -> bool:
        """True once the server closed, with nothing more said."""
        while self.more():
            pass
        return self.buffer == b""

    def close(self) -> None:
        self.sock.close()


class Serving:
    def __init__(self, settings: Settings, app: Any, limits: Limits) -> None:
        self.app = app
        self._clients: list[Client] = []
        [self._listener] = listen(settings)
        self.address = self._listener.getsockname()
        config = GuardedConfig(partial(wrapped, lambda _: app, settings), settings)
        config.limits = limits
        ready = threading.Event()
        self.server = WorkerServer(config, lambda _: ready.set())
        self._thread = threading.Thread(target=self.server.run, args=([self._listener],), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def connect(self, *, context: ssl.SSLContext | None = None, receive_buffer: int = 0) -> Client:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        sock.connect(self.address)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        client = Client(sock)
        self._clients.append(client)
        return client

    def hang_up(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def ask(self, request: bytes) -> Response:
        client = self.connect()
        try:
            client.send(request)
            return client.response()
        finally:
            client.close()

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        self.hang_up()
        self.server.should_exit = True
        self._thread.join(10)
        self._listener.close()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


@contextlib.contextmanager
def serving(
    data: Path,
    app: Any = None,
    *,
    limits: dict[str, Any] | None = None,
    http: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Serving]:
    chosen = Settings(data=data, port=0, http=HttpSettings(**{**FAST, **(http or {})}), **settings)
    server = Serving(chosen, app or Echo(), replace(Limits.of(chosen.http), **(limits or {})))
    try:
        yield server
    finally:
        server.stop()
