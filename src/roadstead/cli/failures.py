"""How a failure is told: what, why, what to do, where to read; or the same as JSON."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Sequence

import click

from roadstead.cli.exits import ExitCode, exit_code_of
from roadstead.cli.refusals import Refused
from roadstead.cli.terminal import say
from roadstead.config.problems import ConfigError
from roadstead.errors import RoadsteadError


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the output was asked for as JSON.  Works for a command line that could not be parsed, too."""
    for index, word in enumerate(arguments):
        if word in {"-o", "--output"}:
            value = arguments[index + 1] if index + 1 < len(arguments) else ""
        elif word.startswith("--output="):
            value = word.partition("=")[2]
        elif word.startswith("-o") and not word.startswith("--"):
            value = word[2:]
        else:
            continue
        if value in {"json", "jsonl"}:
            return True
    return False


class Failures:
    """Tells failures on standard error, and names the exit code of each."""

    def __init__(self, arguments: Sequence[str], color: bool | None) -> None:
        self._json = wants_json(arguments)
        self._color = color

    def explained(self, error: RoadsteadError) -> ExitCode:
        code = exit_code_of(error)
        if self._json:
            self._document([_entry(part, code) for part in error.parts])
        elif len(error.parts) > 1:
            self._headline(f"{len(error.parts)} things are wrong:")
            for part in error.parts:
                say(f"  {part.message}{_on_the_same_line(part)}")
                self._lines(_remedy(part), indent=4)
        else:
            self._headline(f"{error.message}{_on_the_same_line(error)}")
            self._lines([*_remedy(error), *_reading(error)])
        return code

    def refused(self, error: Refused) -> ExitCode:
        """What the admin API said."""
        code = error.exit_code
        if self._json:
            self._document(
                [
                    {
                        "code": entry.code,
                        "message": entry.message,
                        "detail": {**entry.detail, "exit_code": code},
                    }
                    for entry in error.entries
                ]
            )
        else:
            for entry in error.entries:
                self._headline(entry.message)
            self._lines([("Do", error.remedy)] if error.remedy else [])
        return code

    def usage(self, error: click.ClickException) -> ExitCode:
        code = ExitCode.USAGE if isinstance(error, click.UsageError) else ExitCode.FAILED
        context = getattr(error, "ctx", None)
        message = error.format_message()
        if self._json:
            self._document([{"code": "USAGE", "message": message, "detail": {"exit_code": code}}])
        else:
            self._headline(message)
            if context is not None:
                self._lines([("Read", f"{context.command_path} --help")])
        return code

    def system(self, error: OSError) -> ExitCode:
        reason = error.strerror or str(error)
        where = f": {error.filename}" if error.filename else ""
        if self._json:
            message = f"{reason}{where}"
            self._document([{"code": "SYSTEM", "message": message, "detail": {"exit_code": ExitCode.FAILED}}])
        else:
            self._headline(f"{reason}{where}")
        return ExitCode.FAILED

    def unexplained(self, error: Exception) -> ExitCode:
        """A defect of ours.  The trace is what we need to mend it."""
        message = f"roadstead failed in a way it cannot explain ({type(error).__name__})"
        if self._json:
            self._document(
                [{"code": "UNKNOWN", "message": message, "detail": {"exit_code": ExitCode.FAILED}}]
            )
        say("".join(traceback.format_exception(error)))
        if not self._json:
            self._headline(message)
            self._lines([("Do", "report this with the lines above; they may name files of yours")])
        return ExitCode.FAILED

    def _headline(self, text: str) -> None:
        say(click.style("Error:", fg="red", bold=True) + f" {text}", color=self._color)

    def _lines(self, lines: Sequence[tuple[str, str]], *, indent: int = 2) -> None:
        for label, text in lines:
            say(f"{' ' * indent}{label:<5} {text}")

    def _document(self, entries: Sequence[dict[str, object]]) -> None:
        say(json.dumps({"errors": list(entries)}, ensure_ascii=False))


def _entry(error: RoadsteadError, code: ExitCode) -> dict[str, object]:
    detail = {**error.facts, "remedy": error.remedy, "exit_code": code}
    return {"code": error.code, "message": error.message, "detail": detail}


def _on_the_same_line(error: RoadsteadError) -> str:
    """A guess at what was meant follows the sentence it corrects."""
    return f" {error.remedy}" if error.remedy.startswith("Did you mean") else ""


def _remedy(error: RoadsteadError) -> list[tuple[str, str]]:
    return [("Do", error.remedy)] if error.remedy and not _on_the_same_line(error) else []


def _reading(error: RoadsteadError) -> Iterator[tuple[str, str]]:
    if isinstance(error, ConfigError) and "config explain" not in error.remedy:
        setting = error.facts.get("setting")
        yield "Read", f"roadstead config explain {setting}" if setting else "roadstead config explain"
