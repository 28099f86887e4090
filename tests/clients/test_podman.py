"""podman and buildah: they build, push, pull and run, out of a store of their own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.clients.images import GREETING, Image
from tests.clients.relay import Relay
from tests.clients.sandbox import TOOLS, Sandbox, needs, needs_root, refuse, tree
from tests.clients.servers import Server

from roadstead.testing.layouts import hello_program

DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class Containers:
    """podman and buildah, which share their store and most of their flags."""

    def __init__(self, sandbox: Sandbox, server: Server) -> None:
        self.sandbox, self.server = sandbox, server

    @property
    def trust(self) -> list[str]:
        if self.server.authority:
            return ["--cert-dir", str(self.server.authority)]
        return ["--tls-verify=false"]

    @property
    def flags(self) -> list[str]:
        return [*self.trust, "--creds", self.server.credentials]

    def name(self, repository: str, reference: str = "1") -> str:
        separator = "@" if ":" in reference else ":"
        return f"{self.server.address}/{repository}{separator}{reference}"

    def elsewhere(self, root: Path) -> Containers:
        """The same machine with an empty store: what it runs, it must pull."""
        return Containers(Sandbox(root), self.server)

    def mounted(self, image: str) -> dict[str, str]:
        folder = self.sandbox.run("podman", "image", "mount", image)
        try:
            return tree(Path(folder))
        finally:
            self.sandbox.run("podman", "image", "unmount", image)


@contextmanager
def emptied(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Leave no mount behind, or the test's folder could not be removed."""
    try:
        yield sandbox
    finally:
        sandbox.run("podman", "rm", "--all", "--force")
        sandbox.run("podman", "rmi", "--all", "--force")
        sandbox._run(("umount", sandbox.root / "graph" / "overlay"), None, 20)


@pytest.fixture
def containers(sandbox: Sandbox, server: Server) -> Iterator[Containers]:
    """Over plain HTTP, then over TLS."""
    needs_root()
    needs("podman", "buildah", "runc")
    with emptied(sandbox):
        yield Containers(sandbox, server)


@pytest.fixture
def plain(sandbox: Sandbox, plain_server: Server) -> Iterator[Containers]:
    needs_root()
    needs("podman", "buildah", "runc")
    with emptied(sandbox):
        yield Containers(sandbox, plain_server)


@pytest.fixture
def other(plain: Containers, tmp_path: Path) -> Iterator[Containers]:
    """A second store, empty, for the registry of `plain`."""
    there = plain.elsewhere(tmp_path / "other")
    with emptied(there.sandbox):
        yield there


def build(containers: Containers, folder: Path, name: str, *options: str) -> None:
    """Build an image from nothing, with buildah."""
    context = folder / "context"
    context.mkdir(exist_ok=True)
    (context / "hello").write_bytes(hello_program(GREETING))
    (context / "hello").chmod(0o755)
    (context / "salt").write_text(secrets.token_hex(8))
    (context / "Containerfile").write_text('FROM scratch\nCOPY hello salt /\nCMD ["/hello"]\n')
    containers.sandbox.run("buildah", "bud", "-q", *options, "-t", name, context)


def test_podman_pushes_what_it_has_and_pulls_it_again(
    containers: Containers, image: Image, repository: str
) -> None:
    run = containers.sandbox.run
    name = containers.name(repository)
    identity = run("podman", "pull", "-q", image.source)
    run("podman", "push", *containers.flags, identity, name)
    run("podman", "rmi", "--all", "--force")
    run("podman", "pull", "-q", *containers.flags, name)
    assert containers.mounted(name) == image.digests()


def test_buildah_pushes_what_it_built_and_podman_runs_it(
    plain: Containers, other: Containers, repository: str, tmp_path: Path
) -> None:
    name = plain.name(repository)
    build(plain, tmp_path, name)
    plain.sandbox.run("buildah", "push", *plain.flags, name)
    other.sandbox.run("podman", "pull", "-q", *other.flags, name)
    assert other.sandbox.run("podman", "run", "--rm", name) == GREETING.strip()


def test_an_image_is_pulled_by_its_digest(plain: Containers, image: Image, repository: str) -> None:
    run = plain.sandbox.run
    digest_file = plain.sandbox.root / "digest"
    identity = run("podman", "pull", "-q", image.source)
    run("podman", "push", *plain.flags, "--digestfile", digest_file, identity, plain.name(repository))
    run("podman", "rmi", "--all", "--force")
    run("podman", "pull", "-q", *plain.flags, plain.name(repository, digest_file.read_text().strip()))


