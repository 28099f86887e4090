"""`roadstead migrate`: the database's schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadstead.cli.commands import command
from roadstead.cli.options import data_options, load_settings, show_options
from roadstead.cli.output import print_one
from roadstead.cli.terminal import say


@command(
    "migrate",
    examples=[
        ("Bring the schema up to date", "roadstead migrate"),
        ("See what that would do", "roadstead migrate --dry-run"),
        (
            "Before an upgrade of a server with auto_migrate: false",
            "roadstead migrate --config roadstead.yaml",
        ),
    ],
)
@data_options
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@show_options
def migrate(
    config_file: Path | None, data: str | None, dry_run: bool, output_format: str, quiet: bool
) -> None:
    """Bring the database's schema up to date.

    `serve` does so by itself unless database.auto_migrate is false.  A server of the version before goes on
    working meanwhile.
    """
    settings = load_settings(config_file, {"data": data}).settings
    from roadstead.db import migrations

    url = settings.database_url
    before = migrations.state(url)
    record: dict[str, Any] = {"current": before.current, "head": before.head, "pending": list(before.pending)}
    if before.pending and not dry_run:
        say(f"Migrating from {before.current or 'nothing'} to {before.head}.")
        # Where SQLite's file goes, unless database.url says otherwise.
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        report = migrations.upgrade(url)
        record |= {"current": report.after, "pending": [], "applied": list(report.applied)}
    print_one(record, name="head", output_format=output_format, quiet=quiet)
    if dry_run and before.pending:
        say("Nothing was done. To do it: roadstead migrate")
    elif not before.pending:
        say("The schema is up to date.")
