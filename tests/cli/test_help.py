"""What a newcomer sees: the screen without arguments, help, examples, speed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence

import click
import pytest
from tests.cli.conftest import Cli

from roadstead.cli.commands import Command, Example, LazyGroup
from roadstead.cli.exits import ExitCode
from roadstead.cli.program import TEACHING, roadstead

# Each of these alone costs more than all of `--help` may.
HEAVY = {
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "pydantic",
    "uvicorn",
    "cryptography",
    "structlog",
    "yaml",
}


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        member = group.get_command(context, name)
        assert member is not None
        yield (*path, name), member
        if isinstance(member, click.Group):
            yield from commands(member, (*path, name))


COMMANDS = dict(commands(roadstead))
IDS = [" ".join(path) for path in COMMANDS]


def parse(words: Sequence[str]) -> None:
    """Parse a command line as the program would, to the last option, and run nothing."""
    group: click.Command = roadstead
    context = group.make_context("roadstead", list(words), resilient_parsing=False)
    while isinstance(group, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, member, rest = group.resolve_command(context, rest)
        assert member is not None
        context = member.make_context(name, rest, parent=context)
        group = member


def examples_of(member: click.Command) -> Sequence[Example]:
    return member.examples if isinstance(member, Command | LazyGroup) else ()


def test_no_argument_teaches(cli: Cli) -> None:
    ran = cli()
    assert (ran.code, ran.out, ran.err) == (0, TEACHING, "")


@pytest.mark.parametrize("line", re.findall(r"^  (roadstead.*?)(?:  #.*)?$", TEACHING, re.MULTILINE))
def test_what_it_teaches_is_right(line: str) -> None:
    parse(shlex.split(line)[1:])


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("path", list(COMMANDS), ids=IDS)
def test_every_command_explains_itself(cli: Cli, path: tuple[str, ...], flag: str) -> None:
    ran = cli(*path, flag)
    assert ran.code == 0
    assert ran.out.startswith("Usage: roadstead " + " ".join(path))
    assert "Examples:" in ran.out


@pytest.mark.parametrize("path", list(COMMANDS), ids=IDS)
def test_help_before_a_command_is_the_same_as_after_it(cli: Cli, path: tuple[str, ...]) -> None:
    assert cli("help", *path).out == cli(*path, "--help").out


@pytest.mark.parametrize("path", list(COMMANDS), ids=IDS)
def test_every_command_has_two_examples_that_parse(path: tuple[str, ...]) -> None:
    examples = examples_of(COMMANDS[path])
    assert len(examples) >= 2
    for _, line in examples:
        words = shlex.split(re.split(r" [|<>] ", line)[0])
        assert words[0] == "roadstead"
        parse(words[1:])


def test_the_exit_codes_are_in_the_help(cli: Cli) -> None:
    text = " ".join(cli("--help").out.split())
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in text


def test_every_command_of_the_group_is_listed_with_its_own_words(cli: Cli) -> None:
    text = cli("--help").out
    for path, member in COMMANDS.items():
        if len(path) == 1:
            summary = member.get_short_help_str(limit=100)
            assert re.search(rf"^  {path[0]}\s+{re.escape(summary)}", text, re.MULTILINE), summary


def test_a_mistyped_command_gets_a_usage_error(cli: Cli) -> None:
    ran = cli("srve")
    assert ran.code == ExitCode.USAGE
    assert "No such command 'srve'" in ran.err
    assert ran.out == ""


def test_help_for_no_command_is_a_usage_error(cli: Cli) -> None:
    assert cli("help", "user", "creat").code == ExitCode.USAGE


def test_the_version_is_printed(cli: Cli) -> None:
    assert re.fullmatch(r"roadstead \d+\.\d+\.\d+\S*\n", cli("--version").out)


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], [], ["serve", "--help"], ["user", "create", "-h"]]
)
def test_help_and_version_load_nothing_heavy(words: Sequence[str]) -> None:
    script = f"""
import sys
from roadstead.cli.program import run
run({words!r})
print("loaded", *sorted(name for name in sys.modules if "." not in name))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "click" in loaded
    assert loaded & HEAVY == set()


def test_a_shell_can_ask_for_completions() -> None:
    environ = os.environ | {
        "_ROADSTEAD_COMPLETE": "bash_complete",
        "COMP_WORDS": "roadstead user re",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from roadstead.cli import main; main()"],
        capture_output=True, text=True, check=True, env=environ,
    )  # fmt: skip
    assert done.stdout == "plain,reset-password\n"
