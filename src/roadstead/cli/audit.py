"""`roadstead audit …`: who did what, when and from where."""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.terminal import confirm_or_refuse, say

_COLUMNS = ("op_time", "username", "operation", "resource_type", "resource", "outcome", "client_address")
_HOURS = 24
_EVERY = {"hour": "Hourly", "day": "Daily", "week": "Weekly", "never": "None"}
_FILTER = "Which entries, as the API's q: username=anna, operation=~delete, op_time=[2026-01-01~2026-02-01]."


@click.group(
    "audit",
    cls=LazyGroup,
    members={},
    examples=[
        ("What happened last", "roadstead audit list"),
        ("Everything, for a spreadsheet", "roadstead audit export --format csv > audit.csv"),
    ],
)
def audit() -> None:
    """See, export and purge who did what."""


@command(
    "list",
    examples=[
        ("What happened last", "roadstead audit list"),
        ("What one person did in a project", "roadstead audit list --project team --filter username=anna"),
    ],
)
@click.option("--project", metavar="PROJECT", help="In this project only.")
@click.option("--filter", "q", metavar="FILTER", help=_FILTER)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many entries.")
@administered
@list_output
def list_entries(admin: Administration, project: str | None, q: str | None, limit: int, out: Printer) -> None:
    """List what was done, tried and refused, the newest first."""
    where = "/auditlog-exts" if project is None else path("projects", project, "auditlog-exts")
    out.list(islice(admin.rows(where, q=q), limit), name="id", columns=_COLUMNS)


@command(
    "export",
    examples=[
        ("Everything, as lines of JSON", "roadstead audit export --to audit.jsonl"),
        (
            "A month, for a spreadsheet",
            "roadstead audit export --format csv --filter 'op_time=[2026-01-01~2026-02-01]' > january.csv",
        ),
    ],
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="Lines of JSON, or a table.",
)
@click.option("--filter", "q", metavar="FILTER", help=_FILTER)
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A new file, instead of standard output.",
)
@administered
def export(admin: Administration, form: str, q: str | None, file: Path | None) -> None:
    """Write every entry there is, the oldest first."""
    if file is None:
        admin.save("/audit-logs/export", sys.stdout.buffer.write, format=form, q=q)
        sys.stdout.buffer.flush()
        return
    # Who did what is nobody's business but the operator's.
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as opened:
        admin.save("/audit-logs/export", opened.write, format=form, q=q)
    say(f"Wrote {file}.")


@command(
    "purge",
    examples=[
        ("Forget what is older than a year, now", "roadstead audit purge --keep-days 365"),
        ("And every week from now on", "roadstead audit purge --keep-days 365 --every week --yes"),
    ],
)
@click.option("--keep-days", type=click.IntRange(1, 10_000), metavar="DAYS", help="What is older goes.")
@click.option("--every", type=click.Choice([*_EVERY]), help="Repeat it; never takes the repetition away.")
@click.option(
    "--only", "events", metavar="A,B,…", default="", help="These event types only, such as pull_artifact."
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def purge(
    admin: Administration, *, keep_days: int | None, every: str | None, events: str, dry_run: bool, yes: bool
) -> None:
    """Delete old entries, now or again and again.  A running server or worker does it."""
    if keep_days is None and every != "never":
        raise click.UsageError("say how much to keep: --keep-days 365.")
    if every != "never" and not dry_run:
        confirm_or_refuse(f"Delete every entry older than {keep_days} days? This cannot be undone", yes=yes)
    kinds = events or ",".join(row["event_type"] for row in admin.get("/auditlog-exts/events").json)
    wanted = {
        "schedule": {"type": _EVERY[every] if every else "Manual"},
        "parameters": {
            "audit_retention_hour": (keep_days or 1) * _HOURS,
            "include_event_types": kinds,
            "dry_run": dry_run,
        },
    }
    admin.put("/system/purgeaudit/schedule", wanted)
    say(
        "The repetition is taken away."
        if every == "never"
        else f"Noted: {every or 'once'}, by the next worker."
    )


for member in (list_entries, export, purge):
    audit.add_command(member)
