"""The worker: claims jobs, runs them, and tells the queue what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import structlog
from sqlalchemy.exc import IntegrityError

from roadstead.db.database import Database
from roadstead.errors import RoadsteadError
from roadstead.jobs import queries, schedules
from roadstead.jobs.clock import database_offset
from roadstead.jobs.context import JobContext, JobHandler, JobStopped
from roadstead.jobs.queries import ClaimedJob, Claims
from roadstead.jobs.schedules import Every
from roadstead.telemetry.clock import Clock, now_ms

__all__ = ["JobContext", "JobHandler", "JobRunner", "JobStopped"]

log = structlog.get_logger()

# Commits that follow each other closely are one reason to look.
_SETTLE = 0.02
# Nothing that we wait for is further off than this, should every wake-up be lost.
_LONGEST_WAIT = 30.0
_FIRST_BACKOFF = 0.5
_LAST_BACKOFF = 30.0
_OFFSET_EVERY = 300.0


class JobRunner:
    """Runs up to `concurrency` jobs of one queue, of the kinds that have handlers, until it is cancelled.

    `lease` is how long, in seconds, a job may go without a sign of life before another worker takes it over;
    a heartbeat comes every third of it.  On cancellation, running jobs are told to stop, have `grace`
    seconds, and go back to the queue.  Nothing that a handler or the database does ends the loop.
    """

    def __init__(
        self,
        database: Database,
        handlers: Mapping[str, JobHandler],
        *,
        owner: str,
        concurrency: int,
        lease: float,
        clock: Clock = now_ms,
        schedules: Sequence[Every] = (),
        queue: str = "default",
        grace: float = 10.0,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._claims = Claims(queue, sorted(handlers))
        self._owner = owner
        self._concurrency = concurrency
        self._lease = lease
        self._clock = clock
        self._schedules = schedules
        self._grace = grace
        self._offset = 0
        self._offset_until = 0.0
        self._scheduled = False
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], JobContext] = {}

    async def run(self) -> None:
        watch = asyncio.create_task(self._watch(), name="roadstead-jobs-watch")
        try:
            await self._loop()
        finally:
            watch.cancel()
            await self._drain()
            with suppress(asyncio.CancelledError):
                await watch

    async def _loop(self) -> None:
        backoff = _FIRST_BACKOFF
        while True:
            self._wake.clear()
            try:
                wait = await self._turn()
                if backoff > _FIRST_BACKOFF:
                    log.info("jobs.queue_back")
                backoff = _FIRST_BACKOFF
            except Exception as error:  # noqa: BLE001 - the loop outlives whatever happens to the database
                if backoff == _FIRST_BACKOFF:
                    # Once for each outage.
                    log.warning("jobs.queue_unavailable", error=_words(error))
                wait, backoff = backoff, min(backoff * 2, _LAST_BACKOFF)
                await asyncio.sleep(wait)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _watch(self) -> None:
        """Turn commits into wake-ups."""
        while True:
            try:
                await self._database.changed(_LONGEST_WAIT)
            except Exception:  # noqa: BLE001 - the loop meets the same trouble, and reports it
                await asyncio.sleep(_LAST_BACKOFF)
            self._wake.set()
            await asyncio.sleep(_SETTLE)

    async def _turn(self) -> float:
        """Do what there is to do, and return how long to wait for more.  Looking costs no transaction."""
        await self._set_offset()
        await self._reap()
        next_schedule = await self._enqueue_due()
        await self._claim_ready()
        soonest = [next_schedule]
        if len(self._running) < self._concurrency:
            row = await self._database.first(self._claims.next_at, {"now": self._now()})
            soonest.append(row[0] if row else None)
        waits = [(at - self._now()) / 1000 for at in soonest if at is not None]
        return max(0.01, min([*waits, _LONGEST_WAIT, self._lease / 2]))

    async def _set_offset(self) -> None:
        if time.monotonic() >= self._offset_until:
            self._offset = await database_offset(self._database, self._clock)
            self._offset_until = time.monotonic() + _OFFSET_EVERY

    def _now(self) -> int:
        return self._clock() + self._offset

    async def _reap(self) -> None:
        if await self._database.first(queries.EXPIRED, {"now": self._now()}) is not None:
            reaped = await self._database.write(queries.reap, now=self._now())
            log.warning("jobs.reaped", jobs=reaped)

    async def _enqueue_due(self) -> int | None:
        if not self._schedules:
            return None
        if not self._scheduled:
            await self._database.write(schedules.ensure, self._schedules, now=self._now())
            self._scheduled = True
        row = await self._database.first(schedules.NEXT_AT, {})
        if row is not None and row[0] <= self._now():
            await self._database.write(schedules.due, now=self._now())
            row = await self._database.first(schedules.NEXT_AT, {})
        return None if row is None else int(row[0])

    async def _claim_ready(self) -> None:
        while len(self._running) < self._concurrency:
            if await self._database.first(self._claims.ready, {"now": self._now()}) is None:
                return
            try:
                job = await self._database.write(
                    self._claims.claim, owner=self._owner, lease_ms=self._lease_ms, now=self._now()
                )
            except IntegrityError:
                # Another worker took a job with the same lock in this moment.  Look again: ours is not ready
                # now.
                continue
            if job is None:
                return
            self._start(job)

    @property
    def _lease_ms(self) -> int:
        return int(self._lease * 1000)

    def _start(self, job: ClaimedJob) -> None:
        lease = _Lease(self._database, job, seconds=self._lease, now=self._now)
        context = JobContext(job, lease.beat)
        name = f"roadstead-job-{job.kind}-{job.id}"
        task = asyncio.create_task(self._run_job(job, lease, context), name=name)
        self._running[task] = context
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Only what escaped the settling itself: the lease will run out.
            log.error("jobs.unsettled", error=_words(error))
        self._wake.set()

    async def _run_job(self, job: ClaimedJob, lease: _Lease, context: JobContext) -> None:
        started = time.monotonic()
        facts = {"job": job.id, "kind": job.kind, "attempt": job.attempt}
        keeper = asyncio.create_task(lease.keep(context, self._grace, asyncio.current_task()))
        settle: Callable[..., bool]
        try:
            await self._handlers[job.kind](context)
        except (Exception, asyncio.CancelledError) as error:
            if context.cancelled() and isinstance(error, (JobStopped, asyncio.CancelledError)):
                log.info("jobs.stopped", **facts)
                settle = queries.release
            else:
                trace = not isinstance(error, RoadsteadError)
                log.warning("jobs.failed", **facts, error=_words(error), exc_info=trace)
                settle = partial(queries.fail, error=_words(error))
        else:
            log.info("jobs.done", **facts, seconds=round(time.monotonic() - started, 3))
            settle = queries.finish
        finally:
            keeper.cancel()
        if not await lease.settle(settle):
            # Harmless: whoever has the job now runs it again, and its word counts.
            log.warning("jobs.lease_lost", **facts)

    async def _drain(self) -> None:
        for context in self._running.values():
            context.stop()
        for patience in (self._grace, 5.0):
            if not self._running:
                return
            tasks = list(self._running)
            try:
                await asyncio.wait(tasks, timeout=patience)
            finally:
                # Also when we are cancelled a second time: no more waiting.
                for task in tasks:
                    task.cancel()


class _Lease:
    """Our hold on a job, kept up by heartbeats."""

    def __init__(
        self, database: Database, job: ClaimedJob, *, seconds: float, now: Callable[[], int]
    ) -> None:
        self._database = database
        self._job = job
        self._seconds = seconds
        self._now = now
        self._good_until = time.monotonic() + seconds
        self._lost = False

    async def beat(self, progress: Mapping[str, object] | None = None) -> None:
        began = time.monotonic()
        ours = await self._database.write(
            queries.heartbeat,
            self._job,
            lease_ms=int(self._seconds * 1000),
            now=self._now(),
            progress=progress,
        )
        if ours:
            self._good_until = began + self._seconds
        else:
            self._lost = True

    async def keep(self, context: JobContext, grace: float, run: asyncio.Task[None] | None) -> None:
        """Beat until the lease is lost, then tell the handler, and end it when it does not listen."""
        while not self._lost:
            await asyncio.sleep(self._seconds / 3)
            # An outage is no loss yet.
            with suppress(Exception):
                await self.beat()
            self._lost = self._lost or time.monotonic() > self._good_until
        context.stop()
        await asyncio.sleep(grace)
        if run is not None:
            run.cancel()

    async def settle(self, settle: Callable[..., bool]) -> bool:
        """Say what became of the job, however often it takes while the lease is good."""
        delay = 0.1
        while True:
            try:
                return await self._write(settle)
            except Exception:
                if time.monotonic() + delay > self._good_until:
                    raise
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    def _write(self, settle: Callable[..., bool]) -> Awaitable[bool]:
        return self._database.write(settle, self._job, now=self._now())


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
