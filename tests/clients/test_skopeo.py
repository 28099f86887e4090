"""skopeo: copies between layouts and registries, one request at a time and byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.clients.images import Image
from tests.clients.sandbox import Sandbox, forget_blobs, needs
from tests.clients.servers import Server

from roadstead.testing.layouts import OCI_MANIFEST, ImageLayout, blobs_of

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


class Skopeo:
    def __init__(self, sandbox: Sandbox, server: Server) -> None:
        self.sandbox, self.server = sandbox, server

    def side(self, which: str, *, signed_in: bool = True) -> list[str]:
        """Flags for one side of a copy: "src-", "dest-", or "" where there is only one."""
        trust = (
            [f"--{which}cert-dir", str(self.server.authority)]
            if self.server.authority
            else [f"--{which}tls-verify=false"]
        )
        return trust + ([f"--{which}creds", self.server.credentials] if signed_in else [])

    def name(self, repository: str, reference: str) -> str:
        separator = "@" if ":" in reference else ":"
        return f"docker://{self.server.address}/{repository}{separator}{reference}"

    def push(self, source: str, repository: str, tag: str, *options: str) -> None:
        self.sandbox.run("skopeo", "copy", *options, *self.side("dest-"), source, self.name(repository, tag))

    def pull(self, repository: str, reference: str, to: Path, *options: str, signed_in: bool = True) -> Path:
        flags = self.side("src-", signed_in=signed_in)
        self.sandbox.run("skopeo", "copy", *options, *flags, self.name(repository, reference), f"oci:{to}:x")
        return to

    def tags(self, repository: str) -> list[str]:
        listed = self.sandbox.run("skopeo", "list-tags", *self.side(""), self.name(repository, "x")[:-2])
        tags: list[str] = json.loads(listed)["Tags"]
        return sorted(tags)

    def raw(self, repository: str, reference: str) -> str:
        return self.sandbox.run(
            "skopeo", "inspect", "--raw", *self.side(""), self.name(repository, reference)
        )


@pytest.fixture
def skopeo(sandbox: Sandbox, server: Server) -> Skopeo:
    """Over plain HTTP, then over TLS."""
    needs("skopeo")
    return Skopeo(sandbox, server)


@pytest.fixture
def plain(sandbox: Sandbox, plain_server: Server) -> Skopeo:
    needs("skopeo")
    return Skopeo(sandbox, plain_server)


def test_an_image_comes_back_byte_for_byte(
    skopeo: Skopeo, image: Image, repository: str, tmp_path: Path
) -> None:
    skopeo.push(image.source, repository, "1")
    assert blobs_of(skopeo.pull(repository, "1", tmp_path / "back")) == blobs_of(image.layout)


def test_an_image_is_pulled_by_its_digest(
    plain: Skopeo, image: Image, repository: str, tmp_path: Path
) -> None:
    plain.push(image.source, repository, "1")
    assert blobs_of(plain.pull(repository, image.digest, tmp_path / "back")) == blobs_of(image.layout)


def test_tags_are_listed(plain: Skopeo, image: Image, repository: str) -> None:
    for tag in ("b", "a", "1.0"):
        plain.push(image.source, repository, tag)
    assert plain.tags(repository) == ["1.0", "a", "b"]


def test_a_deleted_image_is_gone(plain: Skopeo, image: Image, repository: str) -> None:
    plain.push(image.source, repository, "1")
    plain.sandbox.run("skopeo", "delete", *plain.side(""), plain.name(repository, "1"))
    said = plain.sandbox.refused("skopeo", "inspect", *plain.side(""), plain.name(repository, "1"))
    assert "unknown" in said


def test_an_index_keeps_every_platform(skopeo: Skopeo, index: Image, repository: str, tmp_path: Path) -> None:
    skopeo.push(index.source, repository, "1", "--all")
    assert blobs_of(skopeo.pull(repository, "1", tmp_path / "back", "--all")) == blobs_of(index.layout)


def test_one_platform_of_an_index_is_chosen(plain: Skopeo, index: Image, repository: str) -> None:
    plain.push(index.source, repository, "1", "--all")
    for architecture in ("amd64", "arm64"):
        config = plain.sandbox.run(
            "skopeo",
            "--override-arch",
            architecture,
            "inspect",
            "--config",
            *plain.side(""),
            plain.name(repository, "1"),
        )
        assert json.loads(config)["architecture"] == architecture


def test_a_docker_image_keeps_its_type(plain: Skopeo, image: Image, repository: str) -> None:
    plain.push(image.source, repository, "1", "--format", "v2s2")
    answer = plain.server.get(f"/v2/{repository}/manifests/1", accept=DOCKER_MANIFEST)
    assert answer.headers["content-type"] == DOCKER_MANIFEST
    assert json.loads(plain.raw(repository, "1"))["mediaType"] == DOCKER_MANIFEST


def test_a_docker_manifest_list_keeps_its_type(plain: Skopeo, index: Image, repository: str) -> None:
    plain.push(index.source, repository, "1", "--all", "--format", "v2s2")
    assert json.loads(plain.raw(repository, "1"))["mediaType"] == DOCKER_MANIFEST_LIST


def test_layers_compressed_with_zstd_come_back(
    plain: Skopeo, image: Image, repository: str, tmp_path: Path
) -> None:
    plain.push(image.source, repository, "1", "--dest-compress-format", "zstd", "--format", "oci")
    layers = json.loads(plain.raw(repository, "1"))["layers"]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    back = plain.pull(repository, "1", tmp_path / "back")
    assert {layer["digest"] for layer in layers} <= blobs_of(back).keys()
    assert all(name == digest for name, digest in blobs_of(back).items())


def test_an_image_is_copied_to_another_repository_of_the_registry(
    plain: Skopeo, image: Image, repository: str, tmp_path: Path
) -> None:
    plain.push(image.source, repository, "1")
    plain.sandbox.run(
        "skopeo",
        "copy",
        *plain.side("src-"),
        *plain.side("dest-"),
        plain.name(repository, "1"),
        plain.name(f"{repository}-copy", "1"),
    )
    assert blobs_of(plain.pull(f"{repository}-copy", "1", tmp_path / "back")) == blobs_of(image.layout)


def test_a_repository_is_synchronised_out_and_in_again(
    plain: Skopeo, image: Image, index: Image, repository: str, tmp_path: Path
) -> None:
    plain.push(image.source, repository, "1")
    plain.push(index.source, repository, "2", "--all")
    here = f"{plain.server.address}/{repository}"
    folder = tmp_path / "synchronised"
    sync = ["skopeo", "sync", "--all"]
    plain.sandbox.run(*sync, "--src", "docker", "--dest", "dir", *plain.side("src-"), here, folder)
    forget_blobs()
    target = f"{plain.server.address}/library/mirror-{repository.rpartition('-')[2]}"
    plain.sandbox.run(*sync, "--src", "dir", "--dest", "docker", *plain.side("dest-"), folder, target)
    mirrored = target.partition("/")[2] + "/" + repository.rpartition("/")[2]
    assert plain.tags(mirrored) == ["1", "2"]
    for tag in ("1", "2"):
        assert plain.raw(mirrored, tag) == plain.raw(repository, tag)


def test_one_registry_is_synchronised_into_another(
    plain: Skopeo, index: Image, repository: str, tls_server: Server, tmp_path: Path
) -> None:
    plain.push(index.source, repository, "1", "--all")
    there = Skopeo(plain.sandbox, tls_server)
    plain.sandbox.run(
        "skopeo",
        "sync",
        "--all",
        "--src",
        "docker",
        "--dest",
        "docker",
        *plain.side("src-"),
        *there.side("dest-"),
        f"{plain.server.address}/{repository}",
        f"{tls_server.address}/library",
    )
    back = there.pull(repository, "1", tmp_path / "back", "--all")
    assert blobs_of(back) == blobs_of(index.layout)


def test_a_login_is_kept_and_used(skopeo: Skopeo, image: Image, private_repository: str) -> None:
    server = skopeo.server
    skopeo.sandbox.run(
        "skopeo",
        "login",
        *skopeo.side("", signed_in=False),
        "-u",
        server.username,
        "--password-stdin",
        server.address,
        stdin=server.password,
    )
    flags = skopeo.side("dest-", signed_in=False)
    skopeo.sandbox.run("skopeo", "copy", *flags, image.source, skopeo.name(private_repository, "1"))


def test_a_wrong_password_is_refused(skopeo: Skopeo, image: Image, repository: str) -> None:
    said = skopeo.sandbox.refused(
        "skopeo",
        "login",
        *skopeo.side("", signed_in=False),
        "-u",
        skopeo.server.username,
        "--password-stdin",
        skopeo.server.address,
        stdin="wrong",
    )
    assert "invalid username/password" in said
    flags = [*skopeo.side("dest-", signed_in=False), "--dest-creds", f"{skopeo.server.username}:wrong"]
    said = skopeo.sandbox.refused("skopeo", "copy", *flags, image.source, skopeo.name(repository, "1"))
    assert "invalid username/password" in said or "unauthorized" in said


def test_a_server_certificate_of_an_unknown_authority_is_refused(
    sandbox: Sandbox, tls_server: Server
) -> None:
    needs("skopeo")
    said = sandbox.refused("skopeo", "list-tags", f"docker://{tls_server.address}/library/any")
    assert "certificate" in said


def test_anyone_pulls_from_a_public_project(
    skopeo: Skopeo, image: Image, repository: str, tmp_path: Path
) -> None:
    if not skopeo.server.has_public_projects:
        pytest.skip("the peer has no public projects")
    skopeo.push(image.source, repository, "1")
    back = skopeo.pull(repository, "1", tmp_path / "back", signed_in=False)
    assert blobs_of(back) == blobs_of(image.layout)


def test_nobody_pushes_without_signing_in(plain: Skopeo, image: Image, repository: str) -> None:
    flags = plain.side("dest-", signed_in=False)
    said = plain.sandbox.refused("skopeo", "copy", *flags, image.source, plain.name(repository, "1"))
    assert "unauthorized" in said or "authentication required" in said or "denied" in said


def test_nobody_pulls_from_a_private_project_without_signing_in(
    plain: Skopeo, image: Image, private_repository: str, tmp_path: Path
) -> None:
    plain.push(image.source, private_repository, "1")
    said = plain.sandbox.refused(
        "skopeo",
        "inspect",
        *plain.side("", signed_in=False),
        plain.name(private_repository, "1"),
    )
    assert "unauthorized" in said or "authentication required" in said or "denied" in said


def test_an_artifact_is_copied_with_its_type(plain: Skopeo, repository: str, tmp_path: Path) -> None:
    layout = ImageLayout(tmp_path / "artifact")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.report.v1",
        "config": layout.add(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [layout.add(b"all is well", "text/plain")],
    }
    source = layout.tag("1", layout.add_json(manifest, OCI_MANIFEST))
    plain.push(source, repository, "1")
    assert json.loads(plain.raw(repository, "1")) == manifest
    assert blobs_of(plain.pull(repository, "1", tmp_path / "back")) == blobs_of(layout.path)
