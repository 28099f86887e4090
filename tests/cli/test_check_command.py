"""`roadstead check` finds what is wrong, and says what to do."""

from __future__ import annotations

import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from roadstead.cli import certificates, checks
from roadstead.cli.checks import CHECKS, Check, Outcome, Status, outcome_of
from roadstead.config.settings import Settings
from roadstead.errors import Unavailable
from roadstead.testing.certificates import Authority

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(sqlite_template: Path) -> Path:
    folder = Path("roadstead-data")
    (folder / "blobs").mkdir(parents=True)
    shutil.copy(sqlite_template, folder / "roadstead.db")
    return folder


async def found(name: str, **values: Any) -> Outcome:
    return await outcome_of(CHECKS[name], Settings.model_validate(values))


def test_a_sound_registry_passes(cli: Cli, registry: Path) -> None:
    ran = cli("check", "-o", "json", "--skip", "system", "--skip", "storage.space")
    statuses = {record["name"]: record["status"] for record in json.loads(ran.out)}
    assert ran.code == 0, ran.out
    assert set(statuses.values()) <= {"ok", "skip"}
    assert statuses["storage.write"] == statuses["database.schema"] == "ok"


def test_a_folder_that_is_not_there_stays_so(cli: Cli) -> None:
    ran = cli("check", "--data", "nowhere")
    assert ran.code == 0
    assert "warn  data.folder" in ran.out
    assert not Path("nowhere").exists()


def test_a_failed_check_ends_with_8_and_a_remedy(cli: Cli) -> None:
    Path("roadstead-data").write_text("", encoding="utf-8")
    ran = cli("check", "--only", "data")
    assert ran.code == 8
    assert "Do: Name a folder with --data." in ran.out


def test_a_wrong_configuration_fails_and_the_rest_is_skipped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTEAD_PROT", "1")
    ran = cli("check", "-o", "json")
    first, *rest = json.loads(ran.out)
    assert ran.code == 8
    assert "Did you mean ROADSTEAD_PORT?" in first["detail"]
    assert {record["status"] for record in rest} == {"skip"}


def test_checks_are_listed_without_running(cli: Cli) -> None:
    assert cli("check", "--list", "-q").out.split() == list(checks.names())


def test_checks_are_chosen_by_name_and_group(cli: Cli) -> None:
    assert cli("check", "--list", "-q", "--only", "storage").out.split() == ["storage.write", "storage.space"]
    assert (
        cli("check", "--list", "-q", "--only", "storage", "--skip", "storage.space").out == "storage.write\n"
    )


def test_an_unknown_check_is_refused_with_a_suggestion(cli: Cli) -> None:
    ran = cli("check", "--only", "storage.wrte")
    assert ran.code == 2
    assert "Did you mean storage.write?" in ran.err


def test_quiet_prints_what_is_not_ok(cli: Cli, registry: Path) -> None:
    assert cli("check", "-q", "--only", "database").out == ""


async def test_a_check_that_raises_has_failed_with_the_error_s_words() -> None:
    async def explained(_settings: Settings) -> Outcome:
        raise Unavailable("the disk is gone", remedy="Buy one.")

    async def system(_settings: Settings) -> Outcome:
        raise PermissionError(13, "Permission denied", "/x")

    async def hanging(_settings: Settings) -> Outcome:
        raise TimeoutError

    async def outcome(run: Any) -> Outcome:
        return await outcome_of(Check("x", "x", run), Settings())

    assert await outcome(explained) == Outcome(Status.FAIL, "the disk is gone", "Buy one.")
    assert (await outcome(system)).detail == "Permission denied: /x"
    assert "no answer within 20 s" in (await outcome(hanging)).detail


async def test_a_check_that_nobody_can_explain_has_failed_and_the_others_run() -> None:
    async def faint(_settings: Settings) -> Outcome:
        raise LookupError("canary")

    outcome = await outcome_of(Check("x", "x", faint), Settings())
    assert outcome.status is Status.FAIL
    assert "LookupError" in outcome.detail
    assert "canary" not in outcome.detail


