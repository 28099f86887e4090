"""Data on standard output, in every form."""

from __future__ import annotations

import csv
import json
from typing import Any

import click
import pytest

from roadstead.cli.output import Record, cell, print_list, print_one

ANNA = {"username": "anna", "admin": True, "last_login": None, "id": 2}
BERT = {"username": "bert", "admin": False, "last_login": "2026-01-01", "id": 10}


def printed(capsys: pytest.CaptureFixture[str], *records: Record, **options: Any) -> str:
    print_list(
        records, name="username", columns=("username", "admin", "last_login"),
        **{"output_format": "table", **options},
    )  # fmt: skip
    return capsys.readouterr().out


def test_a_table_is_aligned_under_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ANNA, BERT) == (
        "USERNAME  ADMIN  LAST LOGIN\n"
        "anna      yes    -\n"
        "bert      no     2026-01-01\n"
    )  # fmt: skip


def test_an_empty_table_is_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == "USERNAME  ADMIN  LAST LOGIN\n"


def test_json_holds_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, ANNA, BERT, output_format="json")) == [ANNA, BERT]


def test_json_of_nothing_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, output_format="json")) == []


def test_json_lines_are_one_record_each(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, ANNA, BERT, output_format="jsonl")
    assert [json.loads(line) for line in text.splitlines()] == [ANNA, BERT]


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, ANNA | {"username": 'a,"b'}, output_format="csv")
    assert list(csv.DictReader(text.splitlines())) == [
        {"username": 'a,"b', "admin": "True", "last_login": "", "id": "2"}
    ]


@pytest.mark.parametrize(
    "options", [{"output_format": "name"}, {"quiet": True}, {"quiet": True, "output_format": "csv"}]
)
def test_names_are_names_only(capsys: pytest.CaptureFixture[str], options: dict[str, Any]) -> None:
    assert printed(capsys, ANNA, BERT, **options) == "anna\nbert\n"


def test_columns_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ANNA, chosen="id,username") == "ID  USERNAME\n2   anna\n"
    assert printed(capsys, ANNA, chosen="id", output_format="csv") == "id\n2\n"


@pytest.mark.parametrize(
    ("sort", "order"), [("id", "anna bert"), ("-id", "bert anna"), ("last_login", "bert anna")]
)
def test_a_column_can_be_sorted_by(capsys: pytest.CaptureFixture[str], sort: str, order: str) -> None:
    assert printed(capsys, ANNA, BERT, sort=sort, quiet=True).split() == order.split()


@pytest.mark.parametrize("options", [{"chosen": "nme"}, {"sort": "nme"}])
def test_an_unknown_column_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str], options: dict[str, Any]
) -> None:
    with pytest.raises(click.UsageError, match="Choose from: username, admin, last_login, id"):
        printed(capsys, ANNA, **options)


def test_one_record_is_a_key_on_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_one(ANNA, name="username", output_format="table")
    assert capsys.readouterr().out == "USERNAME    anna\nADMIN       yes\nLAST LOGIN  -\nID          2\n"


def test_one_record_as_json_is_no_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_one(ANNA, name="username", output_format="json")
    assert json.loads(capsys.readouterr().out) == ANNA


def test_one_record_may_be_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_one(ANNA, name="username", output_format="table", quiet=True)
    assert capsys.readouterr().out == "anna\n"


def test_a_name_cannot_command_the_terminal() -> None:
    assert cell("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a"
