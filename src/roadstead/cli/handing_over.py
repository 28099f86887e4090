"""Handing over a secret that is shown once: printed with the rest, or put into a file of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roadstead.cli.terminal import say


def check_new_file(file: Path | None) -> None:
    """Raise before there is a secret to lose."""
    if file is not None and file.exists():
        raise click.UsageError(f"{file} exists. Name a new file.")


def deliver(record: Mapping[str, Any], file: Path | None) -> Mapping[str, Any]:
    """The record to print.  With `file`, its secret goes there instead, for the eyes of its owner only."""
    if file is None:
        say("The secret is shown once: keep it now.")
        return record
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(f"{record['secret']}\n")
    say(f"The secret is in {file}, and nowhere else.")
    return {key: value for key, value in record.items() if key != "secret"}
