"""What a job's handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from roadstead.jobs.queries import ClaimedJob


class JobStopped(Exception):
    """Raised by a handler that stopped half way because it was told to."""


class JobContext:
    """One run of one job.

    When the handler returns, the job is done; when it raises, the job is tried again later.  A handler that
    runs for long looks at `cancelled()` now and then, or calls `check()`, and stops by raising `JobStopped`.
    """

    def __init__(
        self, job: ClaimedJob, beat: Callable[[Mapping[str, object] | None], Awaitable[None]]
    ) -> None:
        self._job = job
        self._beat = beat
        self._stopping = False

    @property
    def job_id(self) -> int:
        return self._job.id

    @property
    def payload(self) -> Mapping[str, Any]:
        return self._job.payload

    @property
    def attempt(self) -> int:
        """1 for the first run."""
        return self._job.attempt

    async def progress(self, **facts: object) -> None:
        """Show how far it is, as JSON, to whoever looks.  Also a sign of life."""
        await self._beat(facts)

    def cancelled(self) -> bool:
        """Whether to stop: the job was cancelled, another worker has it, or this process is stopping."""
        return self._stopping

    def check(self) -> None:
        """Raise `JobStopped` when the job should stop."""
        if self._stopping:
            raise JobStopped

    def stop(self) -> None:
        """For the runner: ask the handler to stop."""
        self._stopping = True


JobHandler = Callable[[JobContext], Awaitable[None]]
