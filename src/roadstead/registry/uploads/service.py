"""What people can ask of uploads.  Any worker or replica answers for any upload: all state is in its row."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from roadstead.config.settings import RegistrySettings
from roadstead.db.database import Database
from roadstead.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    RangeInvalid,
    RoadsteadError,
    SizeInvalid,
    TooManyRequests,
)
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName
from roadstead.projects.access import WIDTH, AccessFacts
from roadstead.projects.roles import Action
from roadstead.projects.service import Projects
from roadstead.quota.ledger import Bill, Unreserved, charge_blob, credit_upload
from roadstead.quota.reservations import Reservations
from roadstead.registry.blobs import queries as blob_queries
from roadstead.registry.calls import ClientGone
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.repositories import ensure_repository
from roadstead.registry.uploads import queries
from roadstead.registry.uploads.intake import Intake, overtaken
from roadstead.registry.uploads.queries import Session
from roadstead.storage.protocol import BlobStore
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

# First and last byte of a chunk, both counted from the first byte of the blob.
ChunkRange = tuple[int, int]


@dataclass(frozen=True, slots=True)
class OutOfOrder(Exception):
    """A chunk that does not begin where the upload stands."""

    error: RangeInvalid
    session: Session


class _Found(NamedTuple):
    """An upload, and where it is."""

    project_id: int
    session: Session
    # Of the project, in bytes; -1 and None are none.
    limit: int | None


def upload_unknown(upload_id: str) -> BlobUploadUnknown:
    return BlobUploadUnknown(
        "no such upload: it was finished, cancelled or abandoned, or it is not yours",
        remedy="begin a new upload",
        upload=upload_id,
    )


class Uploads:
    def __init__(
        self,
        database: Database,
        store: BlobStore,
        projects: Projects,
        gates: Sequence[Gate],
        settings: RegistrySettings,
        *,
        reservations: Reservations,
        seal_key: bytes,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._store = store
        self._projects = projects
        self._gates = gates
        self._reservations = reservations
        self._settings = settings
        self._seal_key = seal_key
        self._clock = clock

    async def start(self, principal: Principal, name: RepositoryName, algorithm: str) -> Session:
        """Begin an upload of a blob that will be named by `algorithm`."""
        project_id = await self._projects.require(principal, name, Action.PUSH)
        return await self._database.write(
            self._start, project_id, name.path, uuid4().hex, user_id=principal.user_id, algorithm=algorithm
        )

    def _start(
        self,
        conn: Connection,
        project_id: int,
        path: str,
        upload_id: str,
        *,
        user_id: int | None,
        algorithm: str,
    ) -> Session:
        limit = self._settings.max_uploads_per_user
        if user_id is not None and queries.has_uploads(conn, user_id, at_least=limit):
            raise TooManyRequests(
                f"you have {limit} unfinished uploads, the most that one account may have",
                remedy="finish or cancel some; abandoned ones go by themselves",
                retry_after=60,
                limit=limit,
            )
        now = self._clock()
        repository = ensure_repository(conn, project_id, path, now=now)
        queries.insert_upload(conn, upload_id, repository, user_id=user_id, algorithm=algorithm, now=now)
        return Session(upload_id, repository, None, {}, algorithm, 0, None, None)

    async def status(self, principal: Principal, name: RepositoryName, upload_id: str) -> Session:
        """Where the upload stands.  Raises `BlobUploadUnknown` when it is not this caller's."""
        return (await self._session(principal, name, upload_id)).session

    async def append(
        self,
        principal: Principal,
        name: RepositoryName,
        upload_id: str,
        chunks: AsyncIterator[bytes],
        *,
        chunk: ChunkRange | None,
        length: int | None = None,
    ) -> Session:
        """Add a body to the upload; `chunk` is where the client says that it belongs, `length` how long it is.

        What came before a client went away is kept.  Raises `OutOfOrder`, `SizeInvalid` when the body is not
        what `chunk` says, and then nothing of it is kept.
        """
        found = await self._session(principal, name, upload_id)
        check_order(found.session, chunk)
        async with self._intake(found, length, keeps_parts=chunk is None) as intake:
            check_length(chunk, await intake.receive(chunks))
            return await intake.checkpoint()

    async def finish(
        self,
        principal: Principal,
        name: RepositoryName,
        upload_id: str,
        chunks: AsyncIterator[bytes],
        digest: Digest,
        *,
        chunk: ChunkRange | None,
        length: int | None = None,
    ) -> None:
        """Add a last body, maybe empty, and make the upload a blob of the repository."""
        found = await self._session(principal, name, upload_id)
        check_order(found.session, chunk)
        if await self._is_kept(found, digest, length):
            # The project is charged for it: a full one may be sent it again.
            found = found._replace(limit=None)
        async with self._intake(found, length, keeps_parts=False) as intake:
            check_length(chunk, await intake.receive(chunks))
            done = await intake.finish(digest)
            kept = await self._name(intake, found.project_id, done, digest)
            # From here on the bytes may be the blob's, and an error must not take them away.
            intake.unsettled = True
            await asyncio.shield(self._conclude(intake, done, digest, kept=kept))

    async def _is_kept(self, found: _Found, digest: Digest, length: int | None) -> bool:
        """Whether the project keeps that blob already, and no more than its bytes are coming."""
        if found.limit is None or found.limit < 0 or length is None:
            return False
        kept = await self._database.first(
            queries.KEPT_SIZE, {"project_id": found.project_id, "digest": str(digest)}
        )
        return kept is not None and kept[0] == found.session.size + length

    async def _name(self, intake: Intake, project_id: int, done: Session, digest: Digest) -> bool:
        """Let a blob be known by the bytes; False if others were there already."""
        try:
            async with intake.deciding():
                return await self._database.write(self._commit, project_id, intake.session, done, digest)
        except Unreserved as found:
            # A limit was set after we had looked.
            missing = found.bytes
        await intake.reservation.insist(missing)
        async with intake.deciding():
            return await self._database.write(self._commit, project_id, intake.session, done, digest)

    async def _conclude(self, intake: Intake, done: Session, digest: Digest, *, kept: bool) -> None:
        """The row committed.  Bytes that it does not name go, once it is sure that those it names are there."""
        healed = not kept and await self._heal(done, digest)
        await intake.retire(blob_was_there=not (kept or healed))

    async def _heal(self, done: Session, digest: Digest) -> bool:
        """Whether our bytes took the place of a known blob's that were lost, after a restore for example.

        A client that pushes a blob again brings what its registry may have lost: that is not thrown away.
        """
        assert done.storage_key is not None  # noqa: S101 - checked when it was committed
        try:
            known = await self._database.read(blob_queries.stored_blob, str(digest))
            if known is None or await self._has_bytes(*known):
                return False
        except RoadsteadError:
            # Nobody can look now: all stays as it was before this push.
            return False
        size, key = known
        moved = await self._database.write(
            blob_queries.move_blob, str(digest), old_key=key, new_key=done.storage_key
        )
        if moved:
            log.warning("blob.healed", digest=str(digest), size=size)
            with suppress(RoadsteadError):
                await self._store.delete(key)
        return moved

    async def _has_bytes(self, size: int, key: str) -> bool:
        try:
            return await self._store.size(key) == size
        except BlobUnknown:
            return False

    def _commit(
        self, conn: Connection, project_id: int, session: Session, done: Session, digest: Digest
    ) -> bool:
        """The upload becomes a blob, in one transaction; False if its bytes were there already."""
        reserved = queries.remove(conn, session)
        if reserved is None:
            raise overtaken()
        assert done.storage_key is not None  # noqa: S101 - a finished upload has bytes, if only none of them
        now = self._clock()
        attempt = Attempt(Deed.LINK_BLOB, project_id, session.repository_id, str(digest), size=done.size)
        check_all(self._gates, conn, attempt)
        blob, kept = blob_queries.insert_blob(
            conn, str(digest), size=done.size, storage_key=done.storage_key, now=now
        )
        repository = session.repository_id
        if blob_queries.link_blob(conn, repository, blob, now=now):
            charge_blob(conn, project_id, repository, blob, done.size, reserved=reserved)
        else:
            Bill(conn, project_id, repository, reserved=reserved).settle()
        return kept

    async def cancel(self, principal: Principal, name: RepositoryName, upload_id: str) -> None:
        """Forget the upload and its bytes."""
        session = await self.status(principal, name, upload_id)
        await self._database.write(_forget, session)
        if session.storage_key is not None:
            await self._store.delete(session.storage_key, session.store_state)

    async def expire(self, *, batch: int = 100) -> int:
        """Forget every upload that was left alone for too long.  Returns how many there were."""
        before = self._clock() - int(self._settings.upload_expiry * 1000)
        gone = 0
        while True:
            rows = await self._database.write(queries.remove_abandoned, before=before, limit=batch)
            # The rows are gone first: a crash here leaves bytes that nobody names.
            for _id, key, state, _repository, _reserved in rows:
                if key is not None:
                    await self._store.delete(key, state)
            gone += len(rows)
            if len(rows) < batch:
                return gone

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────

    async def _session(self, principal: Principal, name: RepositoryName, upload_id: str) -> _Found:
        """The upload, for a caller who may push and began it here."""
        row = await self._database.first(
            queries.SESSION,
            {
                **self._projects.parameters(principal, name),
                "path": name.path,
                "upload": upload_id.replace("-", "").lower(),
                "uploader": principal.user_id or 0,
            },
        )
        assert row is not None  # noqa: S101 - the query starts from a constant row
        facts = AccessFacts.of(row)
        self._projects.authorize(facts, principal, name, Action.PUSH)
        session = queries.session_of(row[WIDTH:])
        if session is None or facts.project_id is None:
            raise upload_unknown(upload_id)
        return _Found(facts.project_id, session, row[-1])

    @asynccontextmanager
    async def _intake(self, found: _Found, length: int | None, *, keeps_parts: bool) -> AsyncIterator[Intake]:
        """An intake that is settled, whatever happens inside.

        Raises `StorageExceeded` before a byte is read, when a body of that `length` cannot be kept.
        """
        session = found.session
        reservation = self._reservations.of_upload(
            found.project_id, session.id, reserved=session.reserved, limit=found.limit
        )
        if length is not None:
            await reservation.cover(session.size + length)
        intake = Intake(
            self._database,
            self._store,
            session,
            reservation=reservation,
            seal_key=self._seal_key,
            max_bytes=self._settings.max_blob_bytes,
            keeps_parts=keeps_parts,
            clock=self._clock,
        )
        try:
            yield intake
        except BaseException as error:
            lost = isinstance(error, ClientGone | asyncio.CancelledError)
            # Not even a shutdown may leave the claim behind.
            await asyncio.shield(_settle(intake, keep=lost))
            raise


def _forget(conn: Connection, session: Session) -> None:
    reserved = queries.remove(conn, session)
    if reserved is None:
        raise overtaken()
    credit_upload(conn, session.repository_id, reserved)


async def _settle(intake: Intake, *, keep: bool) -> None:
    try:
        await intake.settle(keep=keep)
    except RoadsteadError:
        # The first error is the one to tell; a claim left behind costs the next request a copy.
        await intake.discard_private()


def check_order(session: Session, chunk: ChunkRange | None) -> None:
    if chunk is not None and chunk[0] != session.size:
        raise OutOfOrder(
            RangeInvalid(
                f"the chunk begins at byte {chunk[0]}, and the upload stands at {session.size}",
                remedy=f"send the chunk that begins at {session.size}",
                expected=session.size,
            ),
            session,
        )


def check_length(chunk: ChunkRange | None, length: int) -> None:
    if chunk is not None and length != chunk[1] - chunk[0] + 1:
        raise SizeInvalid(
            f"Content-Range speaks of {chunk[1] - chunk[0] + 1} bytes, and {length} came",
            remedy="send the chunk again",
            received=length,
        )
