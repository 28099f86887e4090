"""Shipping audit entries elsewhere, in their order, each at least once.

Entries wait in the table until they are shipped, so an endpoint that cannot be reached costs none of them, and no
request ever waits for one.  A watcher puts a job into the queue when there is something to ship; of all nodes, one
runs it.  Trying again, later and later, is the queue's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog
from sqlalchemy import Connection, bindparam, delete, select, text, update

from roadstead.audit.destinations import destination
from roadstead.audit.queries import Entry, entry_of
from roadstead.audit.trail import AUDIT_LOG
from roadstead.db.database import Database, PreparedQuery
from roadstead.errors import RoadsteadError
from roadstead.jobs.context import JobContext
from roadstead.jobs.queries import enqueue
from roadstead.telemetry.clock import Clock, now_ms

FORWARD = "audit.forward"
BATCH = 500
# The wait between tries doubles from five seconds; then the watcher begins anew.
MOST_ATTEMPTS = 6
# What comes within that time is shipped together, in seconds.
SETTLE = 2.0
LONGEST_WAIT = 30.0

_log = structlog.get_logger(__name__)

_WAITING = text("audit_log.forwarded_at IS NULL")
_ANY = PreparedQuery(select(AUDIT_LOG.c.id).where(_WAITING).limit(1))
_NEXT = select(AUDIT_LOG).where(_WAITING).order_by(AUDIT_LOG.c.id).limit(BATCH)
_SHIPPED = AUDIT_LOG.c.id.in_(bindparam("ids", expanding=True))
_MARK = update(AUDIT_LOG).where(_SHIPPED).values(forwarded_at=bindparam("now"))
_DROP = delete(AUDIT_LOG).where(_SHIPPED)

Addresses = Callable[[], Awaitable[Sequence[str]]]


class AuditForwarder:
    """`addresses` says where to; with `skip_database`, what was shipped is not kept here."""

    def __init__(
        self,
        database: Database,
        addresses: Addresses,
        skip_database: Callable[[], Awaitable[bool]],
        *,
        ca: Path | None = None,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._addresses = addresses
        self._skip_database = skip_database
        self._ca = ca
        self._clock = clock

    async def ships(self) -> bool:
        """Whether entries go anywhere at all."""
        return bool(await self._addresses())

    async def run(self) -> None:
        """Watch for entries, until cancelled."""
        while True:
            try:
                await self.look()
                await self._database.changed(LONGEST_WAIT)
            except RoadsteadError as error:
                _log.warning("audit.forwarding_waits", reason=error.message)
                await asyncio.sleep(LONGEST_WAIT)
            await asyncio.sleep(SETTLE)

    async def look(self) -> None:
        """Have shipped what waits.  Any number of nodes may look at once: there is one job."""
        if await self.ships() and await self._database.first(_ANY, {}) is not None:
            await self._database.write(_enqueue, self._clock())

    async def __call__(self, context: JobContext) -> None:
        """The job.  Cut short before it marked a batch, it ships that batch again."""
        addresses = await self._addresses()
        destinations = [destination(address, ca=self._ca) for address in addresses]
        while destinations:
            entries = await self._database.read(_next)
            if not entries:
                return
            for found in destinations:
                await found.ship(entries)
            drop = await self._skip_database()
            await self._database.write(_shipped, [entry.id for entry in entries], self._clock(), drop=drop)
            await context.progress(last=entries[-1].id)
            context.check()


def _enqueue(conn: Connection, now: int) -> None:
    enqueue(conn, FORWARD, {}, unique_key=FORWARD, lock=FORWARD, max_attempts=MOST_ATTEMPTS, now=now)


def _next(conn: Connection) -> list[Entry]:
    return [entry_of(row) for row in conn.execute(_NEXT).mappings()]


def _shipped(conn: Connection, ids: Sequence[int], now: int, *, drop: bool) -> None:
    if drop:
        conn.execute(_DROP, {"ids": list(ids)})
    else:
        conn.execute(_MARK, {"ids": list(ids), "now": now})
