"""Counting pulls off the request path: in memory, then a few events at a time."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog
from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.errors import RoadsteadError
from roadstead.events.outbox import record
from roadstead.telemetry.clock import Clock, now_ms

PULLED = "manifest.pulled"
FLUSH_EVERY = 2.0
# Distinct manifests counted between two flushes; more are not counted, so that memory stays bounded.
MOST_KEYS = 50_000

_log = structlog.get_logger(__name__)
_Key = tuple[int | None, int]


class PullCounter:
    """Adds up pulls and writes each sum as one `manifest.pulled` event.

    Statistics, not an audit: a worker that is killed loses those of its last seconds.
    """

    def __init__(self, database: Database, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._waiting = asyncio.Event()

    def note(self, project_id: int | None, manifest_id: int) -> None:
        """One more pull.  Costs a dictionary entry."""
        key = (project_id, manifest_id)
        if key in self._counts or len(self._counts) < MOST_KEYS:
            self._counts[key] += 1
            self._waiting.set()

    async def run(self) -> None:
        """Flush now and then, until cancelled; then once more."""
        try:
            while True:
                await self._waiting.wait()
                await asyncio.sleep(FLUSH_EVERY)
                await self.flush()
        finally:
            await asyncio.shield(self.flush())

    async def flush(self) -> None:
        self._waiting.clear()
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._database.write(_record_all, counts, self._clock())
        except RoadsteadError as error:
            _log.warning("pulls.lost", manifests=len(counts), reason=error.message)


def _record_all(conn: Connection, counts: Counter[_Key], now: int) -> None:
    for (project_id, manifest), count in counts.items():
        record(conn, PULLED, project_id=project_id, now=now, manifest_id=manifest, count=count)
