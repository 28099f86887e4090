"""dockerd and containerd, started by hand in a world of their own and stopped by their process ids."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.clients.sandbox import search_path

from roadstead.testing.running import kill_tree


@dataclass(frozen=True)
class Daemon:
    folder: Path
    socket: Path


@contextmanager
def dockerd() -> Iterator[Daemon]:
    """A docker daemon that sees its own `/etc/docker` and `/etc/hosts`, in which `registry.test` is `::1`.

    Docker takes any certificate, or none, from 127.0.0.0/8 and from names that lead there.  On `::1` it verifies.
    """
    # Sockets have short names only, so pytest's folders will not do.
    folder = Path(tempfile.mkdtemp(prefix="rs-docker-"))
    (folder / "etc").mkdir()
    hosts = Path("/etc/hosts").read_text() if Path("/etc/hosts").exists() else ""
    (folder / "hosts").write_text(hosts + "\n::1 registry.test\n")
    limits = {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 4096}}
    (folder / "daemon.json").write_text(json.dumps({"default-ulimits": limits}))
    Path("/etc/docker").mkdir(exist_ok=True)
    daemon = Daemon(folder, folder / "docker.sock")
    script = (
        f"mount --bind {folder}/hosts /etc/hosts && mount --bind {folder}/etc /etc/docker && exec dockerd "
        "--iptables=false --ip6tables=false --ip-masq=false --bridge=none --oom-score-adjust=0 "
        f"--data-root {folder}/data --exec-root {folder}/exec --pidfile {folder}/dockerd.pid "
        f"-H unix://{folder}/docker.sock --config-file {folder}/daemon.json"
    )
    with _started(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        folder,
        daemon.socket.exists,
    ):
        yield daemon


@contextmanager
def containerd() -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="rs-ctd-"))
    daemon = Daemon(folder, folder / "c.sock")
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\noom_score = 0\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{daemon.socket}"\n[ttrpc]\naddress = "{folder}/t.sock"\n'
    )
    command = ["containerd", "--config", str(folder / "config.toml")]
    with _started(command, folder, daemon.socket.exists):
        yield daemon


@contextmanager
def _started(command: Sequence[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment | {"PATH": search_path()}, cwd=folder
        )
    try:
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start\n{(folder / 'log').read_text()[-4000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait()
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unmount(folder: Path) -> None:
    """What a daemon mounted and left: the deepest first."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in sorted((path for path in mounted if path.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", path], check=False)
