"""What is true of every request to `/v2` beside what its endpoint does: the read-only mode, and the audit log."""

from __future__ import annotations

from roadstead.audit.notes import AuditNotes
from roadstead.errors import Denied, RoadsteadError, Unauthenticated
from roadstead.projects.configurations import Configurations
from roadstead.registry.calls import Call, Reply

_READING = frozenset({"GET", "HEAD"})
_WRITES = {"DELETE": "delete"}


class Watch:
    """One for each process."""

    def __init__(self, configurations: Configurations, notes: AuditNotes, *, pulls: bool) -> None:
        self._configurations = configurations
        self._notes = notes
        self._pulls = pulls

    async def check_mode(self, call: Call) -> None:
        """Refuse what writes while the registry is read-only.  Raises `ReadOnly`."""
        if call.method not in _READING:
            await self._configurations.check_writable()

    def refused(self, call: Call, error: RoadsteadError) -> None:
        """Write down who was refused.  Whoever is yet to sign in was not."""
        known = call.principal.user_id is not None
        if not isinstance(error, Denied) and not (known and isinstance(error, Unauthenticated)):
            return
        operation = "pull" if call.method in _READING else _WRITES.get(call.method, "push")
        self._notes.note(
            call.principal,
            operation,
            "repository" if call.name else "registry",
            call.name.full if call.name else "",
            outcome="refused",
            description=error.message,
            project=call.name.project if call.name else "",
        )

    def pulled(self, call: Call, reply: Reply) -> None:
        """Write down the pull of a manifest, where that is asked for (`audit.pulls`)."""
        if not self._pulls or call.method != "GET" or reply.status != 200 or not call.name:
            return
        if call.scope["raw_path"].rsplit(b"/", 2)[1] != b"manifests":
            return
        self._notes.note(
            call.principal,
            "pull",
            "artifact",
            f"{call.name.full}{'@' if ':' in call.parameter else ':'}{call.parameter}",
            outcome="success",
            project=call.name.project,
        )
