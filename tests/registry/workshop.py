"""Uploads without HTTP: any number of workers on one database and one folder, and what must hold after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text
from tests.quota.exactness import charges_are_exact
from tests.registry.actors import digest_of
from tests.registry.faults import Pause, Trouble, TroubledDatabase, TroubledStore

from roadstead.config.settings import RegistrySettings, Settings
from roadstead.db.database import Database
from roadstead.identity.principals import Principal
from roadstead.identity.service import create_account
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName
from roadstead.projects.configurations import Configurations
from roadstead.projects.queries import create_project
from roadstead.projects.service import Projects
from roadstead.quota.reservations import Reservations
from roadstead.registry.calls import ClientGone
from roadstead.registry.uploads import queries
from roadstead.registry.uploads.queries import Session
from roadstead.registry.uploads.service import Uploads
from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.storage.drivers.filesystem.system import System
from roadstead.storage.protocol import BlobStore

NAME = RepositoryName("a", "app", "a/app")
SEAL_KEY = b"k" * 32
# What goes on when its request was cancelled.
BEHIND = {"_settle", "Intake.retire"}


class Unsynced(System):
    def fsync(self, fd: int) -> None:
        """Not today."""


@dataclass
class Worker:
    """One process's uploads."""

    uploads: Uploads
    store: BlobStore
    alice: Principal

    async def begin(self, algorithm: str = "sha256") -> str:
        return (await self.uploads.start(self.alice, NAME, algorithm)).id

    async def patch(
        self, upload: str, chunks: AsyncIterator[bytes] | bytes, chunk: tuple[int, int] | None = None
    ) -> Session:
        return await self.uploads.append(self.alice, NAME, upload, body(chunks), chunk=chunk)

    async def put(self, upload: str, data: bytes, chunks: AsyncIterator[bytes] | bytes = b"") -> None:
        """Finish the upload as `data`."""
        digest = Digest.of(data)
        await self.uploads.finish(self.alice, NAME, upload, body(chunks), digest, chunk=None)

    async def cancel(self, upload: str) -> None:
        await self.uploads.cancel(self.alice, NAME, upload)

    async def status(self, upload: str) -> Session:
        return await self.uploads.status(self.alice, NAME, upload)


class Workshop:
    def __init__(self, database: Database, folder: Path, alice: Principal) -> None:
        self.database = database
        self.folder = folder
        self.alice = alice
        self.now = 1_000
        self._opened: list[FilesystemStore] = []

    @classmethod
    async def open(cls, database: Database, folder: Path) -> Workshop:
        user = await database.write(_seed)
        return cls(database, folder, Principal(user, "alice", 1, None))

    def worker(
        self, trouble: Trouble | Pause | None = None, system: System | None = None, **settings: object
    ) -> Worker:
        """Another process.  No power is cut here, so nothing waits for the disk."""
        registry = RegistrySettings.model_validate(settings)
        opened = FilesystemStore(self.folder, threads=2, system=system or Unsynced())
        self._opened.append(opened)
        database, store = self.database, opened  # type: Database, BlobStore
        if trouble is not None:
            database, store = TroubledDatabase(database, trouble), TroubledStore(store, trouble)
        configurations = Configurations(self.database, Settings())
        projects = Projects(self.database, registry, configurations, anonymous_pull=True)
        uploads = Uploads(
            database,
            store,
            projects,
            [],
            registry,
            reservations=Reservations(database),
            seal_key=SEAL_KEY,
            clock=lambda: self.now,
        )
        return Worker(uploads, store, self.alice)

    async def close(self) -> None:
        """Every worker comes to its end: what still runs in a thread is done after this."""
        await self.quiet()
        for store in self._opened:
            await store.close()
        self._opened.clear()

    async def quiet(self) -> None:
        """Wait for what goes on behind the back of a cancelled request."""
        while left := [task for task in asyncio.all_tasks() if BEHIND & set(repr(task.get_coro()).split())]:
            await asyncio.wait(left)
        # A unit of work that had begun goes on without its caller; the next one comes after it.
        await self.database.write(lambda conn: None)

    async def upload_rows(self) -> list[Session]:
        return await self.database.read(_uploads)

    async def named_keys(self) -> set[str]:
        return await self.database.read(_named)

    async def stored_keys(self) -> set[str]:
        return {stored.key async for stored in FilesystemStore(self.folder, threads=1).keys()}  # noqa: SIM118 - a store, not a dict

    async def check(self, *, leftovers: bool = False) -> None:
        """Every row has its bytes; no bytes are without a row, unless `leftovers` may be; and all is charged for."""
        await charges_are_exact(self.database)
        store = FilesystemStore(self.folder, threads=1)
        try:
            for digest, key, size in await self.database.read(_blobs):
                data = await read(store, key, size)
                assert digest_of(data, digest.partition(":")[0]) == digest
                assert await store.size(key) == size
            for row in await self.upload_rows():
                if row.storage_key is not None:
                    assert await store.size(row.storage_key) >= row.size
            named = await self.named_keys()
            stored = {found.key async for found in store.keys()}  # noqa: SIM118 - a store, not a dict
            assert named <= stored
            assert leftovers or stored == named
        finally:
            await store.close()

    async def finishes(self, upload: str, data: bytes) -> None:
        """A client that comes back, to another worker, ends with the blob."""
        worker = self.worker()
        stands = (await worker.status(upload)).size
        assert stands <= len(data)
        await worker.put(upload, data, data[stands:])

    async def blob_count(self) -> int:
        return len(await self.database.read(_blobs))


async def read(store: BlobStore, key: str, size: int) -> bytes:
    async with aclosing(store.read(key, length=size)) as pieces:
        return b"".join([piece async for piece in pieces])


async def body(chunks: AsyncIterator[bytes] | Iterable[bytes] | bytes) -> AsyncIterator[bytes]:
    if isinstance(chunks, bytes):
        chunks = [chunks] if chunks else []
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk


async def then_gone(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body whose sender closes the connection."""
    for chunk in chunks:
        yield chunk
    raise ClientGone("gone")


class Held:
    """A body that sends each piece when it is told to."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.asked.set()
        while (piece := await self._pieces.get()) is not None:
            self.asked.clear()
            yield piece
            self.asked.set()

    async def send(self, piece: bytes) -> None:
        """Returns when the receiver has dealt with it: it wants more, or has had enough."""
        await self.asked.wait()
        self.asked.clear()
        self._pieces.put_nowait(piece)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.asked.wait(), 1)

    def end(self) -> None:
        self._pieces.put_nowait(None)


def _seed(conn: Connection) -> int:
    user = create_account(conn, "alice", "x", admin=False, now=1).id
    create_project(conn, "a", public=False, owner_id=user, now=1)
    return user


def _blobs(conn: Connection) -> list[tuple[str, str, int]]:
    return [tuple(row) for row in conn.execute(text("SELECT digest, storage_key, size FROM blobs"))]


def _named(conn: Connection) -> set[str]:
    rows = conn.execute(text("SELECT storage_key FROM blobs UNION SELECT storage_key FROM uploads"))
    return {row[0] for row in rows if row[0] is not None}


def _uploads(conn: Connection) -> list[Session]:
    table = queries.UPLOADS
    columns = [table.c[name] for name in Session.__dataclass_fields__]
    return [Session(*row) for row in conn.execute(table.select().with_only_columns(*columns))]
