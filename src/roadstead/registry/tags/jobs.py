"""Background work on tags: forgetting their old history."""

from __future__ import annotations

from roadstead.db.database import Database
from roadstead.jobs.context import JobContext
from roadstead.registry.tags import history
from roadstead.telemetry.clock import Clock, now_ms

FORGET_TAGS = "tags.forget"
_BATCH = 1000


class ForgetTagHistory:
    """Deletes what happened to tags longer ago than `kept` seconds.  Run again, it finds less."""

    def __init__(self, database: Database, *, kept: float, clock: Clock = now_ms) -> None:
        self._database = database
        self._kept_ms = int(kept * 1000)
        self._clock = clock

    async def __call__(self, context: JobContext) -> None:
        before = self._clock() - self._kept_ms
        while await self._database.write(history.purge, before=before, limit=_BATCH) == _BATCH:
            context.check()
