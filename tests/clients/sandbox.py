"""A place of its own for container clients: no home, store, login or cache of the machine is read or written."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
# helm and oras, which scripts/install-clients brings.
TOOLS = CHECKOUT / ".test"
# The size of podman's and buildah's world here: no systemd, no network of its own, and limits within ours.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{root}/libpod"
"""
STORAGE_CONF = """\
[storage]
driver = "{driver}"
graphroot = "{root}/graph"
runroot = "{root}/run"
[storage.options]
pull_options = {{enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}}
"""


def refuse(reason: str) -> None:
    """Skip, loudly and by name; with ROADSTEAD_TEST_NO_SKIP=1 there is no skipping."""
    if os.environ.get("ROADSTEAD_TEST_NO_SKIP") == "1":
        pytest.fail(f"{reason} (ROADSTEAD_TEST_NO_SKIP=1 allows no skip)", pytrace=False)
    pytest.skip(reason)


def needs(*tools: str) -> None:
    """Skip the test unless all of these commands are there."""
    for tool in tools:
        if shutil.which(tool, path=search_path()) is None:
            refuse(f"{tool} is not installed: run scripts/install-clients")


def needs_root() -> None:
    if os.geteuid() != 0:
        refuse("needs root: container stores and daemons are root's")


def search_path() -> str:
    return os.pathsep.join([str(TOOLS / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin"])


class Sandbox:
    """Runs clients with every path and login of theirs inside `root`."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.environment = {
            "PATH": search_path(),
            "HOME": str(self._folder("home")),
            "XDG_CONFIG_HOME": str(self._folder("config")),
            "XDG_CACHE_HOME": str(self._folder("cache")),
            "XDG_DATA_HOME": str(self._folder("share")),
            "XDG_RUNTIME_DIR": str(self._folder("runtime")),
            "DOCKER_CONFIG": str(self._folder("docker")),
            # It must exist: podman and buildah stop at a missing one.
            "REGISTRY_AUTH_FILE": str(self.file("auth.json", "{}")),
            "CONTAINERS_CONF": str(self.file("containers.conf", CONTAINERS_CONF.format(root=root))),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
            "HELM_REGISTRY_CONFIG": str(self.root / "helm.json"),
            "TMPDIR": str(self._folder("tmp")),
            "LC_ALL": "C.UTF-8",
        }
        self._before: list[str] = []
        self.store("overlay")
        forget_blobs()

    def store(self, driver: str) -> None:
        """Use this storage driver from here on."""
        self.file("storage.conf", STORAGE_CONF.format(root=self.root, driver=driver))

    def resolve(self, name: str, address: str) -> None:
        """Let every later client find `name` at `address`: by an `/etc/hosts` that only they see."""
        needs("unshare")
        needs_root()
        hosts = self.file("hosts", f"127.0.0.1 localhost\n{address} {name}\n")
        script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        self._before = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def run(self, *command: str | Path, stdin: str | None = None, timeout: float = 100) -> str:
        """Run a client that must succeed; returns what it printed."""
        done = self._run(command, stdin, timeout)
        if done.returncode:
            pytest.fail(f"{_shown(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def run_past_crashes(self, *command: str | Path, tries: int = 4) -> str:
        """The same for a client that now and then panics by itself; anything but a panic still fails.

        podman 4.3 closes a part of a multi-range answer while another thread reads it (containers/image).
        """
        for _ in range(tries - 1):
            done = self._run(command, None, 100)
            if "panic: runtime error" not in done.stderr:
                break
        return self.run(*command)

    def refused(self, *command: str | Path, stdin: str | None = None, timeout: float = 100) -> str:
        """Run a client that must fail; returns what it said."""
        done = self._run(command, stdin, timeout)
        if not done.returncode:
            pytest.fail(f"{_shown(command)} should have failed\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def _run(
        self, command: tuple[str | Path, ...], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._before + [str(word) for word in command],
            check=False,
            input=stdin or "",
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.root,
            timeout=timeout,
        )


def forget_blobs() -> None:
    """Drop what skopeo, podman and buildah remember of other registries.

    With it they mount a known twin of a layer instead of sending it, even one compressed otherwise, and a test
    would not see the upload that it asked for.  As root the place is fixed.
    """
    if os.geteuid() == 0:
        Path("/var/lib/containers/cache/blob-info-cache-v1.boltdb").unlink(missing_ok=True)


def tree(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in a folder, by its path there; a symbolic link's text for a link."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _shown(command: tuple[str | Path, ...]) -> str:
    return " ".join(str(word) for word in command)
