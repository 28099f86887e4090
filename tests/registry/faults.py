"""Databases and stores that fail, stop, or have their caller cancelled, at a chosen call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, Literal, TypeVar

from sqlalchemy import Connection

from roadstead.db.database import Database, DialectName, P, PreparedQuery, Row
from roadstead.errors import Unavailable
from roadstead.storage.protocol import Also, BlobStore, BlobWriter, StoredKey, StoreState

T = TypeVar("T")

Kind = Literal["cancelled before", "cancelled during", "failed before", "failed after"]
KINDS: tuple[Kind, ...] = ("cancelled before", "cancelled during", "failed before", "failed after")


class Trouble:
    """Counts the calls to the database and the store; something happens at the one numbered `at`."""

    def __init__(self, kind: Kind | None = None, at: int = -1) -> None:
        self.kind = kind
        self.at = at
        self.calls: list[str] = []
        # Whose calls are cut short; it is told apart from what goes on behind its back.
        self.victim: asyncio.Task[Any] | None = None
        self.hit: str | None = None

    async def around(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        number = len(self.calls)
        self.calls.append(name)
        if number != self.at:
            return await call()
        self.hit = name
        match self.kind:
            case "cancelled before":
                self._cancel()
                await asyncio.sleep(0)
            case "cancelled during":
                self._cancel()
            case "failed before":
                raise Unavailable(f"{name} fails, on purpose")
            case "failed after":
                await call()
                raise Unavailable(f"{name} fails after the fact, on purpose")
        return await call()

    @property
    def may_leave_bytes(self) -> bool:
        """Whether bytes that no row names are nobody's fault, and the sweep's to find.

        The commit's outcome was left open, or the store did not delete, or did not hand its writer over.
        """
        hit = {self.hit}
        if self.kind == "cancelled during":
            # A call that does not wait ends first, and the next one is cut short.
            hit.update(self.calls[self.at + 1 : self.at + 2])
        if hit & {"write", "delete"}:
            return True
        failed = self.kind in {"failed before", "failed after"}
        return failed and self.hit in {"close", "resume", "create"}

    def _cancel(self) -> None:
        assert self.victim is not None
        self.victim.cancel()


class Pause:
    """Holds the first call of a name back until it is let go."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def around(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        if name == self.name and not self.reached.is_set():
            self.reached.set()
            await self.go.wait()
        return await call()


class TroubledDatabase(Database):
    def __init__(self, inner: Database, trouble: Trouble | Pause) -> None:
        self._inner = inner
        self._trouble = trouble

    @property
    def dialect(self) -> DialectName:
        return self._inner.dialect

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._trouble.around("read", lambda: self._inner.read(function, *args, **kwargs))

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._trouble.around("write", lambda: self._inner.write(function, *args, **kwargs))

    async def brief(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._trouble.around("brief", lambda: self._inner.brief(function, *args, **kwargs))

    async def first(self, query: PreparedQuery, parameters: Mapping[str, object]) -> Row | None:
        return await self._trouble.around("first", lambda: self._inner.first(query, parameters))

    async def all(self, query: PreparedQuery, parameters: Mapping[str, object]) -> list[Row]:
        return await self._trouble.around("all", lambda: self._inner.all(query, parameters))

    async def changed(self, timeout: float) -> None:  # noqa: ASYNC109 - the protocol's
        await self._inner.changed(timeout)

    async def close(self) -> None:
        """The inner one is somebody else's."""


class TroubledWriter(BlobWriter):
    def __init__(self, inner: BlobWriter, trouble: Trouble | Pause) -> None:
        self._inner = inner
        self._trouble = trouble

    @property
    def key(self) -> str:
        return self._inner.key

    @property
    def size(self) -> int:
        return self._inner.size

    async def write(self, data: bytes, *, also: Also | None = None) -> None:
        await self._trouble.around("append", lambda: self._inner.write(data, also=also))

    async def checkpoint(self) -> StoreState:
        return await self._trouble.around("checkpoint", self._inner.checkpoint)

    async def commit(self) -> None:
        await self._trouble.around("commit", self._inner.commit)

    async def finish(self, data: bytes, *, also: Also | None = None) -> None:
        await self._trouble.around("finish", lambda: self._inner.finish(data, also=also))

    async def close(self) -> None:
        await self._trouble.around("close", self._inner.close)


class TroubledStore(BlobStore):
    def __init__(self, inner: BlobStore, trouble: Trouble | Pause) -> None:
        self._inner = inner
        self._trouble = trouble

    async def create(self, key: str) -> BlobWriter:
        writer = await self._trouble.around("create", lambda: self._inner.create(key))
        return TroubledWriter(writer, self._trouble)

    async def resume(self, key: str, state: StoreState, size: int, *, fence: bool) -> BlobWriter:
        writer = await self._trouble.around(
            "resume", lambda: self._inner.resume(key, state, size, fence=fence)
        )
        return TroubledWriter(writer, self._trouble)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        return self._inner.read(key, offset=offset, length=length)

    async def size(self, key: str) -> int:
        return await self._inner.size(key)

    async def delete(self, key: str, state: StoreState | None = None) -> None:
        await self._trouble.around("delete", lambda: self._inner.delete(key, state))

    def local_path(self, key: str) -> Path | None:
        return self._inner.local_path(key)

    def keys(self) -> AsyncGenerator[StoredKey, None]:
        return self._inner.keys()

    async def probe(self) -> None:
        await self._inner.probe()

    async def close(self) -> None:
        await self._inner.close()
