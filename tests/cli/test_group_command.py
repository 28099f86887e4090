"""`roadstead group`, `session`, `issuer`, `robot trust`, `quota` and the rest of `user`, inside this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from roadstead.cli.exits import ExitCode
from roadstead.cli.sizes import in_words, size

PASSWORD = b"Correct horse 7 battery\n"


@pytest.fixture
def anna(registry: Path, cli: Cli) -> str:
    assert cli("user", "create", "anna", "--password-stdin", stdin=PASSWORD).code == 0
    return "anna"


def shown(cli: Cli, *words: str) -> Any:
    ran = cli(*words, "-o", "json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_a_group_is_filled_and_given_a_role(cli: Cli, anna: str) -> None:
    assert cli("group", "create", "web").code == 0
    assert cli("group", "list", "-q").out == "web\n"
    assert cli("group", "add-user", "web", anna).code == 0
    assert cli("group", "list", "web", "-q").out == "anna\n"
    assert cli("project", "create", "team").code == 0
    assert cli("member", "add", "team", "web", "--group", "--role", "guest").code == 0
    assert [row["entity_type"] for row in shown(cli, "member", "list", "team")] == ["g"]
    assert cli("group", "remove-user", "web", anna).code == 0
    assert cli("group", "list", "web", "-q").out == ""
    assert cli("group", "delete", "web", "--yes").code == 0
    assert shown(cli, "member", "list", "team") == []
    assert cli("group", "list", "web").code == ExitCode.NOT_FOUND


def test_a_generated_password_is_shown_once_and_must_be_changed(cli: Cli, registry: Path) -> None:
    ran = cli("user", "create", "bert", "--generate-password", "-o", "json")
    made = json.loads(ran.out)
    assert made["must_change_password"] is True
    assert made["password"]
    assert "change-password" in ran.err
    assert "password" not in shown(cli, "user", "show", "bert")
    assert cli("user", "create", "cleo", "--generate-password", "--password-stdin").code == ExitCode.USAGE


def test_one_s_own_password_is_changed_on_a_server_only(cli: Cli, anna: str) -> None:
    ran = cli("user", "change-password", "--password-stdin", stdin=PASSWORD)
    assert ran.code == ExitCode.USAGE
    assert "--server" in ran.err


def test_somebody_is_unlocked_and_signed_in_nowhere(cli: Cli, anna: str) -> None:
    assert cli("user", "unlock", anna).code == 0
    assert shown(cli, "session", "list", anna) == []
    assert cli("session", "revoke", anna).code == ExitCode.USAGE
    assert cli("session", "revoke", anna, "--yes").code == 0
    assert cli("session", "list", "nobody").code == ExitCode.NOT_FOUND


def test_a_robot_trusts_tokens_of_an_issuer(cli: Cli, registry: Path) -> None:
    key = {"kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "alg": "ES256"}
    key |= {
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    Path("keys.json").write_text(json.dumps({"keys": [key]}), encoding="utf-8")
    words = ["https://ci.example.com", "--audience", "registry", "--keys-file"]
    assert cli("issuer", "add", "ci", *words, "keys.json").code == 0
    Path("none.json").write_text("[]", encoding="utf-8")
    assert cli("issuer", "add", "ci2", *words, "none.json").code == ExitCode.USAGE
    assert cli("project", "create", "team").code == 0
    assert cli("robot", "create", "ci", "--project", "team", "--allow", "push").code == 0
    rule = ["robot", "trust", "ci", "--project", "team"]
    assert cli(*rule, "--issuer", "ci", "--claim", "repository").code == ExitCode.USAGE
    assert cli(*rule, "--issuer", "ci", "--claim", "repository=acme/app").code == 0
    assert [row["claims"] for row in shown(cli, *rule)] == [{"repository": "acme/app"}]
    assert "repository=acme/app" in cli(*rule).out
    assert shown(cli, *rule, "--none") == []
    assert cli("issuer", "delete", "ci", "--yes").code == 0
    assert cli("issuer", "list", "-q").out == ""


def test_a_limit_is_set_and_shown_in_words(cli: Cli, registry: Path) -> None:
    assert cli("project", "create", "team", "--quota", "1GB").code == 0
    assert shown(cli, "quota", "show", "team")["hard"]["storage"] == 10**9
    assert "holds 0 B" in cli("quota", "set", "team", "2TiB").err
    assert "2.2 TB" in cli("quota", "list").out
    assert cli("quota", "set", "team", "unlimited").code == 0
    assert "unlimited" in cli("quota", "show", "team").out
    assert cli("quota", "set", "team", "lots").code == ExitCode.USAGE
    ran = cli("quota", "check")
    assert (ran.code, "exactly what it holds" in ran.err) == (0, True)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("512", 512), ("1kB", 1000), ("1 KiB", 1024), ("1.5GB", 1_500_000_000), ("unlimited", -1)],
)
def test_a_size_is_read_as_people_write_it(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [(-1, "unlimited"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2 * 10**15, "2 PB")],
)
def test_a_size_is_said_in_words(number: int, text: str) -> None:
    assert in_words(number) == text


def test_what_is_not_there_cannot_be_transferred(cli: Cli, registry: Path) -> None:
    assert cli("project", "create", "team").code == 0
    words = ["project", "transfer-repository", "team", "web/app", "team"]
    assert cli(*words).code == ExitCode.NOT_FOUND
