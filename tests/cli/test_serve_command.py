"""`roadstead serve` as a process: from the first line to the last."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

from roadstead.cli.first_run import PASSWORD_FILE
from roadstead.cli.serve import FLAGS, parameter_names
from roadstead.config.catalogue import catalogue

COMMAND = [sys.executable, "-m", "roadstead", "serve", "--port", "0", "--workers", "1"]


def started(*words: str, **environ: str) -> tuple[subprocess.Popen[str], list[dict[str, object]]]:
    """A server that says it is ready, and what it said until then."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
    )
    assert process.stderr is not None
    events: list[dict[str, object]] = []
    for line in process.stderr:
        events.append(json.loads(line))
        if events[-1]["event"] == "registry.ready":
            # What belongs to it follows in the same breath.
            if events[-1]["first_run"] and "ROADSTEAD_ADMIN_PASSWORD" not in environ:
                events.append(json.loads(process.stderr.readline()))
            return process, events
    pytest.fail(f"the server ended with {process.wait()}: {events}")


def stopped(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert out == "", "standard output is for data, and serve has none"
    return process.returncode


def test_a_server_starts_says_where_its_password_is_and_stops() -> None:
    process, events = started()
    *_, ready, first = events
    assert stopped(process) == 0
    assert ready["first_run"] is True
    assert str(ready["url"]).startswith("http://localhost:")
    file = Path(str(first["file"]))
    assert file == Path("roadstead-data") / PASSWORD_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text(encoding="utf-8").strip() not in json.dumps(events)


def test_a_given_password_leaves_no_file_and_the_environment_is_enough() -> None:
    process, events = started(ROADSTEAD_ADMIN_PASSWORD="given to us", ROADSTEAD_DATA="elsewhere")
    assert stopped(process) == 0
    assert "given to us" not in json.dumps(events)
    assert not (Path("elsewhere") / PASSWORD_FILE).exists()
    assert Path("elsewhere/roadstead.db").exists()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_a_conflict_that_names_another(cli: Cli, taken_port: int) -> None:
    ran = cli("serve", "--port", str(taken_port), "--workers", "1")
    assert ran.code == 5
    assert f"Port {taken_port} on 127.0.0.1 is taken" in ran.err
    assert "Do    Try: roadstead serve --port" in ran.err
    assert (Path("roadstead-data") / PASSWORD_FILE).exists(), "the password of the first start is not lost"


def test_a_wrong_value_names_the_option(cli: Cli) -> None:
    ran = cli("serve", "--port", "http", "--external-url", "registry")
    assert ran.code == 2
    assert "--port: port must be a whole number, not 'http'" in ran.err
    assert "--external-url: external_urls must look like" in ran.err
    assert not Path("roadstead-data").exists()


def test_every_option_is_a_setting_with_a_variable(cli: Cli) -> None:
    text = " ".join(cli("serve", "--help").out.split())
    for name in parameter_names():
        assert f"[env: {catalogue()[name].environment}]" in text


def test_every_renamed_flag_exists(cli: Cli) -> None:
    text = cli("serve", "--help").out
    assert all(f" {flag} " in text for flag in FLAGS.values())


@pytest.mark.parametrize("password", ["x" * 2000, "tab\there-and-more"])
def test_a_given_password_that_nobody_could_sign_in_with_is_refused(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("ROADSTEAD_ADMIN_PASSWORD", password)
    ran = cli("serve", "--port", "0", "--workers", "1")
    assert ran.code == 2
    assert "ROADSTEAD_ADMIN_PASSWORD: a password has" in ran.err
    assert password not in ran.err


def test_a_password_file_that_is_not_text_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("password").write_bytes(b"\xff\xfe-a-password")
    monkeypatch.setenv("ROADSTEAD_ADMIN_PASSWORD_FILE", "password")
    ran = cli("serve", "--port", "0", "--workers", "1")
    assert ran.code == 2
    assert "not UTF-8" in ran.err
