"""The application without a socket: ASGI calls into one process, to time it without its server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.content import Blob
from roadstead.app import Application, create_app
from roadstead.config.settings import DatabaseSettings, LogSettings, Settings
from roadstead.wiring import prepare

Message = MutableMapping[str, Any]


class Call:
    """A request that can be made again and again."""

    def __init__(
        self, app: Application, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        path, _, query = target.partition("?")
        self._app = app
        self._body = body
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 5000),
            "extensions": {},
        }
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.body = bytearray()

    async def __call__(self) -> None:
        """Raises `RuntimeError` if it is refused."""
        # The server makes a scope for each request, and the application may write to it.
        self.body.clear()
        await self._app(dict(self._scope), self._receive, self._send)
        if self.status >= 300:
            raise RuntimeError(
                f"{self._scope['method']} {self._scope['path']}: {self.status} {self.body[:300]!r}"
            )

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


class Client:
    """Speaks to an application as its administrator."""

    def __init__(self, app: Application, password: str) -> None:
        self._app = app
        basic = base64.b64encode(f"admin:{password}".encode()).decode()
        self._headers = {
            "host": "127.0.0.1:5000",
            "authorization": f"Basic {basic}",
            "user-agent": "benchmarks",
        }

    def call(self, method: str, target: str, body: bytes = b"", **headers: str) -> Call:
        """`content_type` becomes the header `content-type`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        if body or method in {"POST", "PUT", "PATCH"}:
            more["content-length"] = str(len(body))
        return Call(self._app, method, target, self._headers | more, body)

    async def sign_in(self, repository: str) -> None:
        """From now on, send a token for this repository, as clients do."""
        asked = self.call("GET", f"/service/token?service=roadstead&scope=repository:{repository}:pull,push")
        await asked()
        self._headers["authorization"] = f"Bearer {json.loads(asked.body)['token']}"

    async def push_blob(self, repository: str, blob: Blob) -> None:
        started = self.call("POST", f"/v2/{repository}/blobs/uploads/")
        await started()
        location = started.headers[b"location"].decode()
        path = location if location.startswith("/") else "/" + location.split("/", 3)[3]
        target = f"{path}{'&' if '?' in path else '?'}digest={blob.digest}"
        await self.call("PUT", target, _whole(blob.pieces), content_type="application/octet-stream")()


def _whole(pieces: Sequence[bytes | memoryview]) -> bytes:
    return b"".join(pieces)


@asynccontextmanager
async def running(folder: Path, password: str, *, database_url: str = "") -> AsyncIterator[Client]:
    """The application with a store in this folder, and a database there or elsewhere."""
    database = DatabaseSettings.model_validate({"url": database_url})
    settings = Settings(data=folder, database=database, log=LogSettings(level="warning"))
    await asyncio.to_thread(prepare, settings)
    app = create_app(settings)
    wants: asyncio.Queue[Message] = asyncio.Queue()
    says: asyncio.Queue[Message] = asyncio.Queue()
    lifespan = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, wants.get, says.put))
    await _expect("startup", wants, says)
    try:
        yield Client(app, password)
    finally:
        await _expect("shutdown", wants, says)
        await lifespan


async def _expect(phase: str, wants: asyncio.Queue[Message], says: asyncio.Queue[Message]) -> None:
    await wants.put({"type": f"lifespan.{phase}"})
    answer = await says.get()
    if answer["type"] != f"lifespan.{phase}.complete":
        raise RuntimeError(f"the application failed at {phase}: {answer.get('message', '')}")