async def test_a_read_only_folder_fails(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    outcome = await found("data.folder")
    assert outcome.status is Status.FAIL
    assert "not writable" in outcome.detail


async def test_a_folder_of_another_account_is_warned_of(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert (await found("data.folder")).status is Status.WARN


async def test_sqlite_on_a_network_file_system_fails(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "file_system_of", lambda _folder: "nfs4")
    assert (await found("data.folder")).status is Status.FAIL
    assert (await found("data.folder", database={"url": "postgresql://db/x"})).status is Status.OK


def test_the_file_system_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:5 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n"
        "3 1 0:6 / /else\\040where rw - tmpfs tmpfs rw\n",
        encoding="utf-8",
    )
    assert checks.file_system_of(tmp_path / "data", mounts) == "nfs4"
    assert checks.file_system_of(Path("/usr"), mounts) == "ext4"
    assert checks.file_system_of(Path("/else where/x"), mounts) == "tmpfs"
    assert checks.file_system_of(Path("/usr"), tmp_path / "none") == ""


async def test_the_database_answers_with_its_version(registry: Path) -> None:
    assert (await found("database.connect")).detail.startswith("SQLite 3.")


@pytest.mark.postgres
async def test_postgresql_answers_with_version_clock_and_schema(postgres_url: str) -> None:
    for name in ("database.connect", "database.schema", "database.clock"):
        assert (await found(name, database={"url": postgres_url})).status is Status.OK


@pytest.mark.postgres
async def test_a_clock_that_differs_fails(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "now_ms", lambda: 0)
    assert (await found("database.clock", database={"url": postgres_url})).status is Status.FAIL


async def test_a_database_that_does_not_answer_fails_without_its_password() -> None:
    outcome = await found(
        "database.connect", database={"url": "postgresql://me:hunter2@127.0.0.1:1/x", "pool_timeout": 1}
    )
    assert outcome.status is Status.FAIL
    assert "hunter2" not in outcome.detail + outcome.remedy


async def test_an_old_schema_is_a_warning_or_a_failure_when_nobody_migrates(registry: Path) -> None:
    (registry / "roadstead.db").write_bytes(b"")
    assert (await found("database.schema")).status is Status.WARN
    assert (await found("database.schema", database={"auto_migrate": False})).remedy == "roadstead migrate"


@pytest.mark.parametrize(
    ("free", "status"),
    [(100_000_000, Status.FAIL), (1_000_000_000, Status.WARN), (500_000_000_000, Status.OK)],
)
async def test_a_full_disk_is_told_before_it_is_full(
    free: int, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"total": 1_000_000_000_000, "free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    assert (await found("storage.space")).status is status


async def test_a_good_certificate_is_ok_and_names_its_hosts(tmp_path: Path) -> None:
    made = Authority(tmp_path / "ca").certify(tmp_path / "server", ["r.example.com", "*.apps.example.com"])
    tls = {"certificate": made.certificate, "key": made.key}
    urls = ["https://r.example.com", "https://a.apps.example.com:8443", "http://plain"]
    outcome = await found("tls.certificate", tls=tls, external_urls=urls)
    assert outcome.status in {Status.OK, Status.WARN}
    assert "r.example.com" in outcome.detail or "ends in" in outcome.detail
    stranger = await found("tls.certificate", tls=tls, external_urls=["https://other.example.com"])
    assert stranger.status is Status.FAIL
    assert "does not name other.example.com" in stranger.detail


async def test_a_key_of_another_certificate_fails(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    one, two = (authority.certify(tmp_path / name, ["localhost"]) for name in ("one", "two"))
    outcome = await found("tls.certificate", tls={"certificate": one.certificate, "key": two.key})
    assert outcome.status is Status.FAIL


@pytest.mark.parametrize(("days", "status"), [(-3.0, Status.FAIL), (12.0, Status.WARN), (90.0, Status.OK)])
async def test_an_ending_certificate_is_told_in_time(
    days: float, status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Authority(tmp_path / "ca").certify(tmp_path / "server", ["localhost"])
    monkeypatch.setattr(certificates, "days_left", lambda _certificate: days)
    tls = {"certificate": made.certificate, "key": made.key}
    assert (await found("tls.certificate", tls=tls)).status is status


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, Status.OK),
        ({"host": "0.0.0.0"}, Status.WARN),
        ({"external_urls": ["http://r.example.com"]}, Status.WARN),
        ({"external_urls": ["http://localhost:5000", "http://[::1]:5000"]}, Status.OK),
        ({"host": "0.0.0.0", "external_urls": ["https://r.example.com"]}, Status.OK),
    ],
)
async def test_unencrypted_ways_in_are_warned_of(values: dict[str, Any], status: Status) -> None:
    assert (await found("url.external", **values)).status is status


async def test_hashes_that_cannot_be_resumed_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "self_test", lambda: "none")
    assert (await found("hashing.backend")).status is Status.WARN


async def test_too_few_open_files_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 1024))
    assert (await found("system.files")).status is Status.WARN
    assert (await found("system.files", http={"max_connections": 20})).status is Status.OK
