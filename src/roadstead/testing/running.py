"""A real `roadstead serve`, started as a process of its own for tests that want the whole program.

Knows nothing of the server's insides: it starts the command, waits until `/v2/` answers, and stops it by its
process id.  Two of them on one data folder, or on one PostgreSQL, are two replicas.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ADMIN = "admin"
PASSWORD = "Correct-Horse-9-Battery"  # noqa: S105 - the password of registries that live as long as a test
READY_WITHIN = 60.0
STOPS_WITHIN = 40.0
# How much of the log a failure shows.
LOG_TAIL = 6000


class NotRunning(RuntimeError):
    """The server did not start, or is gone.  The message holds the end of its log."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class RunningRegistry:
    """One `roadstead serve`.  Use it as a context manager, or call `start` and `stop`."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 1
    # Empty: SQLite in the data folder.
    database_url: str = ""
    certificate: Path | None = None
    key: Path | None = None
    # Any setting, as the environment spells it: {"ROADSTEAD_AUTH__CHALLENGE": "basic"}.
    environment: Mapping[str, str] = field(default_factory=dict)
    # Two replicas on one data folder need two of these.
    log: Path | None = None
    # A machine that is busy with other things takes longer.
    ready_within: float = READY_WITHIN
    process: subprocess.Popen[bytes] | None = None

    # ── where it is ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def scheme(self) -> str:
        return "https" if self.certificate else "http"

    @property
    def address(self) -> str:
        """What a client writes before the repository: `127.0.0.1:41233`, `[::1]:41233`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor, when there are several workers."""
        if self.process is None:
            raise NotRunning("the registry has not been started")
        return self.process.pid

    @property
    def log_path(self) -> Path:
        return self.log or self.data.with_name(f"{self.data.name}.log")

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> Self:
        """Return when `/v2/` answers.  Starting one that was stopped keeps its port and its data."""
        if self.process is not None:
            raise RuntimeError("the registry is running already")
        self.port = self.port or free_port(self.host)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment()
            )
        try:
            self._await_readiness()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> int:
        """Ask it to stop, as an operator would, and return its exit code.  One that hangs is killed."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait()
            raise NotRunning(f"the registry did not stop within {STOPS_WITHIN:g} s\n{self.tail()}") from None

    def kill(self) -> None:
        """End it and its workers with SIGKILL: what a power cut does."""
        if self.process is None:
            return
        process, self.process = self.process, None
        kill_tree(process.pid)
        process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ── what it says ────────────────────────────────────────────────────────────────────────────────────

    def tail(self) -> str:
        """The end of the log, for the message of a failure."""
        try:
            text = self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return f"--- {self.log_path.name} ---\n{text[-LOG_TAIL:]}"

    def _command(self) -> list[str]:
        command = [sys.executable, "-m", "roadstead", "serve", "--data", str(self.data)]
        return [*command, "--host", self.host, "--port", str(self.port), "--workers", str(self.workers)]

    def _environment(self) -> dict[str, str]:
        # Settings of the machine that runs the tests must not reach the server under test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROADSTEAD_")}
        environment["ROADSTEAD_ADMIN_PASSWORD"] = PASSWORD
        if self.database_url:
            environment["ROADSTEAD_DATABASE__URL"] = self.database_url
        if self.certificate and self.key:
            environment["ROADSTEAD_TLS__CERTIFICATE"] = str(self.certificate)
            environment["ROADSTEAD_TLS__KEY"] = str(self.key)
        return environment | dict(self.environment)

    def _await_readiness(self) -> None:
        deadline = time.monotonic() + self.ready_within
        while time.monotonic() < deadline:
            code = self.process.poll() if self.process else None
            if code is not None:
                raise NotRunning(
                    f"the registry ended with exit code {code} before it answered\n{self.tail()}"
                )
            if answers(self.host, self.port, tls=self.certificate is not None):
                return
            time.sleep(0.05)
        raise NotRunning(f"the registry did not answer within {self.ready_within:g} s\n{self.tail()}")


def answers(host: str, port: int, *, tls: bool = False) -> bool:
    """Whether a registry answers on that port: `/v2/` says 200 or 401."""
    connection = (
        # Readiness only: whether its certificate is good is for the tests of clients to say.
        http.client.HTTPSConnection(host, port, timeout=5, context=ssl._create_unverified_context())  # noqa: S323, SLF001 - see above
        if tls
        else http.client.HTTPConnection(host, port, timeout=5)
    )
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in {200, 401}
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and for those it started, parents first so that none is started anew."""
    children = children_of(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    for child in children:
        kill_tree(child)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, by Linux's own account."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
