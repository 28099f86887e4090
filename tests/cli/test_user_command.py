"""`roadstead user …` on a real database."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from roadstead.cli import terminal
from roadstead.config.settings import Settings
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.queries import credentials_of
from roadstead.wiring import open_offline

PASSWORD = b"Correct horse 7 battery\n"


@pytest.fixture
def anna(registry: Path, cli: Cli) -> str:
    assert cli("user", "create", "anna", "--password-stdin", stdin=PASSWORD).code == 0
    return "anna"


@pytest.fixture
def root(registry: Path, cli: Cli) -> str:
    assert cli("user", "create", "root", "--admin", "--password-stdin", stdin=PASSWORD).code == 0
    return "root"


def accepts(username: str, password: str) -> bool:
    async def ask() -> bool:
        async with open_offline(Settings()) as offline:
            found = await offline.database.read(credentials_of, username)
            hasher = PasswordHasher(concurrency=1)
            try:
                return await hasher.verify(found.password_hash if found else None, password.encode())
            finally:
                hasher.close()

    return asyncio.run(ask())


def test_a_created_account_is_shown(cli: Cli, registry: Path) -> None:
    ran = cli("user", "create", "Anna", "--admin", "--password-stdin", "-o", "json", stdin=PASSWORD)
    shown = json.loads(ran.out)
    assert (shown["username"], shown["sysadmin_flag"], shown["disabled"]) == ("anna", True, False)
    assert shown["creation_time"].endswith("Z")
    assert shown == json.loads(cli("user", "show", "anna", "-o", "json").out)


def test_a_password_may_come_from_a_file(cli: Cli, registry: Path) -> None:
    Path("secret").write_bytes(PASSWORD)
    assert cli("user", "create", "anna", "--password-file", "secret", "-q").out == "anna\n"
    assert accepts("anna", "Correct horse 7 battery")


def test_accounts_are_listed_in_every_form(cli: Cli, anna: str, root: str) -> None:
    assert cli("user", "list", "-q").out == "anna\nroot\n"
    assert cli("user", "list").out.splitlines()[0].split()[:2] == ["USERNAME", "SYSADMIN"]
    assert [row["username"] for row in csv.DictReader(cli("user", "list", "-o", "csv").out.splitlines())] == [
        "anna",
        "root",
    ]
    assert cli("user", "list", "--sort", "-username", "-o", "name").out == "root\nanna\n"


def test_a_reset_password_replaces_the_old_one(cli: Cli, anna: str) -> None:
    ran = cli("user", "reset-password", anna, "--password-stdin", stdin=b"Another good 1")
    assert (ran.code, ran.out) == (0, "")
    assert accepts(anna, "Another good 1")
    assert not accepts(anna, "Correct horse 7 battery")


def test_an_account_is_disabled_and_enabled(cli: Cli, anna: str) -> None:
    assert "roadstead user enable anna" in cli("user", "disable", anna).err
    assert json.loads(cli("user", "show", anna, "-o", "json").out)["disabled"] is True
    assert cli("user", "enable", anna).code == 0
    assert json.loads(cli("user", "show", anna, "-o", "json").out)["disabled"] is False


def test_an_account_becomes_an_administrator_and_ordinary_again(cli: Cli, anna: str, root: str) -> None:
    for flag, expected in (("--yes", True), ("--no", False)):
        assert cli("user", "set-admin", anna, flag).code == 0
        assert json.loads(cli("user", "show", anna, "-o", "json").out)["sysadmin_flag"] is expected


def test_the_last_administrator_stays(cli: Cli, root: str) -> None:
    for words in (["delete", root, "--yes"], ["disable", root], ["set-admin", root, "--no"]):
        ran = cli("user", *words)
        assert ran.code == 5
        assert "only administrator" in ran.err


def test_deleting_needs_a_yes_where_nobody_can_be_asked(cli: Cli, anna: str) -> None:
    ran = cli("user", "delete", anna)
    assert ran.code == 2
    assert "--yes" in ran.err
    assert cli("user", "show", anna, "-q").code == 0
    assert cli("user", "delete", anna, "--yes").code == 0
    assert cli("user", "show", anna, "-q").code == 3


def test_deleting_asks_a_person(cli: Cli, anna: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "may_ask", lambda: True)
    assert cli("user", "delete", anna, stdin=b"n\n").code == 130
    assert cli("user", "show", anna, "-q").code == 0
    assert cli("user", "delete", anna, stdin=b"y\n").code == 0
    assert cli("user", "show", anna, "-q").code == 3


def test_a_taken_name_is_a_conflict(cli: Cli, anna: str) -> None:
    assert cli("user", "create", anna, "--password-stdin", stdin=PASSWORD).code == 5


def test_a_short_password_is_refused_with_the_rule(cli: Cli, registry: Path) -> None:
    ran = cli("user", "create", "anna", "--password-stdin", stdin=b"short")
    assert ran.code == 2
    assert "8 to 128 characters" in ran.err


@pytest.mark.parametrize(
    ("words", "stdin", "complaint"),
    [
        ((), b"", "--password-stdin or --password-file"),
        (("--password-stdin", "--password-file", "x"), PASSWORD, "exclude each other"),
        (("--password-stdin",), b"\n", "no password in standard input"),
        (("--password-stdin",), b"one\ntwo\n", "more than one line"),
        (("--password-stdin",), b"\xff\xff\xff\xff\xff\xff\xff\xff", "not UTF-8"),
    ],
)
def test_a_password_that_cannot_be_read_is_a_usage_error(
    cli: Cli, words: tuple[str, ...], stdin: bytes, complaint: str
) -> None:
    ran = cli("user", "create", "anna", *words, stdin=stdin)
    assert ran.code == 2
    assert complaint in ran.err


def test_a_missing_password_file_is_named(cli: Cli) -> None:
    ran = cli("user", "create", "anna", "--password-file", "none")
    assert (ran.code, ran.err) == (1, "Error: No such file or directory: none\n")


def test_there_is_no_way_to_give_a_password_on_the_command_line(cli: Cli) -> None:
    assert cli("user", "create", "anna", "--password", "x").code == 2


def test_a_folder_without_a_registry_is_said_to_be_one_and_left_alone(cli: Cli) -> None:
    ran = cli("user", "list", "--data", "nowhere")
    assert ran.code == 2
    assert "no registry in nowhere yet" in ran.err
    assert not Path("nowhere").exists()
