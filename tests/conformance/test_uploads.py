"""end-4, end-5, end-6, end-11, end-13 and end-14: blobs are pushed, in every way there is."""

from __future__ import annotations

import re
import secrets
import uuid

import pytest
from tests.conformance.wire import OCTETS, Wire, digest_of

BAD_DIGESTS = ["sha256:baddigeststring", "sha256:" + "G" * 64, "sha512:" + "0" * 64, "sha1:" + "0" * 40, "x"]


def test_end_4a_an_upload_is_given_a_location(wire: Wire, repository: str) -> None:
    reply = wire.start_upload(repository)
    assert reply.status == 202
    name = reply["Location"].partition("?")[0].rpartition("/")[2]
    assert re.search(r"/v2/.+/blobs/uploads/[^/]+$", reply["Location"].partition("?")[0])
    assert uuid.UUID(name)
    assert reply["Docker-Upload-UUID"] == name


def test_end_4a_post_then_put_pushes_a_blob(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(5000)
    digest = digest_of(data, algorithm)
    reply = wire.finish(wire.upload(repository), digest, data)
    assert reply.status == 201
    assert reply["Docker-Content-Digest"] == digest
    assert wire.get(reply["Location"]).body == data


def test_end_4b_one_post_pushes_a_blob(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(5000)
    digest = digest_of(data, algorithm)
    path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    reply = wire.request("POST", path, data, headers={"Content-Type": OCTETS})
    assert reply.status == 201
    assert reply["Docker-Content-Digest"] == digest
    assert wire.get(reply["Location"]).body == data


def test_end_4b_one_post_of_an_empty_blob_will_do(wire: Wire, repository: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/?digest={digest_of(b'')}"
    reply = wire.request("POST", path, b"", headers={"Content-Type": OCTETS, "Content-Length": "0"})
    assert reply.status == 201


def test_end_4c_the_algorithm_is_named_at_the_start(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(3000)
    reply = wire.start_upload(repository, f"?digest-algorithm={algorithm}")
    assert reply.status == 202
    location = wire.chunk(reply["Location"], data)["Location"]
    assert wire.finish(location, digest_of(data, algorithm)).status == 201


@pytest.mark.parametrize("name", ["md5", "sha1", "SHA256", "..%2f"])
def test_end_4c_an_unsupported_algorithm_is_refused(wire: Wire, repository: str, name: str) -> None:
    reply = wire.start_upload(repository, f"?digest-algorithm={name}")
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


def test_end_5_a_stream_needs_no_range(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(100_000)
    pieces = (data[at : at + 7000] for at in range(0, len(data), 7000))
    reply = wire.request("PATCH", wire.upload(repository), pieces, headers={"Content-Type": OCTETS})
    assert reply.status == 202
    assert reply["Range"] == "0-99999"
    assert wire.finish(reply["Location"], digest_of(data, algorithm)).status == 201


def test_end_5_chunks_make_a_blob(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(3 * 1024 - 5)
    location = wire.upload(repository)
    for start in (0, 1024):
        reply = wire.chunk(location, data[start : start + 1024], start)
        assert reply.status == 202
        assert reply["Range"] == f"0-{start + 1023}"
        location = reply["Location"]
    headers = {"Content-Range": f"2048-{len(data) - 1}"}
    reply = wire.finish(location, digest_of(data, algorithm), data[2048:], headers)
    assert reply.status == 201
    assert wire.get(reply["Location"]).body == data


@pytest.mark.parametrize("start", [5, 1024 + 1, 0])
def test_trap_7_a_chunk_out_of_order_is_416(wire: Wire, repository: str, start: int) -> None:
    data = secrets.token_bytes(1024)
    location = wire.upload(repository)
    if start != 5:
        location = wire.chunk(location, data, 0)["Location"]
    assert wire.chunk(location, data, start).status == 416


def test_trap_7_a_final_chunk_out_of_order_is_416_and_the_upload_goes_on(wire: Wire, repository: str) -> None:
    data = secrets.token_bytes(2048)
    location = wire.chunk(wire.upload(repository), data[:1024], 0)["Location"]
    digest = digest_of(data)
    assert wire.finish(location, digest, data[1024:], {"Content-Range": "0-1023"}).status == 416
    status = wire.get(location)
    assert (status.status, status["Range"]) == (204, "0-1023")
    reply = wire.finish(status["Location"], digest, data[1024:], {"Content-Range": "1024-2047"})
    assert reply.status == 201


def test_trap_7_an_earlier_location_still_tells_where_the_upload_is(wire: Wire, repository: str) -> None:
    data = secrets.token_bytes(2048)
    first = wire.upload(repository)
    second = wire.chunk(first, data[:1024], 0)["Location"]
    assert wire.chunk(first, data[:1024], 0).status == 416
    status = wire.get(first)
    assert (status.status, status["Range"]) == (204, "0-1023")
    wire.chunk(second, data[1024:], 1024)
    assert wire.get(first)["Range"] == "0-2047"
    separator = "&" if "?" in first else "?"
    assert wire.get(f"{first}{separator}digest={digest_of(data)}").status == 204


def test_end_13_an_upload_without_bytes_has_a_range_and_a_location(wire: Wire, repository: str) -> None:
    reply = wire.get(wire.upload(repository))
    assert reply.status == 204
    assert reply["Range"] in {"0-0", "0--1"}
    assert "Location" in reply


def test_end_13_an_unknown_upload_is_not_found(wire: Wire, repository: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/{uuid.uuid4()}"
    reply = wire.get(path)
    assert (reply.status, reply.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    assert wire.chunk(path, b"x").status == 404
    assert wire.finish(path, digest_of(b"x"), b"x").status == 404
    assert wire.delete(path).status == 404


def test_end_14_a_cancelled_upload_is_gone(wire: Wire, repository: str) -> None:
    location = wire.chunk(wire.upload(repository), b"some bytes")["Location"]
    assert wire.delete(location).status == 204
    assert wire.get(location).status == 404
    assert wire.chunk(location, b"more").status == 404
    assert wire.finish(location, digest_of(b"some bytes")).status == 404


def test_a_finished_upload_is_gone(wire: Wire, repository: str) -> None:
    location = wire.upload(repository)
    wire.finish(location, digest_of(b"bytes"), b"bytes")
    assert wire.get(location).status == 404
    assert wire.finish(location, digest_of(b"bytes"), b"bytes").status == 404


def test_an_upload_belongs_to_its_repository(wire: Wire, repository: str) -> None:
    location = wire.upload(repository)
    wire.push_blob(f"{repository}-other", b"something")
    elsewhere = location.replace(repository, f"{repository}-other")
    assert wire.get(elsewhere).status == 404


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_trap_8_a_malformed_digest_is_400_at_the_end(wire: Wire, repository: str, digest: str) -> None:
    reply = wire.finish(wire.upload(repository), digest, b"bytes")
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_trap_8_a_malformed_digest_is_400_in_one_post(wire: Wire, repository: str, digest: str) -> None:
    path = f"/v2/{repository}/blobs/uploads/?digest={digest}"
    reply = wire.request("POST", path, b"bytes", headers={"Content-Type": OCTETS})
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


def test_trap_8_the_wrong_digest_is_400_in_every_way_of_pushing(
    wire: Wire, repository: str, algorithm: str
) -> None:
    wrong = digest_of(b"other bytes", algorithm)
    path = f"/v2/{repository}/blobs/uploads/?digest={wrong}"
    assert wire.request("POST", path, b"bytes", headers={"Content-Type": OCTETS}).status == 400
    assert wire.finish(wire.upload(repository), wrong, b"bytes").status == 400
    streamed = wire.chunk(wire.upload(repository), b"bytes")["Location"]
    assert wire.finish(streamed, wrong).status == 400
    chunked = wire.chunk(wire.upload(repository), b"bytes", 0)["Location"]
    assert wire.finish(chunked, wrong).status == 400
    assert wire.get(f"/v2/{repository}/blobs/{wrong}").status == 404


def test_a_put_without_a_digest_is_refused(wire: Wire, repository: str) -> None:
    reply = wire.request("PUT", wire.upload(repository), b"bytes", headers={"Content-Type": OCTETS})
    assert reply.status == 400


@pytest.mark.parametrize("text", ["5", "a-b", "9-0", "-5", "0-", "0-99999999999999999999"])
def test_a_content_range_that_is_none_is_refused(wire: Wire, repository: str, text: str) -> None:
    headers = {"Content-Type": OCTETS, "Content-Range": text}
    assert wire.request("PATCH", wire.upload(repository), b"bytes", headers=headers).status in {400, 416}


def test_a_content_range_that_lies_about_the_length_is_refused(wire: Wire, repository: str) -> None:
    location = wire.upload(repository)
    headers = {"Content-Type": OCTETS, "Content-Range": "0-99"}
    assert wire.request("PATCH", location, b"bytes", headers=headers).status in {400, 416}
    assert wire.get(location)["Range"] in {"0-0", "0--1"}


def test_a_blob_that_is_there_may_be_pushed_again(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(100)
    assert wire.push_blob(repository, data, algorithm) == wire.push_blob(repository, data, algorithm)


def test_a_blob_is_found_by_the_digest_it_was_pushed_with_and_no_other(wire: Wire, repository: str) -> None:
    """The same bytes under both algorithms are two names, each answered with itself."""
    data = secrets.token_bytes(100)
    for algorithm in ("sha256", "sha512"):
        digest = wire.push_blob(repository, data, algorithm)
        assert wire.head(f"/v2/{repository}/blobs/{digest}")["Docker-Content-Digest"] == digest


def test_end_11_a_blob_is_mounted_from_another_repository(
    wire: Wire, repository: str, algorithm: str
) -> None:
    data = secrets.token_bytes(500)
    digest = wire.push_blob(repository, data, algorithm)
    reply = wire.start_upload(f"{repository}-other", f"?mount={digest}&from={repository}")
    assert reply.status == 201
    assert reply["Docker-Content-Digest"] == digest
    assert reply["Location"].endswith(f"/v2/{repository}-other/blobs/{digest}")
    assert wire.get(reply["Location"]).body == data


def test_end_11_a_blob_is_mounted_without_a_source(wire: Wire, repository: str, algorithm: str) -> None:
    data = secrets.token_bytes(500)
    digest = wire.push_blob(repository, data, algorithm)
    reply = wire.start_upload(f"{repository}-other", f"?mount={digest}")
    assert reply.status == 201
    assert wire.get(reply["Location"]).body == data


def test_trap_9_a_blob_that_the_source_lacks_becomes_an_upload(wire: Wire, repository: str) -> None:
    data = secrets.token_bytes(500)
    wire.push_blob(repository, b"something else")
    wire.push_blob(f"{repository}-holder", data)
    query = f"?mount={digest_of(data)}&from={repository}"
    reply = wire.start_upload(f"{repository}-target", query)
    assert reply.status == 202
    assert wire.finish(reply["Location"], digest_of(data), data).status == 201


def test_end_11_a_source_that_does_not_exist_becomes_an_upload(wire: Wire, repository: str) -> None:
    for source in ("nowhere/at/all", "library/no-such-repository", "UPPER", "%20"):
        reply = wire.start_upload(repository, f"?mount={digest_of(b'x')}&from={source}")
        assert reply.status == 202, source


def test_end_11_mounting_an_unknown_digest_becomes_an_upload(wire: Wire, repository: str) -> None:
    assert wire.start_upload(repository, f"?mount={digest_of(secrets.token_bytes(9))}").status == 202


def test_trap_8_mounting_a_malformed_digest_is_400(wire: Wire, repository: str) -> None:
    reply = wire.start_upload(repository, "?mount=sha256:baddigeststring")
    assert (reply.status, reply.codes) == (400, ["DIGEST_INVALID"])


def test_a_minimum_for_chunks_is_announced_and_the_last_may_be_smaller(
    small_pages: Wire, repository: str
) -> None:
    reply = small_pages.start_upload(repository)
    assert reply["OCI-Chunk-Min-Length"] == "1024"
    data = secrets.token_bytes(1024 + 3)
    location = small_pages.chunk(reply["Location"], data[:1024], 0)["Location"]
    assert (
        small_pages.finish(location, digest_of(data), data[1024:], {"Content-Range": "1024-1026"}).status
        == 201
    )


@pytest.mark.parametrize("name", ["UPPER/case", "a//b", "-a/b", "a/b-", "a/.b", "a" * 300])
def test_a_name_outside_the_grammar_is_refused(wire: Wire, name: str) -> None:
    assert wire.start_upload(name).status in {400, 404}
