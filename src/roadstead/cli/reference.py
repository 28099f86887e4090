"""The page `docs/reference/command-line.md`, made from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from roadstead.cli.commands import Command, LazyGroup
from roadstead.cli.exits import ExitCode
from roadstead.cli.program import HELP, roadstead

_HEAD = """\
# The command line

<!-- Made from src/roadstead/cli/ by `make generated`. Change it there. -->

**For** people who run `roadstead`, and for scripts. `roadstead help COMMAND` prints a part of this page. In a
checkout the program is `.venv/bin/roadstead`.

What a command prints on standard output is its result; everything else goes to standard error. `-o json` gives one
document, `-o jsonl` one a line, `-o csv` a table for spreadsheets, `-o name` names only. Keys, names of commands,
options and exit codes keep their meaning; tables and sentences may change.

A failure says what is wrong and what to do. With `-o json` it is `{"errors": [{"code", "message", "detail"}]}` on
standard error, with the codes of [errors.md](errors.md).

## Exit codes

| code | meaning |
|--:|---|
"""


def command_page() -> str:
    rows = "".join(f"| {code.value} | {code.meaning} |\n" for code in ExitCode)
    return _HEAD + rows + "".join(map(_section, _commands(roadstead, ("roadstead",))))


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The group itself, then every command below it, in the order of the help."""
    yield path, group
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        member = group.get_command(context, name)
        if isinstance(member, click.Group):
            yield from _commands(member, (*path, name))
        elif member is not None:
            yield (*path, name), member


def _section(found: tuple[tuple[str, ...], click.Command]) -> str:
    path, command = found
    # click remembers a command's help option with the names of the first context that asks.
    context = click.Context(
        command, info_name=" ".join(path), max_content_width=100, terminal_width=100, help_option_names=HELP
    )
    usage = " ".join([" ".join(path), *command.collect_usage_pieces(context)])
    parts = [f"\n## `{' '.join(path)}`\n\n{inspect.cleandoc(command.help or '')}\n\n```text\n{usage}\n```\n"]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        parts.append("\n| option | meaning |\n|---|---|\n")
        parts += [f"| `{_cell(flags)}` | {_cell(text)} |\n" for flags, text in records]
    if isinstance(command, Command | LazyGroup) and command.examples:
        lines = "".join(f"# {comment}\n{line}\n" for comment, line in command.examples)
        parts.append(f"\n```sh\n{lines}```\n")
    return "".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
