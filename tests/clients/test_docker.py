"""docker: a real daemon, its command line, and its own ideas of which registries are to be trusted."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.daemons import Daemon, dockerd
from tests.clients.images import GREETING
from tests.clients.sandbox import Sandbox, needs, needs_root
from tests.clients.servers import Server

from roadstead.testing.layouts import hello_program, tar_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class Docker:
    def __init__(self, sandbox: Sandbox, server: Server, address: str) -> None:
        self.sandbox, self.server, self.address = sandbox, server, address

    def __call__(self, *words: str | Path, stdin: str | None = None) -> str:
        return self.sandbox.run("docker", *words, stdin=stdin)

    def refused(self, *words: str | Path, stdin: str | None = None) -> str:
        return self.sandbox.refused("docker", *words, stdin=stdin)

    def name(self, repository: str, tag: str = "1") -> str:
        return f"{self.address}/{repository}:{tag}"

    def login(self) -> None:
        self(
            "login", "-u", self.server.username, "--password-stdin", self.address, stdin=self.server.password
        )

    def make(self, name: str, salt: str = "") -> dict[str, bytes]:
        """An image of two layers, built by the daemon.  Returns its files."""
        files = {"hello": hello_program(GREETING), "salt": (salt or secrets.token_hex(8)).encode()}
        context = self.sandbox.root / "context"
        shutil.rmtree(context, ignore_errors=True)
        context.mkdir()
        for path, data in files.items():
            (context / path).write_bytes(data)
            (context / path).chmod(0o755)
        (context / "Dockerfile").write_text('FROM scratch\nCOPY hello /\nCOPY salt /\nCMD ["/hello"]\n')
        self("build", "-q", "-t", name, context)
        return files

    def forget(self, *names: str) -> None:
        """Leave the daemon without any layer of these images."""
        self("rmi", "--force", *names)
        self("image", "prune", "--all", "--force")

    def files(self, name: str) -> dict[str, str]:
        """The SHA-256 of every file that a container of the image would see."""
        container = self("create", name)
        exported = self.sandbox.root / "exported.tar"
        self("export", "-o", exported, container)
        self("rm", container)
        with tarfile.open(exported) as archive:
            found = {}
            for entry in archive:
                data = archive.extractfile(entry) if entry.isfile() else None
                # Files that docker puts into every container are empty ones.
                if data and entry.size:
                    found[entry.name] = hashlib.sha256(data.read()).hexdigest()
            return found


def digests(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    needs_root()
    needs("dockerd", "docker", "runc", "unshare")
    with dockerd() as started:
        yield started


@pytest.fixture
def boxed(sandbox: Sandbox, daemon: Daemon) -> Sandbox:
    sandbox.environment |= {"DOCKER_HOST": f"unix://{daemon.socket}", "DOCKER_BUILDKIT": "0"}
    return sandbox


@pytest.fixture
def docker(boxed: Sandbox, plain_server: Server) -> Docker:
    """Over plain HTTP, signed in."""
    made = Docker(boxed, plain_server, plain_server.address)
    made.login()
    return made


@pytest.fixture
def secure(boxed: Sandbox, daemon: Daemon, tls_server_on_ipv6: Server) -> Docker:
    """Over TLS, verified: the authority is known to the daemon, and nobody is signed in."""
    made = Docker(boxed, tls_server_on_ipv6, f"registry.test:{tls_server_on_ipv6.port}")
    trusted = daemon.folder / "etc/certs.d" / made.address
    trusted.mkdir(parents=True, exist_ok=True)
    assert made.server.authority
    shutil.copy(made.server.authority / "ca.crt", trusted)
    return made


def test_an_image_is_pushed_pulled_and_run(docker: Docker, repository: str) -> None:
    name = docker.name(repository)
    files = docker.make(name)
    docker("push", "-q", name)
    docker.forget(name)
    docker("pull", "-q", name)
    assert docker.files(name) == digests(files)
    assert docker("run", "--rm", "--network=none", name) == GREETING.strip()


def test_an_image_goes_up_and_down_over_verified_tls(secure: Docker, repository: str) -> None:
    name = secure.name(repository)
    secure.login()
    files = secure.make(name)
    secure("push", "-q", name)
    secure.forget(name)
    secure("pull", "-q", name)
    assert secure.files(name) == digests(files)


def test_a_server_certificate_of_an_unknown_authority_is_refused(
    secure: Docker, daemon: Daemon, repository: str
) -> None:
    trusted = daemon.folder / "etc/certs.d" / secure.address
    shutil.rmtree(trusted)
    said = secure.refused("pull", secure.name(repository))
    assert "certificate signed by unknown authority" in said


def test_an_image_is_pulled_by_its_digest(docker: Docker, repository: str) -> None:
    name = docker.name(repository)
    docker.make(name)
    pushed = docker("push", name)
    digest = re.search(r"sha256:[0-9a-f]{64} size", pushed)
    assert digest, pushed
    docker.forget(name)
    docker("pull", "-q", f"{docker.address}/{repository}@{digest.group().split()[0]}")


def test_every_tag_of_a_repository_is_pushed_and_pulled_at_once(docker: Docker, repository: str) -> None:
    names = [docker.name(repository, tag) for tag in ("1", "2")]
    for name in names:
        docker.make(name)
    docker("push", "-q", "--all-tags", f"{docker.address}/{repository}")
    docker.forget(*names)
    docker("pull", "-q", "--all-tags", f"{docker.address}/{repository}")
    listed = docker("images", "--format", "{{.Tag}}", f"{docker.address}/{repository}")
    assert sorted(listed.split()) == ["1", "2"]


def test_a_manifest_list_is_made_of_pushed_images(docker: Docker, repository: str) -> None:
    parts = [docker.name(repository, architecture) for architecture in ("amd64", "arm64")]
    for part in parts:
        docker.make(part)
        docker("push", "-q", part)
    name = docker.name(repository, "list")
    docker("manifest", "create", "--insecure", name, *parts)
    docker("manifest", "annotate", "--arch", "arm64", name, parts[1])
    docker("manifest", "push", "--insecure", name)
    answer = docker.server.get(f"/v2/{repository}/manifests/list", accept=DOCKER_MANIFEST_LIST)
    assert answer.headers["content-type"] == DOCKER_MANIFEST_LIST
    docker.forget(*parts)
    docker("pull", "-q", "--platform", "linux/amd64", name)
    inspected = docker("manifest", "inspect", "--insecure", name)
    assert inspected.count('"architecture"') == 2


def test_an_image_imported_from_a_tar_keeps_its_files(docker: Docker, repository: str) -> None:
    files = {f"folder-{number}/file": secrets.token_bytes(1000) for number in range(50)}
    name = docker.name(repository)
    archive = docker.sandbox.root / "files.tar"
    archive.write_bytes(tar_of(files))
    docker("import", "--change", 'CMD ["/x"]', archive, name)
    docker("push", "-q", name)
    docker.forget(name)
    docker("pull", "-q", name)
    assert docker.files(name) == digests(files)


def test_a_layer_that_another_repository_holds_is_mounted(docker: Docker, repository: str) -> None:
    first, second = docker.name(repository), docker.name(f"{repository}-copy")
    docker.make(first)
    docker("push", "-q", first)
    docker("tag", first, second)
    assert "Mounted from" in docker("push", second)


def test_a_wrong_password_is_refused(boxed: Sandbox, plain_server: Server, secure: Docker) -> None:
    for docker in (Docker(boxed, plain_server, plain_server.address), secure):
        login = ("login", "-u", docker.server.username, "--password-stdin", docker.address)
        said = docker.refused(*login, stdin="wrong")
        assert "unauthorized" in said.lower()


def test_anyone_pulls_from_a_public_project(docker: Docker, repository: str) -> None:
    if not docker.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    name = docker.name(repository)
    docker.make(name)
    docker("push", "-q", name)
    docker.forget(name)
    docker("logout", docker.address)
    docker("pull", "-q", name)


def test_nobody_pushes_without_signing_in(docker: Docker, repository: str) -> None:
    name = docker.name(repository)
    docker.make(name)
    docker("logout", docker.address)
    said = docker.refused("push", name)
    assert re.search("no basic auth credentials|unauthorized|denied|authentication required", said)


def test_nobody_pulls_from_a_private_project_without_signing_in(
    docker: Docker, private_repository: str
) -> None:
    name = docker.name(private_repository)
    docker.make(name)
    docker("push", "-q", name)
    docker("logout", docker.address)
    said = docker.refused("pull", name)
    assert re.search("no basic auth credentials|unauthorized|denied|authentication required", said)
