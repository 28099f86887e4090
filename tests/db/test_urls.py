"""Addresses of databases."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from roadstead.db.urls import DatabaseUrlInvalid, parse_url


def test_an_sqlite_address_is_a_path_as_it_stands() -> None:
    assert parse_url("sqlite:////data/a%20b?.db") == Path("/data/a%20b?.db")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://u:hunter2@h/x",
        "postgresql+asyncpg://u:hunter2@h/x",
        "postgresql://u:hunter2@h:port/x",
    ],
)
def test_other_addresses_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(DatabaseUrlInvalid) as refusal:
        parse_url(url)
    assert refusal.value.remedy
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))
