"""The registries that are compared: where their programs come from, and how each is started afresh."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.processes import tree

CHECKOUT = Path(__file__).resolve().parent.parent
SCRATCH = CHECKOUT / ".test"
_PATIENCE = 60.0
_STOP = 20.0
# Half of a token's life, so that none expires within a line.
_TOKEN_AGE = 900.0

_DISTRIBUTION_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: "{data}"}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class PeerMissing(Exception):
    """A program is not here and could not be had.  The message says what to do."""


@dataclass(frozen=True, slots=True)
class Peer:
    """`find` answers the program, building it when it must; `command` how it is started."""

    name: str
    title: str
    find: Callable[[], Path]
    version: Callable[[Path], str]
    command: Callable[[Path, Path, int], Sequence[str]]
    authenticates: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Server:
    """A registry that runs, and what a client needs to talk to it."""

    peer: Peer
    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    data: Path
    password: str
    kept: dict[str, object] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def host(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    def authorization(self, repository: str) -> str:
        """The value of the Authorization header, from the token service; empty where nothing is asked for."""
        if not self.peer.authenticates:
            return ""
        fetched, token = self._tokens.get(repository, (0.0, ""))
        if not token or time.monotonic() - fetched > _TOKEN_AGE:
            token = self._token(repository)
            self._tokens[repository] = time.monotonic(), token
        return token

    def _token(self, repository: str) -> str:
        basic = base64.b64encode(f"admin:{self.password}".encode()).decode()
        query = urlencode({"service": "roadstead", "scope": f"repository:{repository}:pull,push"})
        connection = http.client.HTTPConnection(*self.address, timeout=_PATIENCE)
        try:
            connection.request("GET", f"/service/token?{query}", headers={"Authorization": f"Basic {basic}"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"no token for {repository}: {answer.status} {body[:300]!r}")
        return f"Bearer {json.loads(body)['token']}"

    def stop(self) -> None:
        # Workers may outlive a parent that is killed: remember them first.
        pids = tree(self.pid)
        self.process.terminate()
        try:
            self.process.wait(timeout=_STOP)
        except subprocess.TimeoutExpired:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self.process.wait(timeout=_STOP)
        shutil.rmtree(self.data, ignore_errors=True)


def start(peer: Peer, program: Path, folder: Path, *, environment: Mapping[str, str] | None = None) -> Server:
    """Start the peer on a free port with an empty folder, and wait until it answers."""
    data = folder / peer.name
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    port = _free_port()
    password = secrets.token_urlsafe(18)
    settings = {
        name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "ROADSTEAD_"))
    }
    settings |= peer.environment
    if peer.authenticates:
        settings["ROADSTEAD_ADMIN_PASSWORD"] = password
    settings |= environment or {}
    with (folder / f"{peer.name}.log").open("wb") as log:
        process = subprocess.Popen(
            peer.command(program, data, port), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=settings
        )
    server = Server(peer, process, ("127.0.0.1", port), data, password)
    try:
        _wait(server, folder / f"{peer.name}.log")
    except BaseException:
        server.stop()
        raise
    return server


def _wait(server: Server, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            tail = log.read_text(errors="replace")[-1000:]
            raise RuntimeError(f"{server.peer.title} ended at once with {server.process.returncode}:\n{tail}")
        connection = http.client.HTTPConnection(*server.address, timeout=5)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"{server.peer.title} did not answer within {_PATIENCE:g} seconds: see {log}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _output(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


def _gopath_bin() -> Path | None:
    go = shutil.which("go")
    return Path(_output(go, "env", "GOPATH").strip()) / "bin" if go else None


def _candidates(name: str) -> list[Path]:
    """Programs of that name on PATH, in the checkout's own folder, and where Go installs."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders.append(SCRATCH / "bin")
    if (installed := _gopath_bin()) is not None:
        folders.append(installed)
    return [folder / name for folder in folders if os.access(folder / name, os.X_OK)]


