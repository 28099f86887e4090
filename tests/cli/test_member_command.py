"""`roadstead member`, `role`, `network-rules`, `label` and `configuration`, inside this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from roadstead.cli.exits import ExitCode

PASSWORD = b"Correct horse 7 battery\n"


@pytest.fixture
def team(registry: Path, cli: Cli) -> str:
    assert cli("project", "create", "team").code == 0
    assert cli("user", "create", "anna", "--password-stdin", stdin=PASSWORD).code == 0
    return "team"


def shown(cli: Cli, *words: str) -> Any:
    ran = cli(*words, "-o", "json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def members(cli: Cli, project: str) -> list[tuple[str, str, str]]:
    return [
        (row["entity_name"], row["role_name"], row.get("repositories", ""))
        for row in shown(cli, "member", "list", project)
    ]


def test_a_member_is_added_changed_and_removed(cli: Cli, team: str) -> None:
    ran = cli("member", "add", team, "anna", "--role", "developer")
    assert ran.code == 0, ran.err
    assert members(cli, team) == [("anna", "developer", "")]
    assert cli("member", "set-role", team, "anna", "--role", "limited-guest").code == 0
    assert members(cli, team) == [("anna", "limitedGuest", "")]
    assert cli("member", "remove", team, "anna").code == 0
    assert members(cli, team) == []


def test_a_membership_may_be_for_some_repositories(cli: Cli, team: str) -> None:
    for pattern in ("web/**", "api/*"):
        words = ["--role", "developer", "--repositories", pattern]
        assert cli("member", "add", team, "anna", *words).code == 0
    assert {pattern for _, _, pattern in members(cli, team)} == {"web/**", "api/*"}
    ran = cli("member", "remove", team, "anna")
    assert ran.code == ExitCode.USAGE
    assert "--repositories" in ran.err
    assert cli("member", "remove", team, "anna", "--repositories", "api/*").code == 0
    assert members(cli, team) == [("anna", "developer", "web/**")]


def test_who_is_not_there_is_not_found(cli: Cli, team: str) -> None:
    assert cli("member", "add", team, "bert", "--role", "guest").code == ExitCode.NOT_FOUND
    assert cli("member", "add", team, "anna", "--role", "czar").code == ExitCode.NOT_FOUND
    assert cli("member", "remove", team, "anna").code == ExitCode.NOT_FOUND
    assert cli("member", "list", "nowhere").code == ExitCode.NOT_FOUND


def test_a_role_that_somebody_made_can_be_given(cli: Cli, team: str) -> None:
    assert cli("role", "create", "puller", "--allow", "pull", "--description", "pulls").code == 0
    assert "repository:pull" in cli("role", "show", "puller").out
    assert cli("member", "add", team, "anna", "--role", "puller").code == 0
    assert members(cli, team) == [("anna", "puller", "")]
    # Somebody has it.
    assert cli("role", "delete", "puller").code == ExitCode.CONFLICT
    assert cli("member", "remove", team, "anna").code == 0
    assert cli("role", "delete", "puller").code == 0
    assert "puller" not in cli("role", "list", "-q").out.split()


def test_network_rules_are_set_door_by_door(cli: Cli, team: str) -> None:
    words = ["network-rules", "set", "--project", team]
    assert cli(*words, "--door", "registry", "--allow", "10.0.0.0/8", "--allow", "fd00::/8").code == 0
    assert cli(*words, "--door", "portal", "--allow", "192.0.2.7").code == 0
    assert shown(cli, "network-rules", "show", "--project", team) == {
        "registry": ["10.0.0.0/8", "fd00::/8"],
        "api": [],
        "portal": ["192.0.2.7/32"],
    }
    assert cli(*words, "--door", "registry", "--open").code == 0
    assert shown(cli, "network-rules", "show", "--project", team)["registry"] == []
    assert cli(*words, "--door", "registry").code == ExitCode.USAGE
    assert cli(*words, "--door", "registry", "--allow", "10.0.0.1/8").code == ExitCode.USAGE


def test_labels_are_everybody_s_or_a_project_s(cli: Cli, team: str) -> None:
    assert cli("label", "create", "reviewed", "--project", team).code == 0
    assert cli("label", "create", "deprecated").code == 0
    assert cli("label", "list", "-q").out == "deprecated\n"
    assert cli("label", "list", "--project", team, "-q").out == "reviewed\n"
    assert cli("label", "delete", "reviewed").code == ExitCode.NOT_FOUND
    assert cli("label", "delete", "reviewed", "--project", team).code == 0


def test_a_configuration_is_changed_in_its_own_type(cli: Cli, registry: Path) -> None:
    assert cli("configuration", "set", "self_registration", "TRUE").code == 0
    [row] = shown(cli, "configuration", "get", "self_registration")
    assert row["value"] is True
    assert cli("configuration", "set", "self_registration", "maybe").code == ExitCode.USAGE
    assert cli("configuration", "set", "token_expiration", "soon").code == ExitCode.USAGE
    assert cli("configuration", "set", "nothing", "1").code == ExitCode.NOT_FOUND


def test_what_was_done_is_listed_and_exported(cli: Cli, team: str) -> None:
    newest = shown(cli, "audit", "list", "--limit", "1")
    assert [(row["username"], row["operation"], row["resource"]) for row in newest] == [
        ("operator", "create", "anna")
    ]
    assert cli("audit", "export", "--to", "audit.jsonl").code == 0
    lines = Path("audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(shown(cli, "audit", "list"))
    assert cli("audit", "export").out.splitlines() == lines
    assert cli("audit", "export", "--to", "audit.jsonl").code == ExitCode.FAILED
    assert "Correct horse" not in "".join(lines)
