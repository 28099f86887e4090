"""`roadstead check`: the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roadstead.cli.commands import command
from roadstead.cli.exits import ExitCode
from roadstead.cli.options import FORMATS, data_options, load_settings
from roadstead.cli.output import print_list
from roadstead.config.problems import ConfigError, did_you_mean

if TYPE_CHECKING:
    from roadstead.cli.checks import Outcome
    from roadstead.config.settings import Settings

_COLORS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


@command(
    "check",
    examples=[
        ("Look at everything", "roadstead check"),
        ("Only what has to do with the database", "roadstead check --only database"),
        ("For a monitor: exit code 8 when something fails", "roadstead check -o json --skip storage.space"),
        ("Which checks there are", "roadstead check --list"),
    ],
)
@data_options
@click.option("--list", "only_list", is_flag=True, help="Name the checks, and run none.")
@click.option("--only", multiple=True, metavar="CHECK", help="Run these; `database` is all of its checks.")
@click.option("--skip", multiple=True, metavar="CHECK", help="Leave these out.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what is not ok.")
@click.option(
    "-o", "--output", "output_format", type=click.Choice(FORMATS), default="table", show_default=True,
    help="How to print.",
)  # fmt: skip
def check(
    *,
    config_file: Path | None,
    data: str | None,
    only_list: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    quiet: bool,
    output_format: str,
) -> int:
    """Look for problems, and say what to do about them.

    Changes nothing, with or without a server running.  Ends with exit code 8 if a check failed.
    """
    from roadstead.cli import checks

    chosen = _chosen(checks.names(), only, skip)
    if only_list:
        titles = {name: found.title for name, found in checks.CHECKS.items()}
        records = [{"name": name, "title": titles.get(name, "the configuration is valid")} for name in chosen]
        print_list(records, name="name", columns=("name", "title"), output_format=output_format, quiet=quiet)
        return ExitCode.DONE
    outcomes: dict[str, Outcome] = {}
    try:
        settings = load_settings(config_file, {"data": data}).settings
    except ConfigError as error:
        what = "; ".join(f"{problem} {problem.remedy}" for problem in error.problems)
        outcomes[checks.CONFIG] = checks.fail(what, "roadstead config validate")
        outcomes |= {
            name: checks.skip("the configuration must be right first") for name in chosen if name != "config"
        }
    else:
        if checks.CONFIG in chosen:
            outcomes[checks.CONFIG] = checks.ok("valid")
        outcomes |= asyncio.run(_run(settings, [name for name in chosen if name != checks.CONFIG]))
    _print(
        {name: found for name, found in outcomes.items() if not (quiet and found.status == "ok")},
        output_format,
    )
    failed = any(outcome.status is checks.Status.FAIL for outcome in outcomes.values())
    return ExitCode.UNHEALTHY if failed else ExitCode.DONE


async def _run(settings: Settings, names: Sequence[str]) -> dict[str, Outcome]:
    from roadstead.cli.checks import CHECKS, outcome_of

    return {name: await outcome_of(CHECKS[name], settings) for name in names}


def _chosen(known: Sequence[str], only: Sequence[str], skip: Sequence[str]) -> Sequence[str]:
    groups = {name.partition(".")[0] for name in known}
    for word in (*only, *skip):
        if word not in known and word not in groups:
            raise click.UsageError(
                f"there is no check {word!r}. {did_you_mean(word, [*known, *groups])}".rstrip()
            )

    def matches(name: str, words: Sequence[str]) -> bool:
        return any(word in {name, name.partition(".")[0]} for word in words)

    return [name for name in known if (not only or matches(name, only)) and not matches(name, skip)]


def _print(outcomes: dict[str, Outcome], output_format: str) -> None:
    if output_format != "table":
        records = [
            {"name": name, "status": str(found.status), "detail": found.detail, "remedy": found.remedy}
            for name, found in outcomes.items()
        ]
        print_list(records, name="name", columns=("name", "status", "detail"), output_format=output_format)
        return
    for name, found in outcomes.items():
        click.echo(f"{click.style(f'{found.status:<5}', fg=_COLORS[found.status])} {name:<18} {found.detail}")
        if found.remedy:
            click.echo(f"{'':<24} Do: {found.remedy}")
