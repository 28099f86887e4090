"""`roadstead quota …`: how much a project may hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.exits import ExitCode
from roadstead.cli.offline import ask_offline
from roadstead.cli.options import data_options, list_output, one_output
from roadstead.cli.output import Printer
from roadstead.cli.refusals import missing
from roadstead.cli.sizes import in_words
from roadstead.cli.sizes import size as parsed_size
from roadstead.cli.terminal import say

if TYPE_CHECKING:
    from roadstead.wiring import Offline

_BYTES = {"charged": in_words, "held": in_words}
_COLUMNS = ("ref.name", "used.storage", "hard.storage")
_WORDS = {"used.storage": in_words, "hard.storage": in_words}


@click.group(
    "quota",
    cls=LazyGroup,
    members={},
    examples=[
        ("How full every project is", "roadstead quota list"),
        ("Give a project more room", "roadstead quota set team 500GB"),
    ],
)
def quota() -> None:
    """Say how much a project may hold, and see how much it does."""


@command(
    "list",
    examples=[
        ("Every project", "roadstead quota list"),
        ("The fullest first, in bytes", "roadstead quota list --sort -used.storage -o json"),
    ],
)
@administered
@list_output
def list_quotas(admin: Administration, out: Printer) -> None:
    """List the quotas of all projects."""
    out.list(admin.rows("/quotas"), name="ref.name", columns=_COLUMNS, words=_WORDS)


@command(
    "show",
    examples=[
        ("One project", "roadstead quota show team"),
        ("In bytes", "roadstead quota show team -o json"),
    ],
)
@click.argument("project")
@administered
@one_output
def show(admin: Administration, project: str, out: Printer) -> None:
    """Show how much a project holds, and how much it may."""
    out.one(_quota(admin, project), name="ref.name", words=_WORDS)


@command(
    "set",
    examples=[
        ("More room", "roadstead quota set team 500GB"),
        ("No limit", "roadstead quota set team unlimited"),
    ],
)
@click.argument("project")
@click.argument("size", type=parsed_size)
@administered
def set_quota(admin: Administration, project: str, size: int) -> None:
    """Set how much a project may hold.  What is there stays, even when it is more."""
    found = _quota(admin, project)
    admin.put(path("quotas", found["id"]), {"hard": {"storage": size}})
    say(f"{project} may hold {in_words(size)}, and holds {in_words(found['used']['storage'])}.")


@command(
    "check",
    examples=[
        ("Whether every project is charged for what it holds", "roadstead quota check"),
        ("And mend what is not", "roadstead quota check --repair"),
    ],
)
@click.option("--repair", is_flag=True, help="Charge what differs for exactly what it holds.")
@data_options
@list_output
@click.pass_context
def check(
    ctx: click.Context, *, config_file: Path | None, data: str | None, repair: bool, out: Printer
) -> None:
    """Add up what every project holds, and compare.  Works on the data itself; a server may run meanwhile."""
    found = ask_offline(config_file, data, lambda offline: _differences(offline, repair=repair))
    out.list(found, name="project", columns=("project", "charged", "held"), words=_BYTES)
    if found and not repair:
        say(
            f"{len(found)} projects are not charged for what they hold. To mend: roadstead quota check --repair"
        )
        ctx.exit(ExitCode.UNHEALTHY)
    say("Mended." if found else "Every project is charged for exactly what it holds.")


for member in (list_quotas, show, set_quota, check):
    quota.add_command(member)


def _quota(admin: Administration, project: str) -> dict[str, Any]:
    number = admin.get(path("projects", project)).json["project_id"]
    found: Iterator[dict[str, Any]] = admin.rows("/quotas", reference="project", reference_id=number)
    for row in found:
        return row
    raise missing(f"{project} has no quota", "see: roadstead quota list")


async def _differences(offline: Offline, *, repair: bool) -> list[dict[str, Any]]:
    from roadstead.quota.check import QuotaCheck

    check = QuotaCheck(offline.database)
    found = [difference async for difference in check.differences()]
    if repair:
        for difference in found:
            await check.repair(difference.project_id)
    return [asdict(difference) for difference in found]