def _go(title: str, *arguments: str, folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise PeerMissing(f"{title} is built with Go 1.24 or later, and `go` is not on PATH")
    settings = os.environ | {
        "GOPATH": str(SCRATCH / "go"),
        "GOBIN": str(SCRATCH / "bin"),
        # Else `rm -r .test` fails on the module cache's read-only folders.
        "GOFLAGS": "-modcacherw -buildvcs=false",
    }
    print(f"building {title} …", file=sys.stderr, flush=True)
    done = subprocess.run(
        [go, *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PeerMissing(
            f"{title} could not be built with `go {' '.join(arguments)}`:\n{done.stderr[-1500:]}"
        )


def _find_debian() -> Path:
    for program in _candidates("docker-registry"):
        return program
    raise PeerMissing("Debian's docker-registry is not installed: apt-get install docker-registry")


def _find_distribution() -> Path:
    # The program is called just `registry`, and so are others.
    for _ in range(2):
        for program in _candidates("registry"):
            if "distribution/v3" in _output(program, "--version"):
                return program
        if not (SCRATCH / "bin" / "registry").exists():
            (SCRATCH / "bin").mkdir(parents=True, exist_ok=True)
            package = "github.com/distribution/distribution/v3/cmd/registry@v3.0.0"
            _go("distribution 3.0.0", "install", package, folder=SCRATCH)
    raise PeerMissing("a program `registry` was built, but it is not distribution 3")


def _find_olareg() -> Path:
    for program in _candidates("olareg"):
        return program
    # `go install …@v0.2.2` asks the module proxy for a list of versions, which not every proxy has.
    module = SCRATCH / "olareg-build"
    module.mkdir(parents=True, exist_ok=True)
    (SCRATCH / "bin").mkdir(parents=True, exist_ok=True)
    (module / "go.mod").write_text("module scratch\n\ngo 1.24\n\nrequire github.com/olareg/olareg v0.2.2\n")
    program = SCRATCH / "bin" / "olareg"
    package = "github.com/olareg/olareg/cmd/olareg"
    _go("olareg 0.2.2", "build", "-mod=mod", "-o", str(program), package, folder=module)
    return program


def _find_roadstead() -> Path:
    program = Path(sys.executable).with_name("roadstead")
    if not os.access(program, os.X_OK):
        raise PeerMissing(
            f"{program} is missing: run `make setup`, and start this with the Python of its .venv"
        )
    return program


def _distribution_version(program: Path) -> str:
    return _output(program, "--version").split()[-1].partition("+")[0].removeprefix("v")


def _olareg_version(program: Path) -> str:
    lines = _output(program, "version").splitlines()
    tags = [line.split()[-1] for line in lines if line.startswith("VCSTag:")]
    return tags[0].removeprefix("v") if tags else "unknown"


def _roadstead_version(program: Path) -> str:
    words = _output(program, "--version").split()
    return words[-1] if words else "unknown"


def _distribution_command(program: Path, data: Path, port: int) -> Sequence[str]:
    config = data / "config.yml"
    config.write_text(_DISTRIBUTION_CONFIG.format(data=data / "registry", port=port))
    return [str(program), "serve", str(config)]


def _olareg_command(program: Path, data: Path, port: int) -> Sequence[str]:
    options = ["--addr", "127.0.0.1", "--port", str(port), "--store-type", "dir", "--dir", str(data)]
    return [str(program), "serve", *options, "--api-delete", "--api-blob-delete"]


def _roadstead_command(program: Path, data: Path, port: int) -> Sequence[str]:
    return [str(program), "serve", "--data", str(data / "data"), "--host", "127.0.0.1", "--port", str(port)]


ROADSTEAD = Peer(
    "roadstead",
    "Roadstead",
    _find_roadstead,
    _roadstead_version,
    _roadstead_command,
    authenticates=True,
    # The upload-start line leaves more uploads open than one account may have.
    environment={"ROADSTEAD_REGISTRY__MAX_UPLOADS_PER_USER": "10000000"},
)
PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        ROADSTEAD,
        Peer(
            "distribution3",
            "distribution 3",
            _find_distribution,
            _distribution_version,
            _distribution_command,
            # Else it looks for a collector of traces and complains all the time.
            environment={"OTEL_TRACES_EXPORTER": "none"},
        ),
        Peer("distribution2", "distribution 2.8", _find_debian, _distribution_version, _distribution_command),
        Peer("olareg", "olareg", _find_olareg, _olareg_version, _olareg_command),
    )
}
