"""The admin API inside this process, on the installation's own database, with or without a server beside it.

Whoever may read the database is the operator: nobody signs in.  No job runs here; what a change leaves to be done
later, the server or `roadstead worker` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from roadstead.cli.administration import FIRST_REFUSAL, Answer, Sink
from roadstead.cli.offline import settings_of

if TYPE_CHECKING:
    from roadstead.api.server import ApiServer
    from roadstead.registry.calls import Message, Scope


class Local:
    """Sends requests to the application itself.  Opens the installation with the first of them."""

    def __init__(self, config_file: Path | None, data: str | None) -> None:
        self._config_file, self._data = config_file, data
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._api: ApiServer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._runner as runner:
            if self._api is not None:
                runner.run(self._stack.aclose())

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, sink: Sink | None = None
    ) -> Answer:
        if self._api is None:
            settings = settings_of(self._config_file, self._data)
            from roadstead.api.server import ApiServer
            from roadstead.wiring import build

            parts = self._runner.run(self._stack.enter_async_context(build(settings)))
            self._api = ApiServer(parts.services)
        return self._runner.run(_ask(self._api, _scope(method, target, headers), body, sink))


def _scope(method: str, target: str, headers: Mapping[str, str]) -> Scope:
    from roadstead.api.callers import OPERATOR_IN_SCOPE
    from roadstead.identity.principals import OPERATOR

    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "raw_path": path.encode("ascii"),
        "path": path,
        "root_path": "",
        "query_string": query.encode("ascii"),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
        OPERATOR_IN_SCOPE: OPERATOR,
    }


async def _ask(api: ApiServer, scope: Scope, body: bytes, sink: Sink | None) -> Answer:
    status = 500
    headers: dict[str, str] = {}
    read = bytearray()

    asked = iter([{"type": "http.request", "body": body, "more_body": False}])
    gone = asyncio.Event()

    async def receive() -> Message:
        for message in asked:
            return message
        # Whoever waits for us to go away waits until the answer is complete.
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.update(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in _lines(message)
            )
        elif sink is not None and status < FIRST_REFUSAL:
            sink(message.get("body", b""))
        else:
            read.extend(message.get("body", b""))

    await api(scope, receive, send)
    return Answer(status, headers, bytes(read))


def _lines(message: Message) -> list[tuple[bytes, bytes]]:
    found: Any = message.get("headers", ())
    return [(name.lower(), value) for name, value in found]
