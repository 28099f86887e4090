"""Background work on accounts: forgetting what is over."""

from __future__ import annotations

from roadstead.identity.sessions.service import Sessions
from roadstead.jobs.context import JobContext

SWEEP = "identity.sweep"


class SweepIdentity:
    """Deletes sessions and tokens that have ended.  Run again, it finds less."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def __call__(self, _context: JobContext) -> None:
        await self._sessions.forget_ended()
