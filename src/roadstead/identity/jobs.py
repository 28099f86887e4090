"""Background work on accounts: forgetting what is over."""

from __future__ import annotations

from roadstead.identity.lockouts import Lockouts
from roadstead.identity.sessions.service import Sessions
from roadstead.jobs.context import JobContext

SWEEP = "identity.sweep"


class SweepIdentity:
    """Deletes sessions, tokens and counts of wrong passwords that are over.  Run again, it finds less."""

    def __init__(self, sessions: Sessions, lockouts: Lockouts) -> None:
        self._sessions = sessions
        self._lockouts = lockouts

    async def __call__(self, _context: JobContext) -> None:
        await self._sessions.forget_ended()
        await self._lockouts.forget_ended()
