"""A relay that keeps what clients say: which requests a client really makes."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Relay:
    """Listens on a port of its own and passes bytes to and fro, over plain TCP."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._heard: list[bytearray] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def headers(self, name: str) -> list[str]:
        """The values of a header in everything that was said."""
        prefix = name.lower() + ":"
        lines = b"\r\n".join(bytes(said) for said in self._heard).decode("latin-1").split("\r\n")
        return [line[len(prefix) :].strip() for line in lines if line.lower().startswith(prefix)]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                heard = bytearray()
                self._heard.append(heard)
                threading.Thread(target=_pass, args=(client, server, heard), daemon=True).start()
                threading.Thread(target=_pass, args=(server, client, None), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, heard: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if heard is not None:
                heard += data
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
