"""The registries that clients are driven against: ours, and a peer that shows whether the tests are right."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roadstead.testing.certificates import ServerCertificate
from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry, answers, free_port

# "roadstead", or "docker-registry": Debian's distribution 2.8, which proves the tests and not the server.
KIND = os.environ.get("ROADSTEAD_TEST_SERVER", "roadstead")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running registry, as its clients know it."""

    host: str
    port: int
    # The folder that holds `ca.crt`, when it speaks TLS.
    authority: Path | None = None
    username: str = ADMIN
    password: str = PASSWORD
    # What the peer lacks.
    has_public_projects: bool = True
    has_referrers: bool = True

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def credentials(self) -> str:
        return f"{self.username}:{self.password}"

    def get(self, path: str, *, accept: str = "*/*", method: str = "GET", signed_in: bool = True) -> Answer:
        """Ask without any client: what is really there."""
        if self.authority:
            context = ssl.create_default_context(cafile=str(self.authority / "ca.crt"))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, self.port, timeout=30, context=context
            )
        else:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        headers = {"Accept": accept}
        if signed_in:
            headers["Authorization"] = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, names, response.read())
        connection.close()
        return answer


@contextmanager
def running(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    authority: Path | None = None,
    certificate: ServerCertificate | None = None,
    database_url: str = "",
) -> Iterator[Server]:
    """A registry for as long as the block lasts, of the kind that `ROADSTEAD_TEST_SERVER` names."""
    folder.mkdir(parents=True, exist_ok=True)
    if KIND == "docker-registry":
        with _peer(folder, host, certificate) as port:
            yield Server(host, port, authority, has_public_projects=False, has_referrers=False)
        return
    registry = RunningRegistry(
        folder / "data",
        host=host,
        workers=2,
        database_url=database_url,
        certificate=certificate.certificate if certificate else None,
        key=certificate.key if certificate else None,
    )
    with registry:
        try:
            yield Server(host, registry.port, authority)
        finally:
            print(registry.tail())  # noqa: T201 - pytest shows it beside a failure, and only then


@contextmanager
def _peer(folder: Path, host: str, certificate: ServerCertificate | None) -> Iterator[int]:
    binary = shutil.which("docker-registry")
    if binary is None:
        raise RuntimeError("ROADSTEAD_TEST_SERVER=docker-registry, and there is no docker-registry here")
    port = free_port(host)
    hashed = subprocess.run(
        ["htpasswd", "-Bbn", "-C", "4", ADMIN, PASSWORD], check=True, capture_output=True, text=True
    )
    (folder / "htpasswd").write_text(hashed.stdout.strip() + "\n")
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"},
        "auth": {"htpasswd": {"realm": "peer", "path": str(folder / "htpasswd")}},
    }
    if certificate:
        settings["http"]["tls"] = {
            "certificate": str(certificate.certificate),
            "key": str(certificate.key),
        }
    (folder / "peer.yml").write_text(json.dumps(settings))
    # It reads every REGISTRY_* variable as a setting of its own, REGISTRY_AUTH_FILE of the clients too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "serve", str(folder / "peer.yml")], stdout=log, stderr=log, env=environment
        )
    try:
        for _ in range(200):
            if answers(host, port, tls=certificate is not None):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError((folder / "peer.log").read_text())
        yield port
    finally:
        process.terminate()
        process.wait(20)
