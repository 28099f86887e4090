"""Taking in the bytes of one request: hash, write, checkpoint.

Two requests may send to one upload at once, and a worker that was thought dead may come back.  So nobody trusts
that they are alone: the first bytes of an upload go to a key of the request's own; later ones are written under
a claim, and whoever finds a claim that was never given back moves to a copy (`BlobStore.resume` with a fence).
Every change of the row is made only where the row is still what it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import uuid4

from roadstead.db.database import Database
from roadstead.errors import BlobUploadInvalid, DigestInvalid, RoadsteadError, TooLarge, Unavailable
from roadstead.oci.digests import Digest
from roadstead.quota.reservations import UploadReservation
from roadstead.registry.uploads import queries
from roadstead.registry.uploads.queries import Session
from roadstead.storage.hashing import RunningHash
from roadstead.storage.protocol import BlobStore, BlobWriter, new_key
from roadstead.telemetry.clock import Clock

# Bytes gathered before a thread writes and hashes them.
PIECE = 1024 * 1024
# How often a long request makes durable what it has, in seconds.
CHECKPOINT_EVERY = 10.0


def overtaken() -> BlobUploadInvalid:
    return BlobUploadInvalid(
        "another request changed this upload at the same time",
        remedy="ask for the upload's status and go on from there, one request at a time",
    )


class Intake:
    """The upload of one session, for the length of one request."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        session: Session,
        *,
        reservation: UploadReservation,
        seal_key: bytes,
        max_bytes: int,
        keeps_parts: bool,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._store = store
        self.reservation = reservation
        self._seal_key = seal_key
        self._max_bytes = max_bytes
        # Whether part of a body is of use.  A client that said where its body ends sends all of it again.
        self._keeps_parts = keeps_parts
        self._clock = clock
        self._monotonic = monotonic
        # The row as we last knew it to be.
        self.session = session
        # The bytes may be named by a row that we do not know of: nobody but the sweep may delete them.
        self.unsettled = False
        # A key whose bytes were given up for a copy.
        self._abandoned_key: str | None = None
        self._writer: BlobWriter | None = None
        self._hash: RunningHash | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0

    @property
    def size(self) -> int:
        """Bytes of the blob so far, durable or not."""
        return (self.session.size if self._writer is None else self._writer.size) + self._pending_size

    async def receive(self, chunks: AsyncIterator[bytes]) -> int:
        """Take a body in, keeping back the last piece for `checkpoint` or `finish`.  Returns its length."""
        started = self.size
        due = self._monotonic() + CHECKPOINT_EVERY
        async for chunk in chunks:
            self._pending.append(chunk)
            self._pending_size += len(chunk)
            if self._max_bytes and self.size > self._max_bytes:
                raise TooLarge(
                    f"the blob is larger than {self._max_bytes} bytes, the most this registry accepts",
                    remedy="make it smaller, or have an administrator raise registry.max_blob_bytes",
                    limit=self._max_bytes,
                )
            if self._pending_size >= PIECE:
                await self.reservation.cover(self.size, grows=True)
                await self._flush()
                if self._monotonic() >= due:
                    if self._keeps_parts:
                        await self._checkpoint(claim=self.session.claim or uuid4().hex)
                    else:
                        # Nobody shall think that the upload was abandoned.
                        await self._claim()
                    due = self._monotonic() + CHECKPOINT_EVERY
        await self.reservation.cover(self.size)
        return self.size - started

    async def checkpoint(self) -> Session:
        """Make durable all that was received, and give the upload back for the next request."""
        await self._flush()
        # A row that names a key has bytes there.
        if self._writer is not None and self._writer.size > 0:
            await self._checkpoint(claim=None)
        return self.session

    async def finish(self, digest: Digest) -> Session:
        """Make the bytes a blob, if they are what `digest` says.  The row is the caller's to remove.

        Raises `DigestInvalid`; then the upload is what it was before this request, except that a client which
        named another algorithm only at the end of several requests has to begin again.
        """
        writer, running = await self._open()
        if self.session.size == 0:
            # The key is ours alone: one hop writes, hashes and makes durable, and a mistake is simply deleted.
            await writer.finish(self._take(), also=running.update)
        else:
            await self._flush()
            if digest.algorithm == self.session.algorithm:
                check(digest, running)
            await writer.commit()
        if digest.algorithm != self.session.algorithm:
            running = await self._hash_again(digest.algorithm, writer)
        check(digest, running)
        return replace(self.session, storage_key=writer.key, size=writer.size)

    async def settle(self, *, keep: bool) -> None:
        """Let go of the bytes, whatever happened.  With `keep`, what was received stays for the next request.

        Harmless after `checkpoint`; not to be called once the row is gone.
        """
        if keep and self._keeps_parts and not self.unsettled:
            await self.checkpoint()
        if self._writer is not None:
            # A write that was cancelled may still be running: it ends before anybody else may begin.
            await self._writer.close()
        if self.session.claim is not None and not self.unsettled:
            self.session = await self._advance(replace(self.session, claim=None))
        await self._let_go()
        await self.reservation.return_beyond(self.session.size)

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """Around a transaction that names our bytes.

        A connection lost, or a caller gone, in the middle of a commit leaves open whether it happened.
        """
        self.unsettled = True
        try:
            yield
        except RoadsteadError as error:
            self.unsettled = isinstance(error, Unavailable)
            raise
        self.unsettled = False

    async def retire(self, *, blob_was_there: bool) -> None:
        """The blob's row committed: delete what it does not name.

        The client has its blob, so no failure is told here; what stays behind is the sweep's.
        """
        with suppress(RoadsteadError):
            if blob_was_there and self._writer is not None:
                await self._store.delete(self._writer.key)
        with suppress(RoadsteadError):
            await self._tidy()

    async def discard_private(self) -> None:
        """Delete the bytes that no row can name, after a failure that left the row to others."""
        await self._let_go()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────

    def _take(self) -> bytes:
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        return data

    async def _flush(self) -> None:
        if self._pending:
            writer, running = await self._open()
            await writer.write(self._take(), also=running.update)

    async def _open(self) -> tuple[BlobWriter, RunningHash]:
        """The writer and the hash, both standing at the end of what is durable."""
        if self._writer is None or self._hash is None:
            session = self.session
            if session.size == 0 or session.storage_key is None:
                self._hash = RunningHash.new(session.algorithm)
                self._writer = await self._store.create(new_key())
            else:
                fence = session.claim is not None
                # Even with nothing to add: to resume cuts off what lies behind, which may be another's by now.
                await self._claim()
                self._hash = await self._resumed_hash(session, session.storage_key)
                self._writer = await self._store.resume(
                    session.storage_key, session.store_state, session.size, fence=fence
                )
                if self._writer.key != session.storage_key:
                    self._abandoned_key = session.storage_key
        return self._writer, self._hash

    async def _claim(self) -> None:
        mark = uuid4().hex
        if not await self._database.write(queries.claim, self.session, mark, now=self._clock()):
            raise overtaken()
        self.session = replace(self.session, claim=mark)

    async def _checkpoint(self, *, claim: str | None) -> None:
        assert self._writer is not None  # noqa: S101 - callers have written
        assert self._hash is not None  # noqa: S101 - set together with the writer
        state = await self._writer.checkpoint()
        self.session = await self._advance(
            replace(
                self.session,
                storage_key=self._writer.key,
                store_state=state,
                size=self._writer.size,
                hash_state=self._hash.seal(self._seal_key, self.session.id),
                claim=claim,
            )
        )
        await self._tidy()

    async def _tidy(self) -> None:
        """The row names the copy: the bytes that it replaced go."""
        if self._abandoned_key is not None:
            await self._store.delete(self._abandoned_key)
            self._abandoned_key = None

    async def _advance(self, new: Session) -> Session:
        async with self.deciding():
            done = await self._database.write(queries.advance, self.session, new, now=self._clock())
        if not done:
            raise overtaken()
        return new

    async def _let_go(self) -> None:
        if self._writer is None:
            return
        await self._writer.close()
        if self._writer.key != self.session.storage_key and not self.unsettled:
            # No row ever named these bytes.
            await self._store.delete(self._writer.key)

    async def _resumed_hash(self, session: Session, key: str) -> RunningHash:
        if session.hash_state is not None:
            running = RunningHash.unseal(
                session.hash_state,
                self._seal_key,
                session.id,
                algorithm=session.algorithm,
                length=session.size,
            )
            if running is not None:
                return running
        return await self._hash_stored(session.algorithm, key, session.size)

    async def _hash_again(self, algorithm: str, writer: BlobWriter) -> RunningHash:
        return await self._hash_stored(algorithm, writer.key, writer.size)

    async def _hash_stored(self, algorithm: str, key: str, size: int) -> RunningHash:
        running = RunningHash.new(algorithm)
        async for piece in self._store.read(key, length=size):
            await asyncio.to_thread(running.update, piece)
        return running


def check(digest: Digest, running: RunningHash) -> None:
    """Raise unless the bytes are what the client says they are."""
    found = running.digest()
    if found != digest:
        raise DigestInvalid(
            "the bytes received are not those that the digest names",
            remedy="push the blob again",
            digest=str(digest),
            received=str(found),
            size=running.length,
        )
