"""An HTTP client that shows what the wire shows: which answers came whole, and which never came."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from roadstead.testing.running import ADMIN, PASSWORD

# An answer that takes longer than this is counted as none: far beyond any deadline of the server's.
PATIENCE = 150.0
_MOST_HEAD = 256 * 1024
_READ = 1024 * 1024


class Gone(Exception):
    """The connection ended, or was refused, before there was a whole answer."""


class Hung(Exception):
    """No answer within `PATIENCE`."""


@dataclass(frozen=True)
class Answer:
    status: int
    fields: Mapping[str, str] = field(repr=False)
    body: bytes
    # Bytes of the body, wherever they went.
    length: int

    def __getitem__(self, name: str) -> str:
        return self.fields[name.lower()]

    def get(self, name: str) -> str | None:
        return self.fields.get(name.lower())

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Body = bytes | Iterable[bytes] | None
Sink = Callable[[bytes], None]


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


SIGNED_IN = basic(ADMIN, PASSWORD)


class Client:
    """One connection, kept as long as the server keeps it.  Signed in with `authorization`, if that is set."""

    def __init__(self, host: str, port: int, authorization: str = "") -> None:
        self.host, self.port = host, port
        self.authorization = authorization
        # Answers that came whole.
        self.answers = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection, as a client that is killed does."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def request(
        self,
        method: str,
        target: str,
        body: Body = None,
        *,
        headers: Mapping[str, str] | None = None,
        length: int | None = None,
        sink: Sink | None = None,
        patience: float = PATIENCE,
    ) -> Answer:
        """Send, and wait for the whole answer.

        A body of bytes has its Content-Length; an iterable goes in chunks, unless `length` says how long it
        is.  `sink` takes the body of a 2xx piece by piece.  Raises `Gone` or `Hung`.
        """
        try:
            async with asyncio.timeout(patience):
                answer = await self._exchange(
                    method, target, body, dict(headers or {}), length=length, sink=sink
                )
        except TimeoutError:
            self.close()
            raise Hung(f"{method} {target}") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.close()
            raise Gone(f"{method} {target}: {error}") from error
        except BaseException:
            self.close()
            raise
        self.answers += 1
        return answer

    async def sign_in(self, *scopes: str, username: str = ADMIN, password: str = PASSWORD) -> Answer:
        """Fetch a token and use it from now on, as docker does."""
        pairs = [("service", "roadstead"), *(("scope", scope) for scope in scopes)]
        query = urllib.parse.urlencode(pairs)
        self.authorization = basic(username, password)
        answer = await self.request("GET", f"/service/token?{query}")
        if answer.status == 200:
            self.authorization = f"Bearer {answer.json['token']}"
        return answer

    async def _exchange(
        self,
        method: str,
        target: str,
        body: Body,
        headers: dict[str, str],
        *,
        length: int | None,
        sink: Sink | None,
    ) -> Answer:
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=_MOST_HEAD)
        assert self._reader is not None
        with suppress(ConnectionError):
            # A server that refuses early may close while we send; what it said can still be read.
            await self._send(self._writer, method, target, body, headers, length=length)
        return await self._receive(self._reader, method, sink)

    async def _send(
        self,
        writer: asyncio.StreamWriter,
        method: str,
        target: str,
        body: Body,
        headers: dict[str, str],
        *,
        length: int | None,
    ) -> None:
        headers.setdefault("Host", f"{self.host}:{self.port}")
        if self.authorization:
            headers.setdefault("Authorization", self.authorization)
        chunked = False
        if isinstance(body, bytes) or (body is None and method in {"POST", "PUT", "PATCH"}):
            headers.setdefault("Content-Length", str(len(body or b"")))
        elif body is not None and length is not None:
            headers.setdefault("Content-Length", str(length))
        elif body is not None:
            headers["Transfer-Encoding"] = "chunked"
            chunked = True
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if body is None or isinstance(body, bytes):
            writer.write(head + (body or b""))
            await writer.drain()
            return
        writer.write(head)
        for piece in body:
            writer.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if chunked else (piece,))
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def _receive(self, reader: asyncio.StreamReader, method: str, sink: Sink | None) -> Answer:
        status, fields = await _head(reader)
        while 100 <= status < 200:
            status, fields = await _head(reader)
        parts: list[bytes] = []
        keep = sink if sink is not None and 200 <= status < 300 else parts.append
        count = 0
        if method == "HEAD" or status in {204, 304}:
            pass
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                keep(await reader.readexactly(size))
                count += size
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            expected = int(fields.get("content-length", "0"))
            while count < expected:
                piece = await reader.read(min(_READ, expected - count))
                if not piece:
                    raise asyncio.IncompleteReadError(b"", expected - count)
                keep(piece)
                count += len(piece)
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, fields, b"".join(parts), count)


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return int(first.split(" ", 2)[1]), fields
