"""The SQL of the queue.

A job is claimed for as long as a lease runs, under a token that only its worker knows.  A lease that runs out
makes the job anyone's again, and the token makes the old worker's last words worthless.  So a job may run
twice, and its handler must make the second time harmless.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    case,
    delete,
    exists,
    false,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql import ColumnElement, Insert, Update

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert
from roadstead.db.notifications import notify
from roadstead.db.tables import Job
from roadstead.db.tables.jobs import CANCELLED, FAILED, QUEUED, RUNNING, SUCCEEDED

_FIRST_RETRY_MS = 5_000
_LAST_RETRY_MS = 3_600_000
_LONGEST_ERROR = 2_000

_JOBS = cast("Table", Job.__table__)
# Text, so that both databases see that the partial indexes apply.
_QUEUED = text("jobs.state = 'queued'")
_RUNNING = text("jobs.state = 'running'")


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that is ours until its lease ends.  `attempt` counts from 1."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    token: str
    attempt: int
    max_attempts: int


def enqueue(
    conn: Connection,
    kind: str,
    payload: Mapping[str, object],
    *,
    queue: str = "default",
    run_at: int | None = None,
    unique_key: str | None = None,
    lock: str | None = None,
    priority: int = 0,
    max_attempts: int = 5,
    now: int,
) -> int | None:
    """Add a job in the caller's transaction, and return its id.

    None when a queued or running job has the same `unique_key`.  Of those with the same `lock`, one runs at a
    time. A higher `priority` goes first.
    """
    values = {
        "queue": queue,
        "kind": kind,
        "payload": payload,
        "state": QUEUED,
        "priority": priority,
        "run_at": now if run_at is None else run_at,
        "attempt": 0,
        "max_attempts": max_attempts,
        "unique_key": unique_key,
        "lock": lock,
        "created_at": now,
    }
    job: int | None = conn.scalar(_enqueue(conn.dialect.name), values)
    if job is not None:
        notify(conn)
    return job


@lru_cache(maxsize=2)
def _enqueue(dialect: str) -> Insert:
    statement = (
        insert(dialect, Job)
        .on_conflict_do_nothing(
            index_elements=["unique_key"], index_where=text("state IN ('queued', 'running')")
        )
        .returning(_JOBS.c.id)
    )
    return cast("Insert", statement)


class Claims:
    """The questions of one worker, which knows some kinds of jobs and leaves the others to others."""

    def __init__(self, queue: str, kinds: Sequence[str]) -> None:
        rival = _JOBS.alias("rival")
        ours = (_QUEUED, _JOBS.c.queue == queue, _is_one_of(kinds))
        ready = (
            *ours,
            _JOBS.c.run_at <= bindparam("now"),
            or_(
                _JOBS.c.lock.is_(None),
                ~exists().where(rival.c.lock == _JOBS.c.lock, text("rival.state = 'running'")),
            ),
        )
        # Whether it is worth asking for a job.
        self.ready = PreparedQuery(select(_JOBS.c.id).where(*ready).limit(1))
        # When the next one is due, of those that are not yet.
        self.next_at = PreparedQuery(
            select(_JOBS.c.run_at)
            .where(*ours, _JOBS.c.run_at > bindparam("now"))
            .order_by(_JOBS.c.run_at)
            .limit(1)
        )
        pick = (
            select(_JOBS.c.id)
            .where(*ready)
            .order_by(_JOBS.c.priority.desc(), _JOBS.c.run_at, _JOBS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        self._claim: Update = (
            update(_JOBS)
            .where(_JOBS.c.id == pick.scalar_subquery())
            .values(
                state=RUNNING,
                owner=bindparam("new_owner"),
                token=bindparam("new_token"),
                lease_until=bindparam("new_lease"),
                attempt=_JOBS.c.attempt + 1,
            )
        )
        self._claim_returning = self._claim.returning(
            _JOBS.c.id,
            _JOBS.c.kind,
            _JOBS.c.payload,
            _JOBS.c.token,
            _JOBS.c.attempt,
            _JOBS.c.max_attempts,
        )

    def claim(self, conn: Connection, *, owner: str, lease_ms: int, now: int) -> ClaimedJob | None:
        """Take the next job.  `IntegrityError`: another worker took one with the same lock first, so ask
        again.
        """
        row = conn.execute(
            self._claim_returning,
            {"now": now, "new_owner": owner, "new_token": uuid4().hex, "new_lease": now + lease_ms},
        ).one_or_none()
        return None if row is None else ClaimedJob(*row)


def _is_one_of(kinds: Sequence[str]) -> ColumnElement[bool]:
    return or_(*(_JOBS.c.kind == kind for kind in kinds)) if kinds else false()


_OURS = (_JOBS.c.id == bindparam("job"), _JOBS.c.token == bindparam("proof"), _RUNNING)
_HEARTBEAT = update(_JOBS).where(*_OURS).values(lease_until=bindparam("new_lease"))
_PROGRESS = _HEARTBEAT.values(progress=bindparam("new_progress", type_=_JOBS.c.progress.type))
_FINISH = (
    update(_JOBS)
    .where(*_OURS)
    .values(state=SUCCEEDED, finished_at=bindparam("now"), token=null(), lease_until=null(), error=null())
)
_FAIL = (
    update(_JOBS)
    .where(*_OURS)
    .values(
        state=case((_JOBS.c.attempt >= _JOBS.c.max_attempts, FAILED), else_=QUEUED),
        finished_at=case((_JOBS.c.attempt >= _JOBS.c.max_attempts, bindparam("now")), else_=null()),
        run_at=bindparam("retry_at"),
        error=bindparam("new_error"),
        token=null(),
        lease_until=null(),
    )
)
_RELEASE = (
    update(_JOBS)
    .where(*_OURS)
    .values(
        state=QUEUED,
        # An interrupted run says nothing against the job.
        attempt=_JOBS.c.attempt - 1,
        run_at=bindparam("now"),
        token=null(),
        lease_until=null(),
    )
)
_CANCEL = (
    update(_JOBS)
    .where(_JOBS.c.id == bindparam("job"), or_(_QUEUED, _RUNNING))
    .values(state=CANCELLED, finished_at=bindparam("now"), token=null(), lease_until=null())
)
_REAP = (
    update(_JOBS)
    .where(_RUNNING, _JOBS.c.lease_until < bindparam("now"))
    .values(
        state=case((_JOBS.c.attempt >= _JOBS.c.max_attempts, FAILED), else_=QUEUED),
        finished_at=case((_JOBS.c.attempt >= _JOBS.c.max_attempts, bindparam("now")), else_=null()),
        error="its worker was not heard of any more",
        token=null(),
        lease_until=null(),
    )
)
_DISCARD = delete(_JOBS).where(_JOBS.c.id == bindparam("job"), _QUEUED)
_OLD = (
    select(_JOBS.c.id)
    .where(_JOBS.c.finished_at < bindparam("before"))
    .order_by(_JOBS.c.finished_at)
    .limit(bindparam("most"))
)
_PURGE = delete(_JOBS).where(_JOBS.c.id.in_(_OLD), _JOBS.c.state.in_((SUCCEEDED, FAILED, CANCELLED)))

# Whether a lease has run out.
EXPIRED = PreparedQuery(select(_JOBS.c.id).where(_RUNNING, _JOBS.c.lease_until < bindparam("now")).limit(1))


def heartbeat(
    conn: Connection,
    job: ClaimedJob,
    *,
    lease_ms: int,
    now: int,
    progress: Mapping[str, object] | None = None,
) -> bool:
    """Keep a job for another lease.  False: it is ours no more."""
    values: dict[str, object] = {"job": job.id, "proof": job.token, "new_lease": now + lease_ms}
    if progress is None:
        return conn.execute(_HEARTBEAT, values).rowcount == 1
    return conn.execute(_PROGRESS, {**values, "new_progress": progress}).rowcount == 1


def finish(conn: Connection, job: ClaimedJob, *, now: int) -> bool:
    """The job is done.  False: it was ours no more, and another's word counts."""
    return _settle(conn, _FINISH, job, {"now": now})


