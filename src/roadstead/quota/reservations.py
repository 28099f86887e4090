"""Reserving bytes of a project's limit, for those who push.  Where there is no limit, nothing here costs anything."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, select, update

from roadstead.db.database import Database
from roadstead.db.statements import PreparedStatement
from roadstead.errors import RoadsteadError
from roadstead.events.outbox import record
from roadstead.quota.folding import project_name, tell
from roadstead.quota.ledger import HOLDS, UPLOADS, Hold, Moved, Unreserved, credit_upload, give_back
from roadstead.quota.refusals import StorageExceeded
from roadstead.quota.reserving import Place, Refused, Taken, take, take_exactly
from roadstead.quota.rules import is_nearly_full, step_ahead
from roadstead.telemetry.clock import Clock, now_ms

P = ParamSpec("P")
T = TypeVar("T")

EXCEEDED = "quota.exceeded"
# How long a push may take from its reservation to its commit.
HOLD_MS = 15 * 60 * 1000
# A project that is full is told of once in so many seconds by one process, however often it is pushed to.
_TOLD_EVERY = 60.0
_MOST_REMEMBERED = 4096
_TRIES = 3

_RESERVED = PreparedStatement(
    select(UPLOADS.c.reserved, UPLOADS.c.repository_id)
    .where(UPLOADS.c.id == bindparam("upload_id"))
    .with_for_update()
)
_SET_RESERVED = PreparedStatement(
    update(UPLOADS).where(UPLOADS.c.id == bindparam("of_upload")).values(reserved=bindparam("kept"))
)
_DROP = PreparedStatement(
    delete(HOLDS).where(HOLDS.c.id == bindparam("hold_id")).returning(HOLDS.c.project_id, HOLDS.c.bytes)
)


class Reservations:
    """One for each process."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._told: dict[int, float] = {}

    def of_upload(
        self, project_id: int, upload_id: str, *, reserved: int, limit: int | None
    ) -> UploadReservation:
        """What an upload has reserved, for the length of one request.  `limit` is the project's, as last read."""
        limited = limit is not None and limit >= 0
        return UploadReservation(self, project_id, upload_id, reserved, limit if limited else None)

    @asynccontextmanager
    async def hold(self, project_id: int, size: int) -> AsyncIterator[Hold]:
        """Bytes set aside for one transaction, which spends them with its `Bill`.  Raises `StorageExceeded`.

        What was not spent is given back at the end.
        """
        hold = Hold(uuid4().hex, project_id, size)
        place = Place(hold=hold, expires_at=self._clock() + HOLD_MS)
        await self.reserve(project_id, size, place)
        try:
            yield hold
        except BaseException:
            with suppress(RoadsteadError):
                await self._database.write(_drop, hold.id)
            raise

    async def charging(
        self,
        project_id: int,
        function: Callable[Concatenate[Connection, Hold | None, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `function(conn, hold, …)`, whose `Bill` may find that it adds more than was reserved: it is run again
        with a hold, then.
        """
        try:
            return await self._database.write(function, None, *args, **kwargs)
        except Unreserved as needed:
            size = needed.bytes
        for _ in range(_TRIES):
            try:
                async with self.hold(project_id, size) as hold:
                    return await self._database.write(function, hold, *args, **kwargs)
            except Unreserved as more:
                # A blob that the project had just now was taken away meanwhile.
                size += more.bytes
        raise Moved

    async def reserve(self, project_id: int, size: int, place: Place, *, ahead: int = 0) -> int:
        """Charge the project for bytes that are about to come; with `ahead`, for so many if there is room for them.

        Returns how many it was charged for.  Raises `StorageExceeded`; then it was none.
        """
        found: Taken | Refused | None = None
        taken = size
        for taken in sorted({size, ahead} - {0}, reverse=True):
            found = await self._database.brief(take, project_id, taken, place)
            if found is not None:
                break
        if found is None:
            taken = size
            found = await self._database.write(take_exactly, project_id, size, place)
        if found is None:
            raise Moved
        if isinstance(found, Refused):
            await self._tell_exceeded(project_id, size, found)
            raise StorageExceeded(wanted=size, used=found.used, limit=found.limit)
        if not found.warned and is_nearly_full(found.charged, found.limit):
            await self._database.write(tell, project_id, now=self._clock())
        return taken

    async def _tell_exceeded(self, project_id: int, size: int, refused: Refused) -> None:
        now = self._monotonic()
        if self._told.get(project_id, -_TOLD_EVERY) + _TOLD_EVERY > now:
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[project_id] = now
        await self._database.write(_record_exceeded, project_id, size, refused, self._clock())

    async def shrink(self, upload_id: str, kept: int) -> None:
        await self._database.write(_shrink, upload_id, kept)


class UploadReservation:
    """Belongs to one request."""

    def __init__(
        self, owner: Reservations, project_id: int, upload_id: str, reserved: int, limit: int | None
    ) -> None:
        self._owner = owner
        self._project_id = project_id
        self._place = Place(upload_id)
        self._reserved = reserved
        self._limit = limit
        self._took = False

    async def cover(self, size: int, *, grows: bool = False) -> None:
        """Let the project have room for an upload of `size` bytes; with `grows`, for some more, too.

        Raises `StorageExceeded`.
        """
        if self._limit is None or size <= self._reserved:
            return
        missing = size - self._reserved
        ahead = missing + step_ahead(size, self._limit) if grows else 0
        await self._reserve(missing, ahead)

    async def _reserve(self, missing: int, ahead: int = 0) -> None:
        self._took = True
        self._reserved += await self._owner.reserve(self._project_id, missing, self._place, ahead=ahead)

    async def insist(self, missing: int) -> None:
        """Reserve what the last transaction found missing, whatever was thought of the limit."""
        await self._reserve(missing)

    async def return_beyond(self, kept: int) -> None:
        """Give back what this request has taken for bytes that are not kept."""
        if self._took and self._reserved > kept:
            await self._owner.shrink(self._place.upload_id, kept)
            self._reserved = kept


def _drop(conn: Connection, hold_id: str) -> None:
    row = _DROP.first(conn, {"hold_id": hold_id})
    if row is not None:
        give_back(conn, row[0], row[1])


def _shrink(conn: Connection, upload_id: str, kept: int) -> None:
    row = _RESERVED.first(conn, {"upload_id": upload_id})
    if row is not None and row[0] > kept:
        _SET_RESERVED.run(conn, {"of_upload": upload_id, "kept": kept})
        credit_upload(conn, row[1], row[0] - kept)


def _record_exceeded(conn: Connection, project_id: int, size: int, refused: Refused, now: int) -> None:
    record(
        conn,
        EXCEEDED,
        project_id=project_id,
        now=now,
        project=project_name(conn, project_id),
        wanted=size,
        used=refused.used,
        limit=refused.limit,
    )
