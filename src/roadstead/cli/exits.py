"""What the exit codes mean.  Scripts rely on them: a code keeps its meaning for ever."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from roadstead import errors
from roadstead.config.problems import ConfigError


class ExitCode(IntEnum):
    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    meaning: str

    DONE = 0, "done"
    FAILED = 1, "failed"
    USAGE = 2, "the command line or the configuration is wrong"
    NOT_FOUND = 3, "there is no such thing"
    NOT_ALLOWED = 4, "not allowed, or not signed in"
    CONFLICT = 5, "something else is in the way"
    UNREACHABLE = 6, "a server, the database, the storage or the network does not answer"
    PARTLY = 7, "partly done; the report says what is left"
    UNHEALTHY = 8, "a check found problems"
    INTERRUPTED = 130, "interrupted"


# The nearest ancestor wins.
_FAMILIES: dict[type[errors.RoadsteadError], ExitCode] = {
    ConfigError: ExitCode.USAGE,
    errors.Invalid: ExitCode.USAGE,
    errors.NotFound: ExitCode.NOT_FOUND,
    errors.Unauthenticated: ExitCode.NOT_ALLOWED,
    errors.Denied: ExitCode.NOT_ALLOWED,
    errors.Conflict: ExitCode.CONFLICT,
    errors.Unavailable: ExitCode.UNREACHABLE,
    errors.TooManyRequests: ExitCode.UNREACHABLE,
    errors.RequestTimeout: ExitCode.UNREACHABLE,
}


def exit_code_of(error: errors.RoadsteadError) -> ExitCode:
    families = (_FAMILIES[family] for family in type(error).__mro__ if family in _FAMILIES)
    return next(families, ExitCode.FAILED)
