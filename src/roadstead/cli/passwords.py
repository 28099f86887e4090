"""Where a command gets a password from: standard input, a file, or a person.  Never the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from roadstead.cli.terminal import may_ask

F = TypeVar("F", bound=Callable[..., Any])


def password_options(function: F) -> F:
    function = click.option(
        "--password-file", type=click.Path(path_type=Path), metavar="FILE",
        help="Read the password from this file.",
    )(function)  # fmt: skip
    return click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")(
        function
    )


def read_password(*, stdin: bool, file: Path | None, whose: str) -> str:
    """The password for `whose` account.  A final line end is not a part of it."""
    if stdin and file is not None:
        raise click.UsageError("--password-stdin and --password-file exclude each other.")
    if stdin:
        return whole_line(sys.stdin.buffer.read(), "standard input")
    if file is not None:
        return whole_line(file.read_bytes(), str(file))
    if not may_ask():
        raise click.UsageError(
            "a password is needed, and nobody is here to type it."
            " Add --password-stdin or --password-file FILE."
        )
    answer: str = click.prompt(f"Password for {whose}", hide_input=True, confirmation_prompt=True, err=True)
    return answer


def whole_line(data: bytes, source: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"the password in {source} is not UTF-8 text.") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise click.UsageError(f"there is no password in {source}.")
    if "\n" in text:
        raise click.UsageError(f"{source} holds more than one line: a password is one line.")
    return text