def test_a_build_starts_from_an_image_of_the_registry(
    plain: Containers, other: Containers, repository: str, tmp_path: Path
) -> None:
    base, made = plain.name(repository), plain.name(f"{repository}-made")
    build(plain, tmp_path, base)
    plain.sandbox.run("buildah", "push", *plain.flags, base)
    recipe = other.sandbox.file(
        "build/Containerfile", f"FROM {base}\nCOPY --from={base} /salt /again\nCOPY note /note\n"
    )
    other.sandbox.file("build/note", "made elsewhere")
    other.sandbox.run("buildah", "bud", "-q", *other.flags, "--pull-always", "-t", made, recipe.parent)
    other.sandbox.run("buildah", "push", *other.flags, made)
    plain.sandbox.run("podman", "pull", "-q", *plain.flags, made)
    assert sorted(plain.mounted(made)) == ["again", "hello", "note", "salt"]


def test_buildah_starts_a_container_from_the_registry(
    plain: Containers, other: Containers, repository: str, tmp_path: Path
) -> None:
    build(plain, tmp_path, plain.name(repository))
    plain.sandbox.run("buildah", "push", *plain.flags, plain.name(repository))
    container = other.sandbox.run("buildah", "from", "-q", *other.flags, plain.name(repository))
    assert (Path(other.sandbox.run("buildah", "mount", container)) / "hello").is_file()
    other.sandbox.run("buildah", "rm", container)


@pytest.mark.parametrize(("tool", "form"), [("buildah", "oci"), ("podman", "v2s2")])
def test_a_manifest_list_is_pushed_with_all_its_images(
    plain: Containers, repository: str, tmp_path: Path, tool: str, form: str
) -> None:
    media_type = OCI_INDEX if form == "oci" else DOCKER_MANIFEST_LIST
    for platform in ("linux/amd64", "linux/arm64"):
        build(
            plain, tmp_path, f"localhost/{platform}", "--platform", platform, "--manifest", "localhost/list"
        )
    flags = [*plain.flags, "--all", "--format", form]
    plain.sandbox.run(
        tool, "manifest", "push", *flags, "localhost/list", f"docker://{plain.name(repository)}"
    )
    answer = plain.server.get(f"/v2/{repository}/manifests/1", accept=media_type)
    assert answer.json()["mediaType"] == media_type
    platforms = [entry["platform"]["architecture"] for entry in answer.json()["manifests"]]
    assert sorted(platforms) == ["amd64", "arm64"]


def test_layers_compressed_with_zstd_are_pushed_and_pulled(
    plain: Containers, other: Containers, repository: str, tmp_path: Path
) -> None:
    name = plain.name(repository)
    build(plain, tmp_path, name)
    flags = [*plain.flags, "--compression-format", "zstd", "--format", "oci"]
    plain.sandbox.run("buildah", "push", *flags, name)
    manifest = plain.server.get(
        f"/v2/{repository}/manifests/1", accept="*/*, " + "application/vnd.oci.image.manifest.v1+json"
    )
    assert manifest.json()["layers"][0]["mediaType"].endswith("+zstd")
    other.sandbox.run("podman", "pull", "-q", *other.flags, name)
    assert other.mounted(name) == plain.mounted(name)


def test_a_login_is_kept_and_used(containers: Containers, private_repository: str, tmp_path: Path) -> None:
    server = containers.server
    for tool in ("podman", "buildah"):
        login = (tool, "login", *containers.trust, "-u", server.username, "--password-stdin", server.address)
        containers.sandbox.run(*login, stdin=server.password)
        assert containers.sandbox.run(tool, "login", "--get-login", server.address) == server.username
        build(containers, tmp_path, containers.name(private_repository))
        containers.sandbox.run(tool, "push", *containers.trust, containers.name(private_repository))
        containers.sandbox.run(tool, "logout", server.address)


def test_a_wrong_password_is_refused(containers: Containers, repository: str, tmp_path: Path) -> None:
    server = containers.server
    for tool in ("podman", "buildah"):
        said = containers.sandbox.refused(
            tool,
            "login",
            *containers.trust,
            "-u",
            server.username,
            "--password-stdin",
            server.address,
            stdin="wrong",
        )
        assert "invalid username/password" in said
    build(containers, tmp_path, containers.name(repository))
    flags = [*containers.trust, "--creds", f"{server.username}:wrong"]
    containers.sandbox.refused("podman", "push", *flags, containers.name(repository))


