"""What `serve` says when it listens, and where the first password goes."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from roadstead.cli.first_run import (
    PASSWORD_FILE,
    Announcement,
    address_of,
    banner,
    is_loopback,
    size_in_words,
    warnings,
)
from roadstead.config.settings import Settings
from roadstead.telemetry import logs


@dataclass(frozen=True)
class Run:
    created: bool = True
    admin_username: str = "admin"
    admin_password: str | None = "kelp-orbit"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def data() -> Path:
    folder = Path("roadstead-data")
    folder.mkdir()
    return folder


def settings(**values: object) -> Settings:
    return Settings.model_validate(values)


def said_to_a_person(monkeypatch: pytest.MonkeyPatch, run: Run, port: int = 5000, **values: object) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Announcement(settings(**values), run).tell(port)
    return click.unstyle(terminal.getvalue())


def said_to_a_log(run: Run, **values: object) -> list[dict[str, object]]:
    stream = io.StringIO()
    logs.configure(settings(**values).log, stream)
    Announcement(settings(**values), run).tell(5000)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_first_start_teaches_on_a_screen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said_to_a_person(monkeypatch, Run())
    assert "is ready" in text
    assert "(first run: created ./roadstead-data)" in text
    assert "docker login localhost:5000" in text
    assert "Sign in as admin with   kelp-orbit" in text
    assert "roadstead user reset-password admin" in text
    assert "./roadstead-data/blobs (" in text
    assert "./roadstead-data/roadstead.db" in text
    assert "plain HTTP on loopback only" in text
    assert "Warning" not in text


def test_a_password_that_was_shown_is_not_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said_to_a_person(monkeypatch, Run())
    assert not (data / PASSWORD_FILE).exists()


def test_a_password_is_kept_from_the_first_moment_in_case_the_start_fails(data: Path) -> None:
    Announcement(settings(), Run())
    assert (data / PASSWORD_FILE).read_text(encoding="utf-8") == "kelp-orbit\n"


def test_a_kept_password_is_told_of_at_the_next_start(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Announcement(settings(), Run())
    text = said_to_a_person(monkeypatch, Run(created=False, admin_password=None))
    assert "The first password of admin is in ./roadstead-data/initial-admin-password" in text
    assert "kelp" not in text


def test_the_second_start_is_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said_to_a_person(monkeypatch, Run(created=False, admin_password=None), port=5001)
    assert len(text.splitlines()) == 1
    assert "on http://localhost:5001, data in ./roadstead-data" in text


def test_a_given_password_is_neither_shown_nor_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said_to_a_person(monkeypatch, Run(admin_password=None))
    assert "Sign in" not in text
    assert not (data / PASSWORD_FILE).exists()


def test_a_log_gets_the_file_and_never_the_password(data: Path) -> None:
    events = said_to_a_log(Run())
    ready, first = events
    assert ready["event"] == "registry.ready"
    assert ready["url"] == "http://localhost:5000"
    assert first["file"] == "roadstead-data/initial-admin-password"
    assert "kelp" not in json.dumps(events)
    file = data / PASSWORD_FILE
    assert file.read_text(encoding="utf-8") == "kelp-orbit\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_json_logs_on_a_terminal_print_no_password(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    chosen = settings(log={"format": "json"})
    logs.configure(chosen.log, terminal)
    Announcement(chosen, Run()).tell(5000)
    assert "kelp" not in terminal.getvalue()
    assert (data / PASSWORD_FILE).exists()


def test_a_link_in_the_way_of_the_password_is_replaced_not_followed(data: Path) -> None:
    (data / PASSWORD_FILE).symlink_to(Path.cwd() / "elsewhere")
    Announcement(settings(), Run())
    assert not Path("elsewhere").exists()
    assert not (data / PASSWORD_FILE).is_symlink()


def test_listening_for_others_without_tls_is_warned_of(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = said_to_a_person(monkeypatch, Run(), host="0.0.0.0")
    assert "Warning: passwords and images go unencrypted" in text
    assert all(way in text for way in ("--tls-certificate", "--external-url", "--host 127.0.0.1"))
    assert "loopback only" not in text


def test_a_log_is_warned_too(data: Path) -> None:
    assert said_to_a_log(Run(), host="::")[-1]["event"] == "registry.exposed"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"host": "::1"},
        {"host": "localhost"},
        {"host": "::", "external_urls": ["https://r"]},
        {"host": "::", "tls": {"certificate": "x"}},
        {"host": "::", "unix_socket": "x"},
    ],
)
def test_what_nobody_can_overhear_is_not_warned_of(values: dict[str, object]) -> None:
    assert warnings(settings(**values)) == []


@pytest.mark.parametrize(
    ("values", "name", "url"),
    [
        ({}, "localhost:5000", "http://localhost:5000"),
        ({"host": "0.0.0.0"}, "localhost:5000", "http://localhost:5000"),
        ({"host": "10.0.0.7", "port": 0}, "10.0.0.7:5000", "http://10.0.0.7:5000"),
        ({"host": "fd00::7"}, "[fd00::7]:5000", "http://[fd00::7]:5000"),
        ({"tls": {"certificate": "x"}}, "localhost:5000", "https://localhost:5000"),
        ({"external_urls": ["https://r.example.com"]}, "r.example.com", "https://r.example.com"),
        ({"unix_socket": "/run/r"}, "/run/r", "unix:/run/r"),
    ],
)
def test_the_address_is_what_a_client_types(values: dict[str, object], name: str, url: str) -> None:
    address = address_of(settings(**values), 5000)
    assert (address.name, address.url) == (name, url)


def test_a_password_in_the_database_s_address_stays_out_of_the_banner() -> None:
    chosen = settings(database={"url": "postgresql://me:hunter2@db/x"})
    text = "\n".join(banner(chosen, Run(), address_of(chosen, 5000)))
    assert "hunter2" not in text
    assert "postgresql://********@db/x" in text


@pytest.mark.parametrize(("host", "answer"), [("127.9.9.9", True), ("localhost", True), ("r.example", False)])
def test_loopback_is_known_by_name_and_address(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 B"), (118e9, "118 GB"), (2_500_000, "2 MB"), (3.21e12, "3.2 TB")]
)
def test_sizes_are_told_as_disks_are_sold(size: float, words: str) -> None:
    assert size_in_words(size) == words
