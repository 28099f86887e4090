"""containerd's `ctr`: monolithic uploads, mounts from repositories that may not exist, and its own trust files."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients.daemons import Daemon, containerd
from tests.clients.images import GREETING, Image
from tests.clients.sandbox import Sandbox, needs, needs_root
from tests.clients.servers import Server

from roadstead.testing.layouts import blobs_of

REFUSED = "unauthorized|denied|authorization failed|no basic auth credentials|401|403"


class Ctr:
    def __init__(self, sandbox: Sandbox, server: Server) -> None:
        self.sandbox, self.server = sandbox, server

    def __call__(self, *words: str | Path) -> str:
        return self.sandbox.run("ctr", *words)

    def flags(self, password: str | None = None, *, trusting: bool = True) -> list[str]:
        """How to reach the server; signed in unless the password is empty."""
        password = self.server.password if password is None else password
        user = ["--user", f"{self.server.username}:{password}"] if password else []
        if not self.server.authority:
            return ["--plain-http", *user]
        authority = f'ca = "{self.server.authority}/ca.crt"\n' if trusting else ""
        # Without a file of its own, ctr speaks plain HTTP to 127.0.0.1.
        self.sandbox.file(
            f"hosts/{self.server.address}/hosts.toml",
            f'server = "https://{self.server.address}"\n[host."https://{self.server.address}"]\n'
            f'capabilities = ["pull", "resolve", "push"]\n{authority}',
        )
        return ["--hosts-dir", str(self.sandbox.root / "hosts"), *user]

    def name(self, repository: str, reference: str = "1") -> str:
        separator = "@" if ":" in reference else ":"
        return f"{self.server.address}/{repository}{separator}{reference}"

    def load(self, image: Image, repository: str) -> str:
        """Bring an image layout into containerd, under the name that it shall be pushed to."""
        archive = self.sandbox.root / "layout.tar"
        with tarfile.open(archive, "w") as made:
            made.add(image.layout, arcname=".")
        base = self.name(repository).removesuffix(":1")
        self("images", "import", "--all-platforms", "--base-name", base, archive)
        return f"{base}:1"

    def forget(self, *names: str) -> None:
        self("images", "rm", "--sync", *names)

    def content(self, digest: str) -> str:
        """The SHA-256 of what containerd holds under a digest."""
        done = subprocess.run(
            ["ctr", "content", "get", digest],
            check=True,
            capture_output=True,
            env=self.sandbox.environment,
        )
        return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    needs_root()
    needs("containerd", "ctr", "runc")
    with containerd() as started:
        yield started


@pytest.fixture
def boxed(sandbox: Sandbox, daemon: Daemon) -> Sandbox:
    sandbox.environment["CONTAINERD_ADDRESS"] = str(daemon.socket)
    return sandbox


@pytest.fixture
def ctr(boxed: Sandbox, server: Server) -> Ctr:
    """Over plain HTTP, then over TLS."""
    return Ctr(boxed, server)


@pytest.fixture
def plain(boxed: Sandbox, plain_server: Server) -> Ctr:
    return Ctr(boxed, plain_server)


def test_an_image_comes_back_byte_for_byte(ctr: Ctr, image: Image, repository: str) -> None:
    name = ctr.load(image, repository)
    ctr("images", "push", *ctr.flags(), name)
    ctr.forget(name)
    ctr("images", "pull", *ctr.flags(), name)
    expected = blobs_of(image.layout)
    assert {digest: ctr.content(digest) for digest in expected} == expected


def test_a_pulled_image_runs(plain: Ctr, image: Image, repository: str) -> None:
    name = plain.load(image, repository)
    plain("images", "push", *plain.flags(), name)
    plain.forget(name)
    plain("images", "pull", *plain.flags(), name)
    assert plain("run", "--rm", name, repository.rpartition("/")[2]) == GREETING.strip()


def test_an_image_is_pulled_by_its_digest(plain: Ctr, image: Image, repository: str) -> None:
    name = plain.load(image, repository)
    plain("images", "push", *plain.flags(), name)
    plain.forget(name)
    plain("images", "pull", *plain.flags(), plain.name(repository, image.digest))


def test_an_index_keeps_every_platform(plain: Ctr, index: Image, repository: str) -> None:
    name = plain.load(index, repository)
    plain("images", "push", *plain.flags(), name)
    plain.forget(name)
    plain("images", "pull", *plain.flags(), "--all-platforms", name)
    expected = blobs_of(index.layout)
    assert {digest: plain.content(digest) for digest in expected} == expected


def test_an_image_from_a_repository_unknown_here_is_pushed(
    plain: Ctr, image: Image, repository: str, tls_server: Server
) -> None:
    """Ctr asks for a mount from where it has the blob; that name means nothing to this registry."""
    there = Ctr(plain.sandbox, tls_server)
    name = there.load(image, f"{repository}-there")
    there("images", "push", *there.flags(), name)
    there.forget(name)
    there("images", "pull", *there.flags(), name)
    plain("images", "tag", name, plain.name(repository))
    plain("images", "push", *plain.flags(), plain.name(repository))


def test_an_image_is_copied_to_another_repository(plain: Ctr, image: Image, repository: str) -> None:
    name = plain.load(image, repository)
    plain("images", "push", *plain.flags(), name)
    copy = plain.name(f"{repository}-copy")
    plain("images", "tag", name, copy)
    plain("images", "push", *plain.flags(), copy)
    plain.forget(name, copy)
    plain("images", "pull", *plain.flags(), copy)


def test_a_wrong_password_is_refused(ctr: Ctr, image: Image, repository: str) -> None:
    name = ctr.load(image, repository)
    said = ctr.sandbox.refused("ctr", "images", "push", *ctr.flags("wrong"), name)
    assert re.search(REFUSED, said)


def test_a_server_certificate_of_an_unknown_authority_is_refused(boxed: Sandbox, tls_server: Server) -> None:
    ctr = Ctr(boxed, tls_server)
    flags = ctr.flags(trusting=False)
    said = boxed.refused("ctr", "images", "pull", *flags, ctr.name("library/any"))
    assert "certificate signed by unknown authority" in said


def test_anyone_pulls_from_a_public_project(plain: Ctr, image: Image, repository: str) -> None:
    if not plain.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    name = plain.load(image, repository)
    plain("images", "push", *plain.flags(), name)
    plain.forget(name)
    plain("images", "pull", *plain.flags(""), name)


def test_nobody_pushes_without_signing_in(plain: Ctr, image: Image, repository: str) -> None:
    name = plain.load(image, repository)
    said = plain.sandbox.refused("ctr", "images", "push", *plain.flags(""), name)
    assert re.search(REFUSED, said)


def test_nobody_pulls_from_a_private_project_without_signing_in(
    plain: Ctr, image: Image, private_repository: str
) -> None:
    name = plain.load(image, private_repository)
    plain("images", "push", *plain.flags(), name)
    plain.forget(name)
    said = plain.sandbox.refused("ctr", "images", "pull", *plain.flags(""), name)
    assert re.search(REFUSED, said)