def fail(conn: Connection, job: ClaimedJob, *, error: str, now: int) -> bool:
    """The job failed: again later, or never when it has used up its attempts."""
    retry_at = now + retry_delay(job.attempt)
    return _settle(conn, _FAIL, job, {"now": now, "retry_at": retry_at, "new_error": error[:_LONGEST_ERROR]})


def release(conn: Connection, job: ClaimedJob, *, now: int) -> bool:
    """Give a job back unfinished, and let another worker have it at once."""
    return _settle(conn, _RELEASE, job, {"now": now})


def _settle(conn: Connection, statement: Update, job: ClaimedJob, values: Mapping[str, object]) -> bool:
    ours = conn.execute(statement, {"job": job.id, "proof": job.token, **values}).rowcount == 1
    # Somebody may wait for its lock.
    notify(conn)
    return ours


def retry_delay(attempt: int) -> int:
    """Milliseconds until the next try: five seconds, doubled each time up to an hour, and a fifth by chance."""
    delay = min(_LAST_RETRY_MS, _FIRST_RETRY_MS * 2 ** min(attempt - 1, 20))
    return int(delay * random.uniform(0.9, 1.1))  # noqa: S311 - spreads retries


def cancel(conn: Connection, job: int, *, now: int) -> bool:
    """Stop a queued or running job for good.  A worker that runs it learns of it from its next heartbeat."""
    done = conn.execute(_CANCEL, {"job": job, "now": now}).rowcount == 1
    notify(conn)
    return done


def discard(conn: Connection, job: int) -> bool:
    """Delete a job that nobody has begun."""
    return conn.execute(_DISCARD, {"job": job}).rowcount == 1


def reap(conn: Connection, *, now: int) -> int:
    """Take the jobs back whose lease has run out, and return how many."""
    reaped = conn.execute(_REAP, {"now": now}).rowcount
    if reaped:
        notify(conn)
    return reaped


def purge(conn: Connection, *, before: int, limit: int = 1000) -> int:
    """Delete jobs that ended before then, at most `limit`, and return how many."""
    return conn.execute(_PURGE, {"before": before, "most": limit}).rowcount
