"""Background work on the outbox and the queue: forgetting what is over."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.events import outbox
from roadstead.jobs import queries
from roadstead.jobs.context import JobContext
from roadstead.telemetry.clock import Clock, now_ms

FORGET = "history.forget"
# Long enough to look into what went wrong last week.
KEPT_MS = 7 * 24 * 3600 * 1000
_BATCH = 1000


class ForgetHistory:
    """Deletes events that were delivered and jobs that ended long ago.  Run again, it finds less."""

    def __init__(self, database: Database, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self, context: JobContext) -> None:
        before = self._clock() - KEPT_MS
        purges: tuple[Callable[..., int], ...] = (outbox.purge, queries.purge)
        for purge in purges:
            while await self._database.write(_some, purge, before) == _BATCH:
                context.check()


def _some(conn: Connection, purge: Callable[..., int], before: int) -> int:
    return purge(conn, before=before, limit=_BATCH)
