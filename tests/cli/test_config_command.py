"""`roadstead config …`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli


def test_show_tells_value_and_source(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.yaml").write_text("port: 1\nlog:\n  level: debug\n", encoding="utf-8")
    monkeypatch.setenv("ROADSTEAD_WORKERS", "3")
    ran = cli("config", "show", "--config", "r.yaml", "--data", "d", "--changed", "-o", "json")
    assert json.loads(ran.out) == [
        {"name": "data", "value": "d", "source": "--data"},
        {"name": "port", "value": 1, "source": "r.yaml:1"},
        {"name": "workers", "value": 3, "source": "ROADSTEAD_WORKERS"},
        {"name": "log.level", "value": "debug", "source": "r.yaml:3"},
    ]


def test_show_masks_secrets_in_every_form(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSTEAD_DATABASE__URL", "postgresql://me:hunter2@db/x")
    for form in ("table", "json", "jsonl", "csv", "name"):
        ran = cli("config", "show", "-o", form)
        assert ran.code == 0
        assert "hunter2" not in ran.out + ran.err


def test_show_keeps_talk_out_of_its_data(cli: Cli) -> None:
    assert cli("config", "show").err == ""


def test_validate_says_yes_on_standard_error(cli: Cli) -> None:
    Path("r.yaml").write_text("port: 1\n", encoding="utf-8")
    ran = cli("config", "validate", "--config", "r.yaml")
    assert (ran.code, ran.out, ran.err) == (0, "", "The configuration is valid (r.yaml).\n")
    assert cli("config", "validate", "-q").err == ""


def test_validate_says_no_with_line_and_suggestion(cli: Cli) -> None:
    Path("r.yaml").write_text("storage:\n  filesystm: {}\n", encoding="utf-8")
    ran = cli("config", "validate", "--config", "r.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: r.yaml:2: unknown key storage.filesystm. Did you mean filesystem?\n")


def test_explain_tells_all_about_one_setting(cli: Cli) -> None:
    assert cli("config", "explain", "port").out == (
        "port\n"
        "  Port to listen on.\n"
        "  takes        whole number from 0 to 65535\n"
        "  default      5000\n"
        "  environment  ROADSTEAD_PORT\n"
        "\n"
    )


def test_explain_lists_everything_without_a_name(cli: Cli) -> None:
    names = cli("config", "explain", "-q").out.split()
    assert "http.drain_timeout" in names
    assert "http" not in names


def test_explain_of_a_section_lists_its_settings(cli: Cli) -> None:
    assert cli("config", "explain", "jobs", "-q").out.split() == [
        "jobs.embedded",
        "jobs.concurrency",
        "jobs.lease",
    ]


def test_explain_of_nothing_known_suggests(cli: Cli) -> None:
    ran = cli("config", "explain", "drain_timeout")
    assert ran.code == 2
    assert "Did you mean http.drain_timeout?" in ran.err


def test_schema_is_json(cli: Cli) -> None:
    assert json.loads(cli("config", "schema").out)["properties"]["port"]["maximum"] == 65535
