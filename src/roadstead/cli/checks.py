"""What `roadstead check` looks at: one function a check, each with a remedy for what it may find.

A check takes the settings and returns an `Outcome`; a `RoadsteadError` that it lets through is a failure with
the error's own words.  None of them changes anything that stays.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from roadstead.cli import certificates
from roadstead.cli.first_run import is_loopback, size_in_words, warnings
from roadstead.config.settings import Settings
from roadstead.db import migrations
from roadstead.db.database import Database
from roadstead.db.engine import open_database
from roadstead.errors import RoadsteadError
from roadstead.server.tls import server_context
from roadstead.storage.drivers import open_store
from roadstead.storage.hashing import self_test
from roadstead.telemetry.clock import now_ms

OLDEST_POSTGRESQL = 15
LARGEST_SKEW_MS = 2_000
# A check that has not ended by then has failed, in seconds.
DEADLINE = 20.0
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs"})


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Outcome:
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    title: str
    run: Callable[[Settings], Awaitable[Outcome]]


def ok(detail: str) -> Outcome:
    return Outcome(Status.OK, detail)


def warn(detail: str, remedy: str) -> Outcome:
    return Outcome(Status.WARN, detail, remedy)


def fail(detail: str, remedy: str) -> Outcome:
    return Outcome(Status.FAIL, detail, remedy)


def skip(detail: str) -> Outcome:
    return Outcome(Status.SKIP, detail)


async def outcome_of(check: Check, settings: Settings) -> Outcome:
    """Run one check; whatever it raises is an outcome, too."""
    try:
        async with asyncio.timeout(DEADLINE):
            return await check.run(settings)
    except RoadsteadError as error:
        return fail(error.message, error.remedy)
    except TimeoutError:
        return fail(
            f"no answer within {DEADLINE:.0f} s", "Look whether the database, the disk or the network hangs."
        )
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return fail(f"{error.strerror or error}{where}", "Look at the path and its permissions.")
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
        what = getattr(error, "orig", None) or error
        return fail(
            f"it failed in a way that cannot be explained ({type(what).__name__})",
            "Look at the log of what this check is about; then please report it.",
        )


# ── the data folder ─────────────────────────────────────────────────────────────────────────────────────


async def data_folder(settings: Settings) -> Outcome:
    folder = settings.data.absolute()
    if not folder.exists():
        return warn(f"{folder} is not there yet", "`roadstead serve` makes it; or name another with --data.")
    facts = folder.stat()
    if not stat.S_ISDIR(facts.st_mode):
        return fail(f"{folder} is not a folder", "Name a folder with --data.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(
            f"{folder} is not writable for user {os.geteuid()}",
            f"chown -R {os.geteuid()} {folder}, or use --data.",
        )
    if facts.st_uid != os.geteuid():
        return warn(
            f"{folder} belongs to user {facts.st_uid}, and this is user {os.geteuid()}",
            "Run roadstead as the user that owns the folder.",
        )
    kind = file_system_of(folder)
    if kind in _NETWORK_FILE_SYSTEMS and settings.database_url.startswith("sqlite:"):
        return fail(
            f"{folder} is on {kind}, where SQLite's locks cannot be relied on",
            "Put the folder on a local disk, or use PostgreSQL (database.url).",
        )
    return ok(f"{folder}, {kind or 'unknown file system'}")


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that holds `folder`; empty where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape", errors="replace")
        if folder.resolve().is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, right.split(" ")[0])
    return best[1]


# ── the database ────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings.database_url, pool_size=3, pool_timeout=settings.database.pool_timeout)
    try:
        yield database
    finally:
        await database.close()


def _missing_database(settings: Settings) -> Outcome | None:
    """SQLite makes a file by being asked; a check must not."""
    url = settings.database_url
    file = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not file.exists():
        return skip(f"{file} is not there yet")
    return None


async def database_connect(settings: Settings) -> Outcome:
    if missing := _missing_database(settings):
        return missing
    started = time.perf_counter()
    async with _database(settings) as database:
        version = await database.read(_version)
        dialect = database.dialect
    took = (time.perf_counter() - started) * 1000
    if dialect == "postgresql" and int(version.split(".")[0]) < OLDEST_POSTGRESQL:
        return fail(
            f"PostgreSQL {version}; {OLDEST_POSTGRESQL} is the oldest supported", "Upgrade PostgreSQL."
        )
    return ok(f"{'SQLite' if dialect == 'sqlite' else 'PostgreSQL'} {version}, {took:.0f} ms")


def _version(conn: Connection) -> str:
    query = "SELECT sqlite_version()" if conn.dialect.name == "sqlite" else "SHOW server_version"
    return str(conn.exec_driver_sql(query).scalar_one())


async def database_schema(settings: Settings) -> Outcome:
    if missing := _missing_database(settings):
        return missing
    state = await asyncio.to_thread(migrations.state, settings.database_url)
    if not state.pending:
        return ok(f"at {state.head}")
    steps = f"at {state.current or 'nothing'}, {len(state.pending)} behind {state.head}"
    if settings.database.auto_migrate:
        return warn(steps, "`roadstead serve` brings it up to date; or do it now: roadstead migrate")
    return fail(f"{steps}, and auto_migrate is false", "roadstead migrate")


async def database_clock(settings: Settings) -> Outcome:
    """A token's or an upload's expiry is judged by whoever looks: their clocks must agree."""
    if missing := _missing_database(settings):
        return missing
    async with _database(settings) as database:
        if database.dialect == "sqlite":
            return ok("the database has this machine's clock")
        before = now_ms()
        theirs = await database.read(_their_clock)
    skew = theirs - (before + now_ms()) // 2
    if abs(skew) > LARGEST_SKEW_MS:
        return fail(f"the database's clock differs by {skew / 1000:.1f} s", "Set both clocks with NTP.")
    return ok(f"differs by {abs(skew)} ms")


def _their_clock(conn: Connection) -> int:
    query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    return int(conn.exec_driver_sql(query).scalar_one())


# ── storage ─────────────────────────────────────────────────────────────────────────────────────────────


async def storage_write(settings: Settings) -> Outcome:
    if not settings.blobs_folder.exists():
        return skip(f"{settings.blobs_folder} is not there yet")
    store = open_store(settings)
    try:
        started = time.perf_counter()
        await store.probe()
        took = (time.perf_counter() - started) * 1000
    finally:
        await store.close()
    return ok(f"wrote, read and deleted in {settings.blobs_folder}, {took:.0f} ms")


async def storage_space(settings: Settings) -> Outcome:
    folder = settings.blobs_folder
    while not folder.exists():
        folder = folder.parent
    space = shutil.disk_usage(folder)
    detail = f"{size_in_words(space.free)} of {size_in_words(space.total)} free"
    remedy = "Make room, or move the blobs to a larger disk (storage.filesystem.rootdirectory)."
    if space.free < 200_000_000:
        return fail(detail, remedy)
    if space.free < min(space.total // 20, 10_000_000_000):
        return warn(detail, remedy)
    return ok(detail)


# ── the outside ─────────────────────────────────────────────────────────────────────────────────────────


async def tls_certificate(settings: Settings) -> Outcome:
    tls = settings.tls
    if tls.certificate is None:
        return skip("no certificate is configured")
    await asyncio.to_thread(server_context, tls)
    certificate = certificates.read(tls.certificate)
    days = certificates.days_left(certificate)
    if days < 0:
        return fail(f"the certificate ended {-days:.0f} days ago", "Renew it, and restart the server.")
    if not certificates.has_begun(certificate):
        return fail("the certificate is not valid yet", "Look at this machine's clock, or wait.")
    strangers = certificates.not_covered(certificate, settings.external_urls)
    if strangers:
        return fail(
            f"the certificate does not name {', '.join(strangers)}",
            "Get one that names every external URL's host.",
        )
    if days < 21:
        return warn(f"the certificate ends in {days:.0f} days", "Renew it, and restart the server.")
    return ok(f"{', '.join(certificates.names(certificate)) or 'no names'}, good for {days:.0f} days")


async def url_external(settings: Settings) -> Outcome:
    plain = [url for url in settings.external_urls if url.startswith("http://") and not _is_local(url)]
    if plain:
        return warn(f"{plain[0]} sends passwords unencrypted", "Use https, here or in the reverse proxy.")
    for reason in warnings(settings):
        return warn(reason, "Set tls.certificate and tls.key, or external_urls for the proxy in front.")
    return ok(", ".join(settings.external_urls) or "none needed on loopback or with an own certificate")


def _is_local(url: str) -> bool:
    host = url.partition("://")[2]
    return is_loopback(host if host.startswith("[") else host.rpartition(":")[0] or host) or host.startswith(
        "[::1]"
    )


# ── this machine ────────────────────────────────────────────────────────────────────────────────────────


async def hashing_backend(_settings: Settings) -> Outcome:
    backend = await asyncio.to_thread(self_test)
    if backend == "none":
        return warn(
            "hashes cannot be resumed: an interrupted upload is read again from its beginning",
            "Use a Python that is linked to the system's OpenSSL 3.",
        )
    return ok(backend)


async def system_files(settings: Settings) -> Outcome:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A connection is a file, and so is each blob on its way.
    wanted = settings.http.max_connections + 1000
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return ok(f"{soft} open files, {'unlimited' if hard == resource.RLIM_INFINITY else hard} on request")
    return warn(
        f"at most {hard} open files, and {settings.http.max_connections} connections may need {wanted}",
        f"Raise the limit (LimitNOFILE={wanted} in systemd), or lower http.max_connections.",
    )


CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        Check("data.folder", "the data folder is there, ours, writable and on a local disk", data_folder),
        Check("database.connect", "the database answers and is new enough", database_connect),
        Check("database.schema", "the schema is the one this version needs", database_schema),
        Check("database.clock", "the database's clock agrees with ours", database_clock),
        Check("storage.write", "a blob can be written, read and deleted", storage_write),
        Check("storage.space", "there is room for blobs", storage_space),
        Check(
            "tls.certificate", "the certificate is valid, has its key and names our hosts", tls_certificate
        ),
        Check("url.external", "clients outside reach us encrypted", url_external),
        Check("hashing.backend", "hashes of unfinished uploads can be resumed", hashing_backend),
        Check("system.files", "enough files may be open", system_files),
    )
}

# Done by loading the configuration: everything else needs it.
CONFIG = "config"


def names() -> Sequence[str]:
    return [CONFIG, *CHECKS]
