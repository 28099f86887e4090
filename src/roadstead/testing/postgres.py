"""A PostgreSQL server of a test run's own: made from nothing, fast, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_START_TIMEOUT = 60.0


def find_binaries() -> Path | None:
    """The folder of the newest PostgreSQL server installed, if there is one."""
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    found = shutil.which("initdb")
    return Path(found).parent if found and shutil.which("postgres") else None


class PostgresServer:
    """Listens on a Unix socket only, in a folder of its own.  Loses everything in a power cut, and is quick
    for it.

    A server does not run as root, so root starts it as the account `postgres`.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        # Short: the path of a Unix socket has room for about a hundred bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="rs-pg-", dir="/tmp"))
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._account = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self._folder, "postgres", "postgres")
        self._process: subprocess.Popen[bytes] | None = None
        self._number = count(1)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    @property
    def pid(self) -> int:
        assert self._process is not None  # noqa: S101 - started
        return self._process.pid

    def start(self) -> None:
        data = self._folder / "data"
        if not data.exists():
            self._run(
                "initdb",
                "-D",
                str(data),
                "-A",
                "trust",
                "-U",
                "postgres",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            )
        options = {
            "listen_addresses": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [self._binaries / "postgres", "-D", data, "-k", self._folder, *arguments],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                **self._account,
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """A fast shutdown.  The files stay, so that `start` begins where this ended."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(2)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, *, template: str = "template1") -> str:
        """The address of a new database, a copy of `template`, to which nobody may be connected."""
        name = f"test_{os.getpid()}_{next(self._number)}"
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template))))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def execute(self, statement: sql.Composed | sql.SQL, *, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - our own arguments
            [self._binaries / program, *arguments],
            cwd=self._folder,
            check=True,
            capture_output=True,
            **self._account,
        )

    def _wait_until_ready(self) -> None:
        ends = time.monotonic() + _START_TIMEOUT
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres")):
                return
            if time.monotonic() > ends or (self._process is not None and self._process.poll() is not None):
                log = (self._folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"PostgreSQL did not start: {log}")
            time.sleep(0.05)
