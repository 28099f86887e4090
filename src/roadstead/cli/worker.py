"""`roadstead worker`: background jobs in a process of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roadstead.cli.commands import command
from roadstead.cli.options import data_options, load_settings, setting_option
from roadstead.cli.terminal import say


@command(
    "worker",
    examples=[
        (
            "Run jobs for the server that uses the same configuration",
            "roadstead worker --config roadstead.yaml",
        ),
        ("Four at a time", "roadstead worker --concurrency 4"),
    ],
)
@data_options
@setting_option("--concurrency", "jobs.concurrency", "Jobs to run at once.", metavar="NUMBER")
@setting_option("--log-format", "log.format", "auto, console or json.", metavar="FORMAT")
@setting_option("--log-level", "log.level", "debug, info, warning or error.", metavar="LEVEL")
def worker(config_file: Path | None, **options: Any) -> int:
    """Run background jobs in a process of their own.

    `serve` runs them by itself unless jobs.embedded is false.  Any number of workers may share a database.
    """
    loaded = load_settings(config_file, options, {"jobs.concurrency": "--concurrency"})
    from roadstead import wiring
    from roadstead import worker as process
    from roadstead.cli.first_run import Announcement
    from roadstead.telemetry import logs

    logs.configure(loaded.settings.log)
    # A worker may be the first of all: then the administrator's password is its to tell.
    announcement = Announcement(loaded.settings, wiring.prepare(loaded.settings))
    if announcement.password_file.exists():
        say(f"The first password of the administrator is in {announcement.password_file}")
    return process.run(loaded.settings)
