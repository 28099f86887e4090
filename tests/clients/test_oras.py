"""oras, the Python library: artifacts, chunked uploads, and a subject with its referrers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.clients.sandbox import TOOLS, Sandbox, refuse
from tests.clients.servers import Server

SCRIPT = Path(__file__).with_name("oras_client.py")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class Oras:
    def __init__(self, sandbox: Sandbox, server: Server) -> None:
        self.sandbox, self.server = sandbox, server
        self.username, self.password = server.username, server.password
        sandbox.environment["PYTHONPATH"] = str(TOOLS / "oras")
        if server.authority:
            sandbox.environment["REQUESTS_CA_BUNDLE"] = str(server.authority / "ca.crt")

    def call(self, verb: str, **arguments: Any) -> str:
        return json.dumps(
            {
                "verb": verb,
                "hostname": self.server.address,
                "insecure": self.server.authority is None,
                # Its token backend keeps the pull token of its first HEAD and never asks for a wider one, so
                # that no push succeeds with it, on any registry.
                "auth_backend": "basic",
                "username": self.username,
                "password": self.password,
                "config_path": str(self.sandbox.root / "docker/config.json"),
            }
            | arguments
        )

    def __call__(self, verb: str, **arguments: Any) -> Any:
        said = self.sandbox.run(sys.executable, SCRIPT, stdin=self.call(verb, **arguments))
        return json.loads(said.splitlines()[-1])

    def refused(self, verb: str, **arguments: Any) -> str:
        return self.sandbox.refused(sys.executable, SCRIPT, stdin=self.call(verb, **arguments))

    def name(self, repository: str, reference: str = "1") -> str:
        separator = "@" if ":" in reference else ":"
        return f"{self.server.address}/{repository}{separator}{reference}"

    def file(self, data: bytes = b"all is well") -> Path:
        path = self.sandbox.root / "report.txt"
        path.write_bytes(data)
        return path


@pytest.fixture
def oras(sandbox: Sandbox, server: Server) -> Oras:
    """Over plain HTTP, then over TLS."""
    if not (TOOLS / "oras").is_dir():
        refuse("oras is not installed: run scripts/install-clients")
    return Oras(sandbox, server)


@pytest.fixture
def plain(sandbox: Sandbox, plain_server: Server) -> Oras:
    if not (TOOLS / "oras").is_dir():
        refuse("oras is not installed: run scripts/install-clients")
    return Oras(sandbox, plain_server)


def test_an_artifact_comes_back_byte_for_byte(oras: Oras, repository: str, tmp_path: Path) -> None:
    report = oras.file(os.urandom(100_000))
    pushed = oras("push", target=oras.name(repository), files=[f"{report}:text/plain"])
    assert pushed["status"] == 201
    oras("pull", target=oras.name(repository), folder=str(tmp_path / "back"))
    [pulled] = [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
    assert pulled.read_bytes() == report.read_bytes()


def test_a_file_is_sent_in_chunks(plain: Oras, repository: str, tmp_path: Path) -> None:
    """The one client here that sends many PATCH requests for one blob."""
    report = plain.file(os.urandom(1_000_003))
    plain("push", target=plain.name(repository), files=[f"{report}:text/plain"], chunk_size=100_000)
    plain("pull", target=plain.name(repository), folder=str(tmp_path / "back"))
    [pulled] = [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
    assert pulled.read_bytes() == report.read_bytes()


def test_tags_are_listed_and_deleted(plain: Oras, repository: str) -> None:
    report = plain.file()
    for tag in ("b", "a"):
        plain(
            "push", target=plain.name(repository, tag), files=[f"{report}:text/plain"], annotations={"t": tag}
        )
    assert sorted(plain("tags", target=plain.name(repository))) == ["a", "b"]
    plain("delete", target=plain.name(repository), tags=["a"])
    assert plain("tags", target=plain.name(repository)) == ["b"]


def test_a_referrer_is_found_by_its_subject(oras: Oras, repository: str) -> None:
    if not oras.server.has_referrers:
        pytest.skip("the peer has no referrers")
    report = oras.file()
    oras("push", target=oras.name(repository), files=[f"{report}:text/plain"])
    image = oras.server.get(f"/v2/{repository}/manifests/1", accept=OCI_MANIFEST)
    digest = image.headers["docker-content-digest"]
    subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(image.body)}
    pushed = oras(
        "push",
        target=oras.name(repository, "signature"),
        files=[f"{report}:application/vnd.example.signature"],
        annotations={"signed-by": "a test"},
        subject=subject,
    )
    assert {name.lower(): value for name, value in pushed["headers"].items()}["oci-subject"] == digest
    answer = oras.server.get(f"/v2/{repository}/referrers/{digest}")
    assert answer.headers["content-type"] == OCI_INDEX
    [referrer] = answer.json()["manifests"]
    signature = oras.server.get(f"/v2/{repository}/manifests/signature", accept=OCI_MANIFEST)
    assert referrer["digest"] == signature.headers["docker-content-digest"]
    assert referrer["size"] == len(signature.body)
    assert referrer["annotations"]["signed-by"] == "a test"


def test_a_login_is_kept_and_used(oras: Oras, private_repository: str) -> None:
    oras("login")
    oras.username = ""
    pushed = oras("push", target=oras.name(private_repository), files=[f"{oras.file()}:text/plain"])
    assert pushed["status"] == 201


def test_a_wrong_password_is_refused(oras: Oras, repository: str) -> None:
    oras.password = "wrong"
    oras.refused("push", target=oras.name(repository), files=[f"{oras.file()}:text/plain"])


def test_a_server_certificate_of_an_unknown_authority_is_refused(
    sandbox: Sandbox, tls_server: Server
) -> None:
    if not (TOOLS / "oras").is_dir():
        refuse("oras is not installed: run scripts/install-clients")
    oras = Oras(sandbox, tls_server)
    del sandbox.environment["REQUESTS_CA_BUNDLE"]
    said = oras.refused("push", target=oras.name("library/any"), files=[f"{oras.file()}:text/plain"])
    assert "CERTIFICATE_VERIFY_FAILED" in said


def test_anyone_pulls_from_a_public_project_and_nobody_pushes_to_it(
    plain: Oras, repository: str, tmp_path: Path
) -> None:
    if not plain.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    files = [f"{plain.file()}:text/plain"]
    plain("push", target=plain.name(repository), files=files)
    plain.username = ""
    plain("pull", target=plain.name(repository), folder=str(tmp_path / "back"), auth_backend="token")
    plain.refused("push", target=plain.name(repository, "2"), files=files, auth_backend="token")
