"""What we are talking to: a person at a terminal, or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

COLORS = ("auto", "always", "never")


def color_choice(choice: str, environ: Mapping[str, str] = os.environ) -> bool | None:
    """For `click.Context.color`: True and False are orders, None leaves it to whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    return False if environ.get("NO_COLOR") or environ.get("TERM") == "dumb" else None


def color_from(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> bool | None:
    """The same, from a command line that could not be parsed."""
    choice = "auto"
    for index, word in enumerate(arguments):
        if word == "--color" and index + 1 < len(arguments):
            choice = arguments[index + 1]
        elif word.startswith("--color="):
            choice = word.partition("=")[2]
    return color_choice(choice if choice in COLORS else "auto", environ)


def may_ask(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not environ.get("CI")


def say(text: str = "", *, color: bool | None = None) -> None:
    """Talk.  It goes to standard error: standard output is for data."""
    click.echo(text, err=True, color=color)


def confirm_or_refuse(question: str, *, yes: bool, flag: str = "--yes") -> None:
    """Ask before harm on a terminal; elsewhere demand the flag."""
    if yes:
        return
    if not may_ask():
        raise click.UsageError(f"{question.rstrip('?')}: nobody is here to confirm it. Add {flag}.")
    click.confirm(question, abort=True, err=True)
