"""end-12: what refers to a manifest is found by it."""

from __future__ import annotations

import json
import secrets
import urllib.parse

import pytest
from tests.conformance.wire import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    Json,
    Wire,
    digest_of,
    manifest_descriptor,
)

SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"


@pytest.fixture
def subject(wire: Wire, repository: str) -> Json:
    """The descriptor of an image that is there."""
    _, payload = wire.push(repository, "1", wire.image(repository))
    return manifest_descriptor(payload)


def listed(wire: Wire, repository: str, digest: str, query: str = "") -> list[Json]:
    reply = wire.get(f"/v2/{repository}/referrers/{digest}{query}")
    assert reply.status == 200
    assert reply["Content-Type"] == OCI_INDEX
    document = reply.json
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == OCI_INDEX
    manifests: list[Json] = document["manifests"]
    return manifests


def test_trap_1_a_repository_that_never_was_has_no_referrers(
    wire: Wire, repository: str, algorithm: str
) -> None:
    assert listed(wire, repository, digest_of(b"nothing", algorithm)) == []
    assert listed(wire, repository, "sha256:" + "0" * 64) == []


def test_end_12a_an_unknown_digest_has_no_referrers(wire: Wire, repository: str, subject: Json) -> None:
    assert listed(wire, repository, digest_of(secrets.token_bytes(9))) == []


@pytest.mark.parametrize("text", ["sha256:bad", "bad", "sha999:" + "0" * 64, "1"])
def test_end_12a_a_malformed_digest_is_400(wire: Wire, repository: str, subject: Json, text: str) -> None:
    reply = wire.get(f"/v2/{repository}/referrers/{text}")
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


def test_end_12a_a_referrer_is_described(wire: Wire, repository: str, subject: Json) -> None:
    digest, payload = wire.artifact(repository, subject, SBOM, made="by a test")
    assert listed(wire, repository, subject["digest"]) == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(payload),
            "artifactType": SBOM,
            "annotations": {"made": "by a test"},
        }
    ]


def test_end_12a_an_image_is_described_by_the_type_of_its_config(
    wire: Wire, repository: str, subject: Json
) -> None:
    wire.push(repository, "2", wire.image(repository, "2", subject=subject))
    [found] = listed(wire, repository, subject["digest"])
    assert found["artifactType"] == OCI_CONFIG


def test_end_12a_an_index_may_refer(wire: Wire, repository: str, subject: Json) -> None:
    index: Json = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": subject}
    wire.push(repository, "plain", index, OCI_INDEX)
    wire.push(repository, "typed", index | {"artifactType": SBOM}, OCI_INDEX)
    found = listed(wire, repository, subject["digest"])
    assert {entry["mediaType"] for entry in found} == {OCI_INDEX}
    assert sorted(entry.get("artifactType", "") for entry in found) == ["", SBOM]


def test_end_12a_a_subject_that_comes_later_has_its_referrers(wire: Wire, repository: str) -> None:
    document = wire.image(repository, "late")
    payload = json.dumps(document).encode()
    digest, _ = wire.artifact(repository, manifest_descriptor(payload), SBOM)
    wire.push(repository, "late", document)
    assert [entry["digest"] for entry in listed(wire, repository, digest_of(payload))] == [digest]


def test_end_12a_a_subject_by_sha512_has_its_referrers(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    subject = manifest_descriptor(payload) | {"digest": digest_of(payload, "sha512")}
    wire.put_manifest(repository, subject["digest"], payload)
    digest, _ = wire.artifact(repository, subject, SBOM)
    assert [entry["digest"] for entry in listed(wire, repository, subject["digest"])] == [digest]


def test_end_12b_referrers_are_filtered_by_type(wire: Wire, repository: str, subject: Json) -> None:
    sbom, _ = wire.artifact(repository, subject, SBOM)
    wire.artifact(repository, subject, SIGNATURE)
    path = f"/v2/{repository}/referrers/{subject['digest']}?artifactType={urllib.parse.quote(SBOM, safe='')}"
    reply = wire.get(path)
    assert reply["OCI-Filters-Applied"] == "artifactType"
    assert [entry["digest"] for entry in reply.json["manifests"]] == [sbom]


def test_end_12b_without_a_filter_none_is_claimed(wire: Wire, repository: str, subject: Json) -> None:
    assert "OCI-Filters-Applied" not in wire.get(f"/v2/{repository}/referrers/{subject['digest']}")


def test_a_deleted_referrer_is_listed_no_more(wire: Wire, repository: str, subject: Json) -> None:
    digest, _ = wire.artifact(repository, subject, SBOM)
    wire.delete(f"/v2/{repository}/manifests/{digest}")
    assert listed(wire, repository, subject["digest"]) == []


def test_referrers_stay_in_their_repository(wire: Wire, repository: str, subject: Json) -> None:
    wire.artifact(f"{repository}-other", subject, SBOM)
    assert listed(wire, repository, subject["digest"]) == []


def test_an_empty_config_lends_no_type(wire: Wire, repository: str, subject: Json) -> None:
    """`artifactType` names the artifact; the empty config beside it says nothing."""
    wire.artifact(repository, subject, SIGNATURE)
    [found] = listed(wire, repository, subject["digest"])
    assert found["artifactType"] == SIGNATURE != OCI_EMPTY


def test_referrers_of_the_fallback_tag_are_listed(wire: Wire, repository: str) -> None:
    """Pushed by a client that knew no referrers API: an index under the subject's digest as a tag."""
    subject = manifest_descriptor(secrets.token_bytes(40))
    digest, payload = wire.artifact(repository, subject, SBOM)
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [manifest_descriptor(payload) | {"artifactType": SBOM}],
    }
    wire.push(repository, subject["digest"].replace(":", "-"), index, OCI_INDEX)
    assert [entry["digest"] for entry in listed(wire, repository, subject["digest"])] == [digest]


def test_end_12a_pages_lead_one_to_the_next(small_pages: Wire, repository: str) -> None:
    _, payload = small_pages.push(repository, "1", small_pages.image(repository))
    subject = manifest_descriptor(payload)
    pushed = {
        small_pages.artifact(repository, subject, kind, number=str(number))[0]
        for number in range(4)
        for kind in (SBOM, SIGNATURE)
    }
    path = f"/v2/{repository}/referrers/{subject['digest']}"
    found: list[str] = []
    page: str | None = path
    while page:
        reply = small_pages.get(urllib.parse.urljoin(path, page))
        assert len(reply.json["manifests"]) <= 3
        found += [entry["digest"] for entry in reply.json["manifests"]]
        page = reply.next_page
    assert sorted(found) == sorted(pushed)


def test_end_12b_a_filter_holds_on_every_page(small_pages: Wire, repository: str) -> None:
    _, payload = small_pages.push(repository, "1", small_pages.image(repository))
    subject = manifest_descriptor(payload)
    for number in range(5):
        for kind in (SBOM, SIGNATURE):
            small_pages.artifact(repository, subject, kind, number=str(number))
    path = f"/v2/{repository}/referrers/{subject['digest']}"
    found: list[str] = []
    page: str | None = f"{path}?artifactType={SBOM}"
    while page:
        reply = small_pages.get(urllib.parse.urljoin(path, page))
        assert reply["OCI-Filters-Applied"] == "artifactType"
        found += [entry["artifactType"] for entry in reply.json["manifests"]]
        page = reply.next_page
    assert found == [SBOM] * 5
