"""helm 3 and helm 4: charts as OCI artifacts, through oras-go."""

from __future__ import annotations

import base64
import json
import re
import secrets
from pathlib import Path

import pytest
from tests.clients.images import chart
from tests.clients.sandbox import Sandbox, needs
from tests.clients.servers import Server

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Helm:
    def __init__(self, binary: str, sandbox: Sandbox, server: Server) -> None:
        self.binary, self.sandbox, self.server = binary, sandbox, server
        self.address = server.address
        if server.authority and binary == "helm3":
            # It speaks plain HTTP to 127.0.0.1 and localhost, whatever it was told.
            sandbox.resolve("registry.test", server.host)
            self.address = f"registry.test:{server.port}"

    def __call__(self, *words: str | Path) -> str:
        return self.sandbox.run(self.binary, *words)

    @property
    def trust(self) -> list[str]:
        if self.server.authority:
            return ["--ca-file", str(self.server.authority / "ca.crt")]
        return ["--plain-http"]

    def project(self, name: str = "library") -> str:
        return f"oci://{self.address}/{name}"

    def sign_in(self, password: str | None = None) -> None:
        """Leave the credentials where helm and docker keep them.

        helm 3 has no login over plain HTTP, and reads what `docker login` wrote instead.
        """
        pair = f"{self.server.username}:{password or self.server.password}".encode()
        entry = {"auths": {self.address: {"auth": base64.b64encode(pair).decode()}}}
        self.sandbox.file("helm.json", json.dumps(entry))


@pytest.fixture(params=["helm3", "helm4"])
def binary(request: pytest.FixtureRequest) -> str:
    needs(request.param)
    return str(request.param)


@pytest.fixture
def helm(binary: str, sandbox: Sandbox, server: Server) -> Helm:
    """Each helm, over plain HTTP and over TLS, signed in."""
    made = Helm(binary, sandbox, server)
    made.sign_in()
    return made


@pytest.fixture
def secure(binary: str, sandbox: Sandbox, tls_server: Server) -> Helm:
    """Over TLS, not signed in."""
    return Helm(binary, sandbox, tls_server)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return chart(tmp_path, f"chart-{secrets.token_hex(4)}", "0.1.0")


def named(packed: Path) -> str:
    return packed.name.removesuffix("-0.1.0.tgz")


def test_a_chart_comes_back_byte_for_byte(helm: Helm, packed: Path, tmp_path: Path) -> None:
    helm("push", packed, helm.project(), *helm.trust)
    (tmp_path / "back").mkdir()
    address = f"{helm.project()}/{named(packed)}"
    helm("pull", address, "--version", "0.1.0", "-d", tmp_path / "back", *helm.trust)
    assert (tmp_path / "back" / packed.name).read_bytes() == packed.read_bytes()


def test_the_newest_version_is_found_among_the_tags(helm: Helm, packed: Path, tmp_path: Path) -> None:
    newer = chart(tmp_path, named(packed), "0.2.0")
    for each in (newer, packed):
        helm("push", each, helm.project(), *helm.trust)
    shown = helm("show", "chart", f"{helm.project()}/{named(packed)}", *helm.trust)
    assert "version: 0.2.0" in shown


def test_a_chart_is_rendered_out_of_the_registry(helm: Helm, packed: Path) -> None:
    helm("push", packed, helm.project(), *helm.trust)
    rendered = helm("template", "mine", f"{helm.project()}/{named(packed)}", *helm.trust)
    assert "greeting: hello" in rendered


def test_a_chart_keeps_its_type(helm: Helm, packed: Path) -> None:
    helm("push", packed, helm.project(), *helm.trust)
    answer = helm.server.get(f"/v2/library/{named(packed)}/manifests/0.1.0", accept=OCI_MANIFEST)
    assert answer.headers["content-type"] == OCI_MANIFEST
    assert answer.json()["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"


def test_a_chart_is_pulled_by_its_digest(helm: Helm, packed: Path, tmp_path: Path) -> None:
    helm("push", packed, helm.project(), *helm.trust)
    answer = helm.server.get(f"/v2/library/{named(packed)}/manifests/0.1.0", accept=OCI_MANIFEST)
    digest = answer.headers["docker-content-digest"]
    (tmp_path / "back").mkdir()
    address = f"{helm.project()}/{named(packed)}@{digest}"
    helm("pull", address, "-d", tmp_path / "back", *helm.trust)
    [pulled] = (tmp_path / "back").iterdir()
    assert pulled.read_bytes() == packed.read_bytes()


def test_a_login_is_kept_and_used(secure: Helm, packed: Path) -> None:
    login = [secure.binary, "registry", "login", secure.address, "-u", secure.server.username]
    secure.sandbox.run(*login, "--password-stdin", *secure.trust, stdin=secure.server.password)
    secure("push", packed, secure.project(f"private-{secrets.token_hex(4)}"), *secure.trust)
    secure("registry", "logout", secure.address)


def test_a_wrong_password_is_refused(secure: Helm, packed: Path) -> None:
    login = [secure.binary, "registry", "login", secure.address, "-u", secure.server.username]
    said = secure.sandbox.refused(*login, "--password-stdin", *secure.trust, stdin="wrong")
    assert re.search("(?i)unauthorized|invalid|denied|401", said)
    secure.sign_in("wrong")
    secure.sandbox.refused(secure.binary, "push", packed, secure.project(), *secure.trust)


def test_a_server_certificate_of_an_unknown_authority_is_refused(secure: Helm, packed: Path) -> None:
    said = secure.sandbox.refused(secure.binary, "push", packed, secure.project())
    assert "certificate signed by unknown authority" in said


def test_anyone_pulls_a_public_chart_and_nobody_pushes_one(helm: Helm, packed: Path, tmp_path: Path) -> None:
    if not helm.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    helm("push", packed, helm.project(), *helm.trust)
    helm.sandbox.file("helm.json", "{}")
    (tmp_path / "back").mkdir()
    address = f"{helm.project()}/{named(packed)}"
    helm("pull", address, "--version", "0.1.0", "-d", tmp_path / "back", *helm.trust)
    # What is there already it would not send: to push it again is to read it.
    unseen = chart(tmp_path, named(packed), "0.2.0")
    helm.sandbox.refused(helm.binary, "push", unseen, helm.project(), *helm.trust)
