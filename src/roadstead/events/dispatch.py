"""Bringing events from the outbox to the listeners.

In one transaction a batch of events is marked dispatched, and for each listener that cares a delivery is put
into the job queue, to run in a while.  Then this process delivers at once, and deletes the jobs of the
deliveries that went well.  So a failing, slow or dead listener, or a crash of this process, costs nobody an
event: the job is still there, and is tried again as jobs are.  Batches may overtake each other, and one event
may come twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

import structlog
from sqlalchemy import Connection, Table, bindparam, select, text, update

from roadstead.db.database import Database, PreparedQuery
from roadstead.db.tables import Event
from roadstead.events.outbox import HappenedEvent, events_by_id
from roadstead.jobs.context import JobContext, JobHandler
from roadstead.jobs.queries import discard, enqueue
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

# The kind of the jobs that deliver what could not be delivered at once.
DELIVER = "events.deliver"

_BATCH = 200
# A listener has this long at first, in seconds; as a job it has all the time it needs.
_PATIENCE = 5.0
# The job waits longer than that, so that the two do not run at once.
_JOB_DELAY_MS = 30_000
_DELIVERY_ATTEMPTS = 12
_LONGEST_WAIT = 30.0
_SETTLE = 0.02
_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 30.0

_EVENTS = cast("Table", Event.__table__)
_WAITING = text("NOT events.dispatched")
_ANY = PreparedQuery(select(_EVENTS.c.id).where(_WAITING).limit(1))
# Whoever commits late is found late, but is found: no position is remembered that could pass over a row.
_TAKE = (
    select(_EVENTS.c.id, _EVENTS.c.kind)
    .where(_WAITING)
    .order_by(_EVENTS.c.id)
    .limit(_BATCH)
    .with_for_update(skip_locked=True)
)
_MARK = update(_EVENTS).where(_EVENTS.c.id.in_(bindparam("ids", expanding=True))).values(dispatched=True)


class Listener(Protocol):
    """Reacts to what happened, afterwards."""

    @property
    def name(self) -> str:
        """Names it in the queue: must not change."""
        ...

    @property
    def kinds(self) -> frozenset[str]:
        """The events that it wants."""
        ...

    async def handle(self, events: Sequence[HappenedEvent]) -> None:
        """React to these, the oldest first.  Raising means: all of them again, later.

        May be called twice with one event, and is cancelled when it takes more than a few seconds at first.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Delivery:
    job: int
    listener: Listener
    events: Sequence[int]


class Dispatcher:
    """Dispatches events; any number may run, in any processes, and each event is taken by one of them."""

    def __init__(self, database: Database, listeners: Sequence[Listener], *, clock: Clock = now_ms) -> None:
        self._database = database
        self._listeners = {listener.name: listener for listener in listeners}
        if len(self._listeners) != len(listeners):
            raise ValueError("two listeners have the same name")
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, JobHandler]:
        """For the job runner: second and later tries of deliveries."""
        return {DELIVER: self._deliver_job}

    async def run(self) -> None:
        """Dispatch events as they come, until cancelled."""
        backoff = _FIRST_BACKOFF
        while True:
            try:
                while await self.drain_once():
                    pass
                await self._database.changed(_LONGEST_WAIT)
                backoff = _FIRST_BACKOFF
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever happens to the database
                if backoff == _FIRST_BACKOFF:
                    log.warning("events.outbox_unavailable", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LAST_BACKOFF)
            # Commits that follow each other closely are one reason to look.
            await asyncio.sleep(_SETTLE)

    async def drain_once(self) -> int:
        """Dispatch one batch, and return how many events it had.  Looking costs no transaction."""
        if await self._database.first(_ANY, {}) is None:
            return 0
        taken, deliveries = await self._database.write(self._take)
        await asyncio.gather(*(self._deliver(delivery) for delivery in deliveries))
        return taken

    def _take(self, conn: Connection) -> tuple[int, list[_Delivery]]:
        rows = conn.execute(_TAKE).all()
        if not rows:
            return 0, []
        now = self._clock()
        deliveries = []
        for name, listener in self._listeners.items():
            events = [row.id for row in rows if row.kind in listener.kinds]
            if events:
                payload = {"listener": name, "events": events}
                job = enqueue(
                    conn,
                    DELIVER,
                    payload,
                    run_at=now + _JOB_DELAY_MS,
                    max_attempts=_DELIVERY_ATTEMPTS,
                    now=now,
                )
                assert job is not None  # noqa: S101 - it has no unique key
                deliveries.append(_Delivery(job, listener, events))
        conn.execute(_MARK, {"ids": [row.id for row in rows]})
        return len(rows), deliveries

    async def _deliver(self, delivery: _Delivery) -> None:
        """The first try.  Never raises: the job is there for the second."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._hand_over(delivery.listener, delivery.events)
        except Exception as error:  # noqa: BLE001 - a listener may raise whatever it likes
            log.warning(
                "events.delivery_failed",
                listener=delivery.listener.name,
                events=len(delivery.events),
                job=delivery.job,
                error=f"{type(error).__name__}: {error}",
            )
            return
        # Should this fail, the job delivers once more, and listeners bear that.
        with suppress(Exception):
            await self._database.write(discard, delivery.job)

    async def _deliver_job(self, context: JobContext) -> None:
        # Twice is harmless: listeners promise it.
        listener = self._listeners.get(context.payload["listener"])
        if listener is None:
            log.warning("events.listener_gone", listener=context.payload["listener"])
            return
        await self._hand_over(listener, context.payload["events"])

    async def _hand_over(self, listener: Listener, ids: Sequence[int]) -> None:
        events = await self._database.read(events_by_id, ids)
        if events:
            await listener.handle(events)
