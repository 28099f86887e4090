"""end-2 and end-10: blobs are read, whole and in parts, and deleted."""

from __future__ import annotations

import email.parser
import email.policy
import secrets

import pytest
from tests.conformance.wire import OCTETS, Wire, digest_of

DATA = bytes(range(256)) * 8


@pytest.fixture
def blob(wire: Wire, repository: str) -> str:
    """The path of a blob of 2,048 bytes."""
    return f"/v2/{repository}/blobs/{wire.push_blob(repository, DATA)}"


def test_end_2_a_blob_is_read_as_it_was_pushed(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(1000)
    digest = wire.push_blob(repository, data, algorithm)
    reply = wire.get(f"/v2/{repository}/blobs/{digest}")
    assert (reply.status, reply.body) == (200, data)
    assert reply["Docker-Content-Digest"] == digest
    assert reply["Content-Type"] == OCTETS


def test_end_2_head_says_what_get_would(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(1000)
    path = f"/v2/{repository}/blobs/{wire.push_blob(repository, data, algorithm)}"
    get, head = wire.get(path), wire.head(path)
    assert head.status == 200
    for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag", "Accept-Ranges"):
        assert head[name] == get[name]


def test_end_2_an_unknown_blob_is_not_found(wire: Wire, repository: str, algorithm: str) -> None:
    wire.push_blob(repository, b"something")
    unknown = digest_of(secrets.token_bytes(8), algorithm)
    reply = wire.get(f"/v2/{repository}/blobs/{unknown}")
    assert (reply.status, reply.codes) == (404, ["BLOB_UNKNOWN"])
    assert wire.head(f"/v2/{repository}/blobs/{unknown}").status == 404


def test_end_2_a_blob_of_an_unknown_repository_is_not_found(wire: Wire, repository: str) -> None:
    assert wire.get(f"/v2/{repository}/blobs/{digest_of(DATA)}").status == 404


def test_a_blob_is_not_read_through_a_repository_that_does_not_hold_it(wire: Wire, repository: str) -> None:
    digest = wire.push_blob(repository, secrets.token_bytes(100))
    assert wire.get(f"/v2/{repository}-other/blobs/{digest}").status == 404


@pytest.mark.parametrize(
    "text", ["sha256:bad", "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha256:" + "0" * 63]
)
def test_end_2_a_malformed_digest_is_refused(wire: Wire, repository: str, text: str) -> None:
    assert wire.get(f"/v2/{repository}/blobs/{text}").status in {400, 404}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=-5000", 0, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=2047-2047", 2047, 2047),
    ],
)
def test_trap_6_a_range_is_answered_with_exactly_its_bytes(
    wire: Wire, blob: str, asked: str, first: int, last: int
) -> None:
    reply = wire.get(blob, Range=asked)
    assert reply.status == 206
    assert reply["Content-Range"] == f"bytes {first}-{last}/2048"
    assert reply["Content-Length"] == str(last - first + 1)
    assert reply.body == DATA[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"])
def test_trap_6_a_range_that_cannot_be_is_416(wire: Wire, blob: str, asked: str) -> None:
    reply = wire.get(blob, Range=asked)
    assert reply.status == 416
    assert reply["Content-Range"] == "bytes */2048"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes", "bytes=a-b", "bytes=--5"])
def test_a_range_that_is_no_range_is_ignored(wire: Wire, blob: str, asked: str) -> None:
    reply = wire.get(blob, Range=asked)
    assert (reply.status, reply.body) == (200, DATA)


def test_several_ranges_are_answered_in_one_multipart_body(wire: Wire, blob: str) -> None:
    reply = wire.get(blob, Range="bytes=0-9, 100-199, -5")
    assert reply.status == 206
    assert reply["Content-Type"].startswith("multipart/byteranges; boundary=")
    head = f"Content-Type: {reply['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + reply.body)
    parts = [(part["Content-Range"], part.get_payload(decode=True)) for part in message.iter_parts()]
    assert parts == [
        ("bytes 0-9/2048", DATA[:10]),
        ("bytes 100-199/2048", DATA[100:200]),
        ("bytes 2043-2047/2048", DATA[2043:]),
    ]


def test_of_several_ranges_those_inside_are_answered(wire: Wire, blob: str) -> None:
    reply = wire.get(blob, Range="bytes=0-9,9000-9999")
    assert (reply.status, reply.body) == (206, DATA[:10])


def test_a_head_with_a_range_has_no_body(wire: Wire, blob: str) -> None:
    assert wire.head(blob, Range="bytes=0-9").status in {200, 206}


def test_if_none_match_spares_the_bytes(wire: Wire, blob: str) -> None:
    tag = wire.get(blob)["ETag"]
    assert wire.get(blob, If_None_Match=tag).status == 304
    assert wire.head(blob, If_None_Match=f'"other", {tag}').status == 304
    assert wire.get(blob, If_None_Match='"other"').status == 200


def test_if_range_decides_whether_a_part_will_do(wire: Wire, blob: str) -> None:
    tag = wire.get(blob)["ETag"]
    assert wire.get(blob, Range="bytes=0-9", If_Range=tag).status == 206
    assert wire.get(blob, Range="bytes=0-9", If_Range='"other"').status == 200


def test_trap_3_a_blob_is_never_compressed_on_the_way(wire: Wire, repository: str) -> None:
    data = b"a" * 10_000
    reply = wire.get(f"/v2/{repository}/blobs/{wire.push_blob(repository, data)}", Accept_Encoding="gzip")
    assert reply.body == data
    assert reply["Content-Length"] == "10000"


def test_the_empty_blob_is_a_blob(wire: Wire, repository: str, algorithm: str) -> None:
    path = f"/v2/{repository}/blobs/{wire.push_blob(repository, b'', algorithm)}"
    assert (wire.get(path).status, wire.head(path)["Content-Length"]) == (200, "0")


def test_end_10_a_deleted_blob_is_gone_at_once(wire: Wire, repository: str, algorithm: str) -> None:
    path = f"/v2/{repository}/blobs/{wire.push_blob(repository, secrets.token_bytes(50), algorithm)}"
    assert wire.delete(path).status == 202
    assert wire.head(path).status == 404
    assert wire.get(path).status == 404


def test_end_10_deleting_an_unknown_blob_is_not_found(wire: Wire, repository: str) -> None:
    wire.push_blob(repository, b"something")
    assert wire.delete(f"/v2/{repository}/blobs/{digest_of(secrets.token_bytes(8))}").status == 404


def test_end_10_a_deleted_blob_can_be_pushed_again(wire: Wire, repository: str) -> None:
    data = secrets.token_bytes(50)
    path = f"/v2/{repository}/blobs/{wire.push_blob(repository, data)}"
    wire.delete(path)
    wire.push_blob(repository, data)
    assert wire.get(path).body == data


def test_end_10_deletion_that_is_switched_off_is_405(no_deletes: Wire, repository: str) -> None:
    path = f"/v2/{repository}/blobs/{no_deletes.push_blob(repository, DATA)}"
    reply = no_deletes.delete(path)
    assert (reply.status, reply.codes) == (405, ["UNSUPPORTED"])
    assert no_deletes.head(path).status == 200


def test_a_namespace_does_not_disturb_a_pull(wire: Wire, blob: str) -> None:
    reply = wire.get(f"{blob}?ns=registry.example")
    assert (reply.status, reply.body) == (200, DATA)
    assert reply.values("OCI-Namespace") in ([], ["registry.example"])
