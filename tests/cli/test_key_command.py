"""`roadstead key`: which keys there are, and a new one."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli


def states(cli: Cli) -> list[str]:
    return [entry["state"] for entry in json.loads(cli("key", "list", "-o", "json").out)]


def test_the_first_key_is_made_when_it_is_asked_for(cli: Cli, registry: Path) -> None:
    assert states(cli) == ["signs"]


def test_a_retired_key_goes_on_to_verify(cli: Cli, registry: Path) -> None:
    [before] = cli("key", "list", "-q").out.split()
    ran = cli("key", "rotate")
    assert ran.code == 0
    assert "signed with" in ran.err
    assert sorted(states(cli)) == ["signs", "verifies"]
    assert before in cli("key", "list", "-q").out.split()


def test_a_distrusted_key_is_gone(cli: Cli, registry: Path) -> None:
    [before] = cli("key", "list", "-q").out.split()
    assert cli("key", "rotate", "--distrust", "--yes").code == 0
    assert states(cli) == ["signs"]
    assert before not in cli("key", "list", "-q").out.split()


def test_tokens_are_not_voided_without_being_asked(cli: Cli, registry: Path) -> None:
    [before] = cli("key", "list", "-q").out.split()
    assert cli("key", "rotate", "--distrust").code == 2
    assert cli("key", "list", "-q").out.split() == [before]
