"""What the registry itself does with its events: pull statistics."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.db.database import Database
from roadstead.events.outbox import HappenedEvent
from roadstead.registry.manifests import queries
from roadstead.registry.manifests.pulls import PULLED


class PullStatistics:
    """Adds pull counts to the manifests' rows.  Delivered twice, an event counts twice: a statistic."""

    name = "pull-statistics"
    kinds = frozenset({PULLED})

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, events: Sequence[HappenedEvent]) -> None:
        pulls = [
            (_integer(event.payload["manifest_id"]), _integer(event.payload["count"]), event.occurred_at)
            for event in events
        ]
        await self._database.write(queries.record_pulls, pulls)


def _integer(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 - written by PullCounter
    return value
