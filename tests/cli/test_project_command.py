"""`roadstead project`, `robot` and `quota`, inside this process on a real database."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from roadstead.cli.exits import ExitCode


@pytest.fixture
def team(registry: Path, cli: Cli) -> str:
    ran = cli("project", "create", "team")
    assert ran.code == 0, ran.err
    return "team"


def shown(cli: Cli, *words: str) -> Any:
    ran = cli(*words, "-o", "json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


# ── projects ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_project_is_private_unless_it_is_said_to_be_public(cli: Cli, registry: Path) -> None:
    assert shown(cli, "project", "create", "team")["metadata"]["public"] == "false"
    assert shown(cli, "project", "create", "tools", "--public")["metadata"]["public"] == "true"
    assert cli("project", "list", "-q").out.split() == ["team", "tools"]


def test_a_project_whose_name_is_a_number_is_found_by_it(cli: Cli, registry: Path) -> None:
    assert cli("project", "create", "2026").code == 0
    assert shown(cli, "project", "show", "2026")["name"] == "2026"
    assert cli("project", "show", "1").code == ExitCode.NOT_FOUND


def test_a_project_becomes_public_and_private_again(cli: Cli, team: str) -> None:
    assert "set-private team" in cli("project", "set-public", team).err
    assert shown(cli, "project", "show", team)["metadata"]["public"] == "true"
    assert cli("project", "set-private", team).code == 0
    assert shown(cli, "project", "show", team)["metadata"]["public"] == "false"


def test_a_renamed_project_has_its_new_name_only(cli: Cli, team: str) -> None:
    assert cli("project", "rename", team, "crew").code == 0
    assert cli("project", "show", "crew", "-q").code == 0
    assert cli("project", "show", team, "-q").code == ExitCode.NOT_FOUND


def test_a_protected_project_stays(cli: Cli, team: str) -> None:
    assert cli("project", "protect", team).code == 0
    assert cli("project", "delete", team, "--yes").code == ExitCode.CONFLICT
    assert cli("project", "unprotect", team).code == 0
    assert cli("project", "delete", team, "--yes").code == 0
    assert cli("project", "show", team, "-q").code == ExitCode.NOT_FOUND


def test_deleting_a_project_needs_a_yes_where_nobody_can_be_asked(cli: Cli, team: str) -> None:
    assert "--yes" in cli("project", "delete", team).err
    assert cli("project", "show", team, "-q").code == 0


def test_a_taken_name_is_a_conflict(cli: Cli, team: str) -> None:
    assert cli("project", "create", team).code == ExitCode.CONFLICT


# ── robots ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_robot_of_a_project_may_do_what_it_is_allowed(cli: Cli, team: str) -> None:
    made = shown(cli, "robot", "create", "ci", "--project", team, "--allow", "push", "--allow", "tag:list")
    assert made["name"] == "robot$team+ci"
    assert made["secret"]
    found = shown(cli, "robot", "show", "ci", "--project", team)
    assert "secret" not in found
    [block] = found["permissions"]
    assert (block["kind"], block["namespace"]) == ("project", team)
    assert {f"{access['resource']}:{access['action']}" for access in block["access"]} == {
        "repository:pull",
        "repository:push",
        "tag:list",
    }
    assert shown(cli, "robot", "show", "robot$team+ci") == found


def test_a_robot_of_the_registry_may_do_it_in_several_projects(cli: Cli, team: str) -> None:
    assert cli("project", "create", "tools").code == 0
    words = ["robot", "create", "deploy", "--in", "team", "--in", "tools", "--allow", "pull", "--days", "30"]
    made = shown(cli, *words, "--allow-system", "quota:list")
    assert made["name"] == "robot$deploy"
    blocks = shown(cli, "robot", "show", "deploy")["permissions"]
    assert {(block["kind"], block["namespace"]) for block in blocks} == {
        ("project", "team"),
        ("project", "tools"),
        ("system", "/"),
    }
    assert cli("robot", "list", "-q").out == "robot$deploy\n"
    assert cli("robot", "list", "--project", team, "-q").out == ""


def test_a_secret_may_go_into_a_file_of_its_owner(cli: Cli, team: str) -> None:
    words = ["--project", team, "--secret-file", "ci.secret"]
    made = shown(cli, "robot", "create", "ci", "--allow", "push", *words)
    assert "secret" not in made
    first = Path("ci.secret").read_text(encoding="utf-8")
    assert stat.S_IMODE(Path("ci.secret").stat().st_mode) == 0o600
    # A file that is there is left alone, and so is the secret.
    assert cli("robot", "refresh-secret", "ci", *words).code == ExitCode.USAGE
    Path("ci.secret").unlink()
    assert cli("robot", "refresh-secret", "ci", *words).code == 0
    assert Path("ci.secret").read_text(encoding="utf-8") not in {first, "", "\n"}


def test_a_robot_is_disabled_and_enabled_and_keeps_the_rest(cli: Cli, team: str) -> None:
    words = ("ci", "--project", team)
    assert cli("robot", "create", *words, "--allow", "push", "--description", "builds").code == 0
    before = shown(cli, "robot", "show", *words)
    assert cli("robot", "disable", *words).code == 0
    assert shown(cli, "robot", "show", *words)["disable"] is True
    assert cli("robot", "enable", "robot$team+ci").code == 0
    after = shown(cli, "robot", "show", *words)
    assert {**after, "update_time": None} == {**before, "update_time": None}


def test_a_deleted_robot_is_gone(cli: Cli, team: str) -> None:
    assert cli("robot", "create", "ci", "--project", team, "--allow", "push").code == 0
    assert cli("robot", "delete", "ci", "--project", team, "--yes").code == 0
    ran = cli("robot", "show", "ci", "--project", team)
    assert ran.code == ExitCode.NOT_FOUND
    assert "roadstead robot list --project team" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--allow", "push"],
        ["--project", "team"],
        ["--project", "team", "--in", "tools", "--allow", "push"],
        ["--project", "team", "--allow", "psuh"],
        ["--project", "team", "--allow", ":push"],
        ["--in", "team"],
    ],
)
def test_a_robot_that_nobody_can_mean_is_a_usage_error(cli: Cli, words: list[str]) -> None:
    assert cli("robot", "create", "ci", *words).code == ExitCode.USAGE
