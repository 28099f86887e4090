"""Background work on quotas: summing up, warning, and giving back what nobody came for."""

from __future__ import annotations

from roadstead.db.database import Database
from roadstead.jobs.context import JobContext
from roadstead.quota import folding
from roadstead.telemetry.clock import Clock, now_ms

FOLD = "quota.fold"


class FoldQuotas:
    """Run again, or by two at once, it sums up what is left: a change goes in the transaction that counts it."""

    def __init__(self, database: Database, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self, context: JobContext) -> None:
        while await self._database.write(folding.give_back_expired, now=self._clock()) == folding.BATCH:
            context.check()
        after = 0
        while projects := await self._database.read(folding.unfolded_projects, after=after):
            for project_id in projects:
                while await self._database.write(folding.fold, project_id) == folding.BATCH:
                    context.check()
            after = projects[-1]
        for project_id in await self._database.read(folding.projects_to_tell):
            await self._database.write(folding.tell, project_id, now=self._clock())
