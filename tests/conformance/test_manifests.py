"""end-3, end-7 and end-9: manifests are pushed, read and deleted, byte for byte."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from tests.conformance.wire import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Json,
    Wire,
    descriptor,
    digest_of,
    manifest_descriptor,
)


def test_end_7a_a_manifest_is_stored_byte_for_byte(wire: Wire, repository: str) -> None:
    payload = b"  " + json.dumps(wire.image(repository), indent=7).encode() + b"\n\n"
    reply = wire.put_manifest(repository, "1", payload)
    assert reply.status == 201
    assert reply["Docker-Content-Digest"] == digest_of(payload)
    for path in (reply["Location"], f"/v2/{repository}/manifests/1"):
        got = wire.get(path, Accept=OCI_MANIFEST)
        assert (got.status, got.body) == (200, payload)
        assert got["Docker-Content-Digest"] == digest_of(payload)


def test_end_7a_a_manifest_is_pushed_by_its_digest(wire: Wire, repository: str, algorithm: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    digest = digest_of(payload, algorithm)
    reply = wire.put_manifest(repository, digest, payload)
    assert reply.status == 201
    assert reply["Docker-Content-Digest"] == digest
    got = wire.get(f"/v2/{repository}/manifests/{digest}")
    assert got.body == payload
    assert got["Docker-Content-Digest"] == digest


def test_end_7a_a_manifest_may_name_sha512_content(wire: Wire, repository: str) -> None:
    layer, config = secrets.token_bytes(64), b"{}"
    document: Json = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG, wire.push_blob(repository, config, "sha512")),
        "layers": [descriptor(layer, OCI_LAYER, wire.push_blob(repository, layer, "sha512"))],
    }
    wire.push(repository, "1", document)


def test_trap_2_a_manifest_comes_in_chunks_without_a_length(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    path = f"/v2/{repository}/manifests/1"
    reply = wire.request(
        "PUT", path, iter([payload[:9], payload[9:]]), headers={"Content-Type": OCI_MANIFEST}
    )
    assert reply.status == 201
    assert wire.get(path).body == payload


def test_end_3_head_says_what_get_would(wire: Wire, repository: str) -> None:
    digest, payload = wire.push(repository, "1", wire.image(repository))
    for reference in ("1", digest):
        head = wire.head(f"/v2/{repository}/manifests/{reference}", Accept=OCI_MANIFEST)
        assert head.status == 200
        assert head["Content-Length"] == str(len(payload))
        assert head["Content-Type"] == OCI_MANIFEST
        assert head["Docker-Content-Digest"] == digest


def test_trap_4_the_type_comes_back_without_parameters(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    assert wire.put_manifest(repository, "1", payload, f"{OCI_MANIFEST}; charset=utf-8").status == 201
    assert wire.get(f"/v2/{repository}/manifests/1")["Content-Type"] == OCI_MANIFEST


def test_the_type_comes_from_the_request_when_the_manifest_names_none(wire: Wire, repository: str) -> None:
    document = wire.image(repository)
    del document["mediaType"]
    wire.push(repository, "1", document)
    assert wire.get(f"/v2/{repository}/manifests/1")["Content-Type"] == OCI_MANIFEST


def test_a_type_that_contradicts_the_manifest_is_refused(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    reply = wire.put_manifest(repository, "1", payload, DOCKER_MANIFEST)
    assert (reply.status, reply.codes) == (400, ["MANIFEST_INVALID"])


def test_a_docker_manifest_is_kept(wire: Wire, repository: str) -> None:
    document = wire.image(repository, mediaType=DOCKER_MANIFEST)
    wire.push(repository, "1", document, DOCKER_MANIFEST)
    assert (
        wire.get(f"/v2/{repository}/manifests/1", Accept=DOCKER_MANIFEST)["Content-Type"] == DOCKER_MANIFEST
    )


@pytest.mark.parametrize("accept", ["*/*", "application/*", f"text/html, {OCI_MANIFEST};q=0.1", ""])
def test_a_manifest_is_read_with_any_accept_that_allows_it(wire: Wire, repository: str, accept: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    headers = {"Accept": accept} if accept else {}
    assert wire.request("GET", f"/v2/{repository}/manifests/1", headers=headers).status == 200


@pytest.mark.parametrize("change", [{"unknown": {"field": [1, 2]}}, {"annotations": {"a": "b"}}])
def test_fields_that_nobody_knows_survive(wire: Wire, repository: str, change: Json) -> None:
    _, payload = wire.push(repository, "1", wire.image(repository, **change))
    assert wire.get(f"/v2/{repository}/manifests/1").body == payload


def test_data_in_a_descriptor_survives(wire: Wire, repository: str) -> None:
    document = wire.image(repository)
    document["config"] = descriptor(b"{}", OCI_EMPTY, wire.push_blob(repository, b"{}")) | {"data": "e30="}
    wire.push(repository, "1", document)


def test_a_manifest_without_layers_is_accepted(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository, layers=[]))


def test_an_index_is_accepted_and_so_is_an_empty_one(wire: Wire, repository: str) -> None:
    digest, payload = wire.push(repository, "one", wire.image(repository))
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest_descriptor(payload)]}
    wire.push(repository, "index", index, OCI_INDEX)
    wire.push(repository, "empty", {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, OCI_INDEX)
    got = wire.get(f"/v2/{repository}/manifests/index").json
    assert got["manifests"][0]["digest"] == digest


def test_an_index_of_layers_is_accepted(wire: Wire, repository: str) -> None:
    """What a build cache looks like: its entries are blobs.  Asked for as manifests, they are not there."""
    layer = secrets.token_bytes(50)
    digest = wire.push_blob(repository, layer)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(layer, OCI_LAYER)]}
    wire.push(repository, "cache", index, OCI_INDEX)
    assert wire.get(f"/v2/{repository}/manifests/{digest}").status == 404


def test_trap_13_a_large_manifest_is_accepted(wire: Wire, repository: str) -> None:
    annotations = {f"org.example.{number}": "x" * 10_000 for number in range(390)}
    _, payload = wire.push(repository, "1", wire.image(repository, annotations=annotations))
    assert 3_900_000 < len(payload) <= 4 * 1024 * 1024
    assert wire.get(f"/v2/{repository}/manifests/1").body == payload


@pytest.mark.parametrize("chunked", [False, True])
def test_a_manifest_over_the_limit_is_413(wire: Wire, repository: str, chunked: bool) -> None:
    document = wire.image(repository, annotations={"a": "x" * (4 * 1024 * 1024)})
    payload = json.dumps(document).encode()
    body: Any = (
        iter([payload[at : at + 65536] for at in range(0, len(payload), 65536)]) if chunked else payload
    )
    reply = wire.request("PUT", f"/v2/{repository}/manifests/1", body, headers={"Content-Type": OCI_MANIFEST})
    assert reply.status == 413


def test_trap_14_layers_that_may_not_be_distributed_need_not_be_there(wire: Wire, repository: str) -> None:
    for number, kind in enumerate(
        [
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ]
    ):
        absent = descriptor(secrets.token_bytes(8), kind) | {"urls": ["https://elsewhere.example/layer"]}
        document = wire.image(repository)
        document["layers"].append(absent)
        wire.push(repository, str(number), document)


def test_a_manifest_that_names_missing_blobs_is_refused_with_each_of_them(
    wire: Wire, repository: str
) -> None:
    document = wire.image(repository)
    missing = [descriptor(secrets.token_bytes(8), OCI_LAYER) for _ in range(2)]
    document["layers"] += missing
    reply = wire.put_manifest(repository, "1", json.dumps(document).encode())
    assert reply.status == 400
    assert reply.codes == ["MANIFEST_BLOB_UNKNOWN"] * 2
    assert wire.head(f"/v2/{repository}/manifests/1").status == 404


def test_trap_14_sparse_manifests_are_accepted_where_that_is_allowed(
    small_pages: Wire, repository: str
) -> None:
    absent = secrets.token_bytes(8)
    image = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(absent, OCI_CONFIG),
        "layers": [descriptor(absent, OCI_LAYER)],
    }
    small_pages.push(repository, "image", image)
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest_descriptor(absent)]}
    small_pages.push(repository, "index", index, OCI_INDEX)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"schemaVersion":1}',
        b'{"schemaVersion":2,"layers":5}',
        b"0" * 99,
    ],
)
def test_what_is_no_manifest_is_refused(wire: Wire, repository: str, payload: bytes) -> None:
    reply = wire.put_manifest(repository, "1", payload)
    assert (reply.status, reply.codes) == (400, ["MANIFEST_INVALID"])


def test_a_schema_1_manifest_is_refused(wire: Wire, repository: str) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    payload = b'{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[],"signatures":[]}'
    reply = wire.put_manifest(repository, "1", payload, kind)
    assert (reply.status, reply.codes) == (400, ["MANIFEST_INVALID"])


def test_trap_8_a_manifest_under_the_wrong_digest_is_400(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    reply = wire.put_manifest(repository, digest_of(b"other"), payload)
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("reference", ["sha256:baddigeststring", "sha256:totallywrong", "sha999:" + "0" * 64])
def test_trap_8_a_malformed_digest_is_400_to_push_and_never_a_failure_to_read(
    wire: Wire, repository: str, reference: str
) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    assert wire.put_manifest(repository, reference, payload).status == 400
    path = f"/v2/{repository}/manifests/{reference}"
    assert wire.get(path).status in {400, 404}
    assert wire.request("GET", path, b"a body, where none belongs").status in {400, 404}


def test_an_impossible_tag_is_not_found(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    for method in (wire.get, wire.head):
        assert method(f"/v2/{repository}/manifests/.INVALID_MANIFEST_NAME").status == 404


def test_an_impossible_tag_is_not_pushed(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    for tag in (".a", "-a", "a" * 129, "a%2Fb", "a%20b"):
        assert wire.put_manifest(repository, tag, payload).status in {400, 404}, tag


def test_end_3_an_unknown_manifest_is_not_found(wire: Wire, repository: str, algorithm: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    for reference in ("unknown", digest_of(secrets.token_bytes(9), algorithm)):
        reply = wire.get(f"/v2/{repository}/manifests/{reference}")
        assert (reply.status, reply.codes) == (404, ["MANIFEST_UNKNOWN"])
        assert wire.head(f"/v2/{repository}/manifests/{reference}").status == 404


def test_a_manifest_of_a_repository_that_never_was_is_not_found(wire: Wire, repository: str) -> None:
    assert wire.get(f"/v2/{repository}/manifests/1").status == 404


def test_if_none_match_spares_the_bytes(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository))
    path = f"/v2/{repository}/manifests/1"
    tag = wire.get(path)["ETag"]
    assert wire.get(path, If_None_Match=tag).status == 304
    wire.push(repository, "1", wire.image(repository, "another"))
    assert wire.get(path, If_None_Match=tag).status == 200


def test_a_tag_moves_when_pushed_again(wire: Wire, repository: str) -> None:
    wire.push(repository, "1", wire.image(repository, "a"))
    digest, _ = wire.push(repository, "1", wire.image(repository, "b"))
    assert wire.head(f"/v2/{repository}/manifests/1")["Docker-Content-Digest"] == digest


def test_end_7b_many_tags_are_pushed_at_once(wire: Wire, repository: str, algorithm: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    digest = digest_of(payload, algorithm)
    tags = [f"tag-{number}" for number in range(12)]
    query = "&".join(f"tag={tag}" for tag in tags)
    reply = wire.put_manifest(repository, f"{digest}?{query}", payload)
    assert reply.status == 201
    listed = [tag.strip() for value in reply.values("OCI-Tag") for tag in value.split(",")]
    assert sorted(listed) == sorted(tags)
    for tag in tags:
        got = wire.get(f"/v2/{repository}/manifests/{tag}")
        assert (got.body, got["Docker-Content-Digest"]) == (payload, digest)
        assert wire.head(f"/v2/{repository}/manifests/{tag}")["Docker-Content-Digest"] == digest


def test_end_7b_an_impossible_tag_among_them_pushes_nothing(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    reply = wire.put_manifest(repository, f"{digest_of(payload)}?tag=good&tag=.bad", payload)
    assert reply.status == 400
    assert wire.head(f"/v2/{repository}/manifests/good").status == 404


def test_end_7a_a_subject_that_is_not_there_is_accepted(wire: Wire, repository: str) -> None:
    subject = manifest_descriptor(secrets.token_bytes(30))
    document = wire.image(repository, subject=subject)
    reply = wire.put_manifest(repository, "1", json.dumps(document).encode())
    assert reply.status == 201
    assert reply["OCI-Subject"] == subject["digest"]


def test_end_7a_without_a_subject_none_is_named(wire: Wire, repository: str) -> None:
    reply = wire.put_manifest(repository, "1", json.dumps(wire.image(repository)).encode())
    assert "OCI-Subject" not in reply


def test_end_9_a_deleted_manifest_takes_its_tags_with_it(wire: Wire, repository: str, algorithm: str) -> None:
    payload = json.dumps(wire.image(repository, "kept")).encode()
    wire.put_manifest(repository, "kept", payload)
    gone = json.dumps(wire.image(repository, "gone")).encode()
    digest = digest_of(gone, algorithm)
    wire.put_manifest(repository, f"{digest}?tag=a&tag=b", gone)
    assert wire.delete(f"/v2/{repository}/manifests/{digest}").status == 202
    for reference in (digest, "a", "b"):
        assert wire.head(f"/v2/{repository}/manifests/{reference}").status == 404
        assert wire.get(f"/v2/{repository}/manifests/{reference}").status == 404
    assert wire.get(f"/v2/{repository}/tags/list").json["tags"] == ["kept"]


def test_end_9_a_deleted_tag_leaves_the_manifest(wire: Wire, repository: str) -> None:
    digest, _ = wire.push(repository, "a", wire.image(repository))
    wire.push(repository, "b", wire.image(repository))
    assert wire.delete(f"/v2/{repository}/manifests/a").status == 202
    assert wire.get(f"/v2/{repository}/manifests/a").status == 404
    assert wire.get(f"/v2/{repository}/manifests/{digest}").status == 200
    assert wire.get(f"/v2/{repository}/tags/list").json["tags"] == ["b"]


def test_end_9_deleting_what_is_not_there_is_not_found(wire: Wire, repository: str) -> None:
    assert wire.delete(f"/v2/{repository}/manifests/1").status == 404
    wire.push(repository, "1", wire.image(repository))
    assert wire.delete(f"/v2/{repository}/manifests/2").status == 404
    assert wire.delete(f"/v2/{repository}/manifests/{digest_of(secrets.token_bytes(9))}").status == 404


def test_end_9_deletion_that_is_switched_off_is_405(no_deletes: Wire, repository: str) -> None:
    digest, _ = no_deletes.push(repository, "1", no_deletes.image(repository))
    for reference in ("1", digest):
        reply = no_deletes.delete(f"/v2/{repository}/manifests/{reference}")
        assert (reply.status, reply.codes) == (405, ["UNSUPPORTED"])
