"""`serve` as a process: workers, signals, sockets."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Client, until

from roadstead.config.settings import Settings
from roadstead.server import sockets
from roadstead.server.run import raise_file_limit

ROOT = Path(__file__).parents[2]
ASK = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Program:
    """A `serve` in its own process, told apart by its log."""

    def __init__(self, folder: Path, factory: str = "echo_factory", **settings: Any) -> None:
        chosen = {"data": str(folder), "port": 0, "http": {"drain_timeout": 3}, **settings}
        script = f"""
            import json, sys
            from roadstead.config.settings import Settings
            from roadstead.server.run import serve
            from tests.server.apps import {factory}
            if __name__ == "__main__":
                sys.exit(serve(Settings(**json.loads(sys.argv[1])), factory={factory}))
        """
        path = folder / "program.py"
        path.write_text(textwrap.dedent(script))
        self._log = (folder / "log").open("w+")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, path, json.dumps(chosen)], cwd=ROOT, env=environment, stderr=self._log
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = Path(self._log.name).read_text().splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event["event"] == name]

    def saw(self, name: str, count: int = 1) -> bool:
        return until(lambda: len(self.events(name)) >= count or self.process.poll() is not None, 20) and (
            len(self.events(name)) >= count
        )

    def connect(self) -> Client:
        assert self.saw("server.ready"), Path(self._log.name).read_text()
        address = self.events("server.ready")[0]["address"]
        host, _, port = address.removeprefix("http://").rpartition(":")
        return Client(socket.create_connection((host, int(port)), timeout=10))

    def ask(self, request: bytes = ASK) -> Any:
        client = self.connect()
        client.send(request)
        with contextlib.closing(client.sock):
            return client.response()

    def workers(self) -> set[int]:
        return {event["pid"] for event in self.events("worker.ready")}

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._log.close()


Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def begin(*args: Any, **settings: Any) -> Program:
        programs.append(Program(tmp_path, *args, **settings))
        return programs[-1]

    yield begin
    for program in programs:
        program.stop()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_in_flight_is_finished_on_sigterm(start: Start, workers: int) -> None:
    program = start(workers=workers)
    client = program.connect()
    client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.2)
    program.process.send_signal(signal.SIGTERM)
    response = client.response()
    assert (response.status, response.body) == (200, b"slow")
    assert program.process.wait(10) == 0
    assert program.events("server.draining")[0]["requests"] == 1
    client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_second_signal_stops_at_once(start: Start, workers: int) -> None:
    program = start(workers=workers, http={"drain_timeout": 60})
    client = program.connect()
    client.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.2)
    program.process.send_signal(signal.SIGINT)
    assert program.saw("server.draining")
    program.process.send_signal(signal.SIGINT)
    program.process.wait(8)
    client.close()


def test_a_request_that_outlives_the_drain_time_is_cut(start: Start) -> None:
    program = start(workers=1, http={"drain_timeout": 1})
    client = program.connect()
    client.send(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.2)
    program.process.send_signal(signal.SIGTERM)
    program.process.wait(8)
    client.close()


def test_a_killed_worker_is_replaced_and_the_port_stays(start: Start) -> None:
    program = start(workers=2)
    assert program.ask().status == 200
    before = program.workers()
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert program.ask().seen["pid"] not in before
    assert program.saw("worker.ready", 4)
    assert len(program.events("worker.died")) == 2


def test_workers_do_not_outlive_a_killed_supervisor(start: Start) -> None:
    program = start(workers=2)
    assert program.ask().status == 200
    program.process.kill()
    program.process.wait()
    assert until(lambda: not any(alive(pid) for pid in program.workers()), 10)


def test_sighup_replaces_the_workers_without_a_refused_request(start: Start) -> None:
    program = start(workers=2)
    assert program.ask().status == 200
    before = program.workers()
    program.process.send_signal(signal.SIGHUP)
    while len(program.workers()) < 4 or any(alive(pid) for pid in before):
        assert program.ask().status == 200
        time.sleep(0.02)
    assert program.ask().seen["pid"] not in before


def test_an_app_that_cannot_start_ends_the_server(start: Start) -> None:
    program = start("failing_factory", workers=2)
    assert program.process.wait(20) == 1
    assert "this app cannot start" in (program.events("server.failed") or [{"exception": ""}])[0]["exception"]


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(sockets.AddressTaken) as caught:
            sockets.listen(Settings(data=tmp_path, port=port))
    assert caught.value.message.startswith(f"Port {port} on 127.0.0.1 is taken by process {os.getpid()} (")
    assert caught.value.remedy.startswith("Try: roadstead serve --port ")


def test_a_unix_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    [listener] = sockets.listen(Settings(data=tmp_path, unix_socket=path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(sockets.AddressTaken, match="already listens"):
        sockets.listen(Settings(data=tmp_path, unix_socket=path))
    listener.close()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    [stale] = sockets.listen(Settings(data=tmp_path, unix_socket=path))
    stale.close()
    [listener] = sockets.listen(Settings(data=tmp_path, unix_socket=path))
    listener.close()


def test_a_unix_socket_that_took_the_place_of_another_is_known(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    settings = Settings(data=tmp_path, unix_socket=path)
    [ours] = sockets.listen(settings)
    mark = sockets.mark_of(path)
    assert mark is not None
    path.chmod(0o600)
    assert sockets.mark_of(path) == mark
    ours.close()
    [successor] = sockets.listen(settings)
    assert sockets.mark_of(path) != mark
    successor.close()
    path.unlink()
    assert sockets.mark_of(path) is None
    assert sockets.mark_of(None) is None


def test_a_stopping_server_leaves_the_socket_of_its_successor(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    program = start(workers=1, unix_socket=str(path))
    assert program.saw("server.ready")
    # As its successor does once nobody listens any more.
    path.unlink()
    [successor] = sockets.listen(Settings(data=tmp_path, unix_socket=path))
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(10) == 0
    assert path.exists()
    successor.close()


def test_as_many_files_may_be_open_as_connections_are_allowed() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        raise_file_limit(1000)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == (min(2000, hard) if hard != resource.RLIM_INFINITY else 2000)
        raise_file_limit(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == soft, "never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(sockets.AddressTaken, match="not a socket"):
        sockets.listen(Settings(data=tmp_path, unix_socket=path))
    assert path.read_text() == "data"


def test_requests_come_over_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    program = start(workers=1, unix_socket=str(path))
    assert program.saw("server.ready")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(ASK)
        assert Client(sock).response().seen["client"] is None
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(10) == 0
    assert not path.exists()


def test_systemd_is_told_when_we_are_ready(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        start(workers=2)
        assert systemd.recv(100) == b"READY=1"
