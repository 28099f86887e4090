"""What can be wrong with a configuration, and the one error that says all of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roadstead.errors import RoadsteadError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, which rule it breaks, and what to do."""

    # "roadstead.yaml:12", "ROADSTEAD_PORT" or "--port".
    where: str
    what: str
    remedy: str
    # Dotted name of the setting, where one is meant.
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(RoadsteadError):
    """The configuration cannot be used.  Gathers every mistake, so that one run shows them all."""

    code = "CONFIG_INVALID"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(
            "\n".join(f"{problem}" for problem in problems),
            remedy=first.remedy if len(problems) == 1 else "",
            where=first.where,
            setting=first.setting or None,
        )
        self.problems = tuple(problems)

    @property
    def parts(self) -> Sequence[RoadsteadError]:
        if len(self.problems) == 1:
            return (self,)
        return [ConfigError([problem]) for problem in self.problems]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy that offers the nearest known word; empty when none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]}?" if close else ""
