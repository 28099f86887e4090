"""Failures in four parts for people, as JSON for programs, with one exit code for both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.conftest import Cli

from roadstead import errors
from roadstead.cli import program
from roadstead.cli.exits import ExitCode, exit_code_of
from roadstead.cli.failures import wants_json
from roadstead.cli.terminal import color_choice, color_from
from roadstead.config.problems import ConfigError, Problem


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RoadsteadError("x"), ExitCode.FAILED),
        (errors.NameInvalid("x"), ExitCode.USAGE),
        (ConfigError([Problem("a", "b", "c")]), ExitCode.USAGE),
        (errors.BlobUnknown("x"), ExitCode.NOT_FOUND),
        (errors.Denied("x"), ExitCode.NOT_ALLOWED),
        (errors.Unauthenticated("x"), ExitCode.NOT_ALLOWED),
        (errors.Conflict("x"), ExitCode.CONFLICT),
        (errors.InsufficientStorage("x"), ExitCode.UNREACHABLE),
        (errors.TooManyRequests("x"), ExitCode.UNREACHABLE),
    ],
)
def test_the_nearest_family_gives_the_exit_code(error: errors.RoadsteadError, code: ExitCode) -> None:
    assert exit_code_of(error) == code


def test_exit_codes_never_change() -> None:
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("user list -o json", True),
        ("user list -ojsonl", True),
        ("user list --output=json", True),
        ("user list --output json", True),
        ("user list -o table", False),
        ("user list -o", False),
        ("--only json", False),
        ("user create -o json --bad", True),
    ],
)
def test_json_errors_are_recognised_even_in_a_wrong_command_line(line: str, answer: bool) -> None:
    assert wants_json(line.split()) is answer


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(program.roadstead, "invoke", fail)


def test_an_error_says_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, errors.Conflict("Port 5000 is taken", remedy="Try: roadstead serve --port 5001"))
    ran = cli("serve")
    assert ran.code == ExitCode.CONFLICT
    assert ran.err == "Error: Port 5000 is taken\n  Do    Try: roadstead serve --port 5001\n"


def test_several_mistakes_are_told_together(cli: Cli) -> None:
    Path("roadstead.yaml").write_text("prot: 1\nport: x\n", encoding="utf-8")
    ran = cli("config", "validate", "--config", "roadstead.yaml")
    assert ran.code == ExitCode.USAGE
    assert ran.err == (
        "Error: 2 things are wrong:\n"
        "  roadstead.yaml:1: unknown key prot. Did you mean port?\n"
        "  roadstead.yaml:2: port must be a whole number, not 'x'\n"
        "    Do    See: roadstead config explain port\n"
    )


def test_the_same_mistakes_as_json(cli: Cli) -> None:
    Path("roadstead.yaml").write_text("prot: 1\nport: x\n", encoding="utf-8")
    ran = cli("config", "show", "-o", "json", "--config", "roadstead.yaml")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    first, second = json.loads(ran.err)["errors"]
    assert first["code"] == "CONFIG_INVALID"
    assert first["detail"]["remedy"] == "Did you mean port?"
    assert second["detail"] == {
        "where": "roadstead.yaml:2",
        "setting": "port",
        "remedy": "See: roadstead config explain port",
        "exit_code": 2,
    }


def test_a_wrong_option_is_a_usage_error_that_names_the_help(cli: Cli) -> None:
    ran = cli("config", "show", "--chagned")
    assert ran.code == ExitCode.USAGE
    assert "--changed" in ran.err
    assert ran.err.endswith("  Read  roadstead config show --help\n")


def test_a_wrong_option_is_json_when_json_was_asked_for(cli: Cli) -> None:
    ran = cli("config", "show", "-o", "json", "--chagned")
    assert ran.code == ExitCode.USAGE
    assert json.loads(ran.err)["errors"][0]["code"] == "USAGE"


def test_an_interruption_ends_with_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyboardInterrupt())
    assert cli("check").code == ExitCode.INTERRUPTED
    fails_with(monkeypatch, click.Abort())
    assert cli("check").code == ExitCode.INTERRUPTED


def test_the_system_s_refusals_are_told_without_a_trace(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, PermissionError(13, "Permission denied", "/etc/shadow"))
    ran = cli("check")
    assert (ran.code, ran.err) == (ExitCode.FAILED, "Error: Permission denied: /etc/shadow\n")


def test_a_defect_shows_its_trace_and_asks_for_a_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, ZeroDivisionError("oops"))
    ran = cli("check")
    assert ran.code == ExitCode.FAILED
    assert "Traceback" in ran.err
    assert "report this" in ran.err


def test_a_reader_that_goes_away_is_no_failure() -> None:
    command = f"{sys.executable} -m roadstead config explain | head -n 1; echo ${{PIPESTATUS[0]}}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ROADSTEAD_")}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("choice", "environ", "expected"),
    [
        ("auto", {}, None),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {}, False),
    ],
)
def test_colour_obeys_the_option_then_the_environment(
    choice: str, environ: dict[str, str], expected: bool | None
) -> None:
    assert color_choice(choice, environ) is expected
    assert color_from(["--color", choice, "check"], environ) is expected
    assert color_from([f"--color={choice}", "check"], environ) is expected


def test_colour_reaches_the_output_when_it_is_always_wanted(cli: Cli) -> None:
    assert "\x1b[" in cli("--color", "always", "config", "show").out
    assert "\x1b[" not in cli("config", "show").out
