"""A refusal of the admin API, as the command line tells it: the API's own words, and an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roadstead.cli.exits import ExitCode

_BY_STATUS: Mapping[int, ExitCode] = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.UNREACHABLE,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    422: ExitCode.USAGE,
    429: ExitCode.UNREACHABLE,
    502: ExitCode.UNREACHABLE,
    503: ExitCode.UNREACHABLE,
    504: ExitCode.UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    code: str
    message: str
    detail: Mapping[str, Any]


class Refused(Exception):
    """The API said no.  One entry for each thing that is wrong."""

    def __init__(self, status: int, entries: Sequence[RefusedEntry], remedy: str = "") -> None:
        super().__init__(entries[0].message)
        self.status = status
        self.entries = tuple(entries)
        # What a person at a command line can do about it, beyond what the API says.
        self.remedy = remedy

    @property
    def exit_code(self) -> ExitCode:
        return _BY_STATUS.get(self.status, ExitCode.FAILED)

    @property
    def code(self) -> str:
        return self.entries[0].code


def refused(status: int, document: object, remedy: str = "") -> Refused:
    """The refusal in a Harbor error document; whatever else came instead still makes one."""
    found = document.get("errors") if isinstance(document, dict) else None
    entries = [_entry(item) for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    unknown = RefusedEntry("UNKNOWN", f"the server answered {status}, and did not say why", {})
    return Refused(status, entries or [unknown], remedy)


def missing(message: str, remedy: str) -> Refused:
    """What a command looked for by name is not there."""
    return Refused(404, [RefusedEntry("NOT_FOUND", message, {})], remedy)


def _entry(item: Mapping[str, Any]) -> RefusedEntry:
    detail = item.get("detail")
    return RefusedEntry(
        str(item.get("code", "UNKNOWN")),
        str(item.get("message", "")),
        detail if isinstance(detail, dict) else {},
    )
