"""One wrapper around the whole app: a request's id, its line in the access log, and the last answer to a fault."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from json.encoder import encode_basestring_ascii as _quoted
from time import perf_counter
from typing import Any

import structlog

from roadstead.telemetry import logs
from roadstead.telemetry.logs import request_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

log = structlog.stdlib.get_logger("roadstead.requests")

REQUEST_ID = "roadstead.request_id"
USER = "roadstead.user"
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class _Response:
    """What was sent of one response."""

    __slots__ = ("_id", "_send", "disconnected", "length", "status")

    def __init__(self, send: Send, identity: bytes) -> None:
        self._send = send
        self._id = identity
        self.status = 0
        self.length = 0
        self.disconnected = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self.length += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id)]
        elif kind == "roadstead.sendfile":
            self.length += message["count"]
        try:
            await self._send(message)
        except OSError:
            self.disconnected = True
            raise


class RequestLog:
    """Pure ASGI.  The app may set `scope["roadstead.user"]`, and finds `scope["roadstead.request_id"]`."""

    def __init__(self, app: App, *, access: bool = True) -> None:
        self._app = app
        self._access = access
        # Bound once, with the configuration of now: the lazy logger binds anew for each event.
        self._log = log.bind()
        # Ids need to be unlike each other, not hard to guess.
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)
        self._lines: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or REQUEST_ID in scope:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        identity = self._identity(scope["headers"])
        scope[REQUEST_ID] = identity
        known = request_id.set(identity)
        response = _Response(send, identity.encode())
        try:
            await self._app(scope, receive, response.send)
        except Exception:
            if not response.disconnected:
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                await self._answer_fault(response)
        finally:
            request_id.reset(known)
            if self._access:
                self._write(scope, response, identity, perf_counter() - started)

    def _identity(self, headers: list[tuple[bytes, bytes]]) -> str:
        for name, value in headers:
            if name == b"x-request-id" and _SANE_ID.fullmatch(value):
                return value.decode("ascii")
        return f"{self._prefix}{next(self._numbers):06x}"

    @staticmethod
    async def _answer_fault(response: _Response) -> None:
        if response.status:
            # Too late for an answer; the server ends the connection.
            raise RuntimeError("the app failed in the middle of a response")
        message = "something went wrong here; the server's log has the details"
        document = {"errors": [{"code": "UNKNOWN", "message": message}]}
        body = json.dumps(document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await response.send({"type": "http.response.start", "status": 500, "headers": headers})
        await response.send({"type": "http.response.body", "body": body})

    def _write(self, scope: Scope, response: _Response, identity: str, seconds: float) -> None:
        client = scope.get("client")
        method, path = scope["method"], scope["path"]
        # 499: the client left before there was anything to tell it.
        status = response.status or 499
        size = 0 if method == "HEAD" else response.length
        milliseconds = round(seconds * 1000, 2)
        address = client[0] if client else "unix"
        user = scope.get(USER, "")
        write = logs.json_writer()
        if write is None:
            self._log.info(
                "request.finished",
                method=method,
                path=path,
                status=status,
                bytes=size,
                duration_ms=milliseconds,
                client=address,
                user=user,
                request_id=identity,
            )
            return
        # A line for every request: written out like this, it costs a fifth of what an event costs.
        line = (
            f'{{"method":{_quoted(method)},"path":{_quoted(path)},"status":{status},"bytes":{size},'
            f'"duration_ms":{milliseconds},"client":{_quoted(address)},"user":{_quoted(user)},'
            f'"request_id":{_quoted(identity)},"event":"request.finished",'
            f'"time":"{logs.timestamp()}","level":"info"}}'
        )
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush, write)
        self._lines.append(line)

    def _flush(self, write: Callable[[str], None]) -> None:
        """Requests that end in one turn of the event loop share a system call."""
        lines, self._lines = self._lines, []
        write("\n".join(lines))