def test_a_server_certificate_of_an_unknown_authority_is_refused(
    sandbox: Sandbox, tls_server: Server
) -> None:
    needs_root()
    needs("podman", "buildah")
    for tool in ("podman", "buildah"):
        said = sandbox.refused(tool, "pull", f"{tls_server.address}/library/any")
        assert "certificate" in said


def test_anyone_pulls_from_a_public_project_and_nobody_pushes_to_it(
    plain: Containers, repository: str, tmp_path: Path
) -> None:
    if not plain.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    name = plain.name(repository)
    build(plain, tmp_path, name)
    plain.sandbox.run("podman", "push", *plain.flags, name)
    plain.sandbox.run("podman", "rmi", "--force", name)
    plain.sandbox.run("podman", "pull", "-q", *plain.trust, name)
    said = plain.sandbox.refused("podman", "push", *plain.trust, name)
    assert "unauthorized" in said or "authentication required" in said or "denied" in said


def test_podman_finds_and_lists(plain: Containers, repository: str, tmp_path: Path) -> None:
    for tag in ("b", "a"):
        build(plain, tmp_path, plain.name(repository, tag))
        plain.sandbox.run("podman", "push", *plain.flags, plain.name(repository, tag))
    login = ("podman", "login", *plain.trust, "-u", plain.server.username, "--password-stdin")
    plain.sandbox.run(*login, plain.server.address, stdin=plain.server.password)
    search = ["podman", "search", "--tls-verify=false"]
    found = plain.sandbox.run(*search, f"{plain.server.address}/{repository.rpartition('/')[2]}")
    assert repository in found
    listed = plain.sandbox.run(*search, "--list-tags", plain.name(repository)[:-2])
    assert sorted(line.split()[-1] for line in listed.splitlines()[1:]) == ["a", "b"]


def debian() -> Path:
    rootfs = TOOLS / "debian-bookworm.tar"
    if not rootfs.exists():
        refuse("there is no Debian root filesystem: run scripts/install-clients as root")
    return rootfs


@pytest.mark.timeout(400)
def test_debian_is_pushed_pulled_elsewhere_and_run(
    plain: Containers, other: Containers, repository: str
) -> None:
    """A real root filesystem: thousands of files, links, owners and modes."""
    name = plain.name(repository)
    plain.sandbox.run("podman", "import", "-q", "--change", 'CMD ["/bin/bash"]', debian(), name)
    plain.sandbox.run("podman", "push", *plain.flags, name, timeout=110)
    before = plain.mounted(name)
    other.sandbox.run("podman", "pull", "-q", *other.flags, name, timeout=110)
    after = other.mounted(name)
    assert len(after) > 3000
    assert after == before
    said = other.sandbox.run(
        "podman", "run", "--rm", name, "sh", "-c", ". /etc/os-release; echo $ID $VERSION_ID; dpkg -s bash"
    )
    assert said.startswith("debian 12\n")
    assert "Status: install ok installed" in said


def test_a_changed_image_is_pulled_in_parts(
    plain: Containers, other: Containers, repository: str, tmp_path: Path
) -> None:
    """zstd:chunked: podman reads the table of contents, then asks for the missing files in one multi-range."""
    files = tmp_path / "files"
    files.mkdir()
    for number in range(40):
        (files / f"{number:02}").write_bytes(os.urandom(64 * 1024))
    flags = [*plain.flags, "--compression-format", "zstd:chunked", "--format", "oci"]
    for tag in ("1", "2"):
        # Every fifth file is new in the second image: the gaps between them need not be sent.
        for number in range(0, 40, 5) if tag == "2" else ():
            (files / f"{number:02}").write_bytes(os.urandom(64 * 1024))
        recipe = plain.sandbox.file("parts/Containerfile", "FROM scratch\nCOPY . /\n")
        plain.sandbox.run("buildah", "bud", "-q", "-f", recipe, "-t", plain.name(repository, tag), files)
        plain.sandbox.run("podman", "push", *flags, plain.name(repository, tag))
    name = other.name(repository, "1")
    with Relay(other.server.host, other.server.port) as relay:
        name = name.replace(other.server.address, f"127.0.0.1:{relay.port}")
        other.sandbox.run_past_crashes("podman", "pull", "-q", *other.flags, name)
        changed = name.removesuffix(":1") + ":2"
        other.sandbox.run_past_crashes("podman", "pull", "-q", *other.flags, changed)
        asked = relay.headers("Range")
    assert any("," in ranges for ranges in asked), asked
    assert other.mounted(changed) == plain.mounted(plain.name(repository, "2"))
