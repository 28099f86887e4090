"""What can be asked of a blob: the whole, parts of it, and whether it changed."""

from __future__ import annotations

import re

import pytest
from tests.registry.actors import NOBODY, digest_of, encoded, image_of
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4


@pytest.fixture
async def blob(registry: Registry) -> str:
    return "/v2/a/app/blobs/" + await registry.alice.push_blob("a/app", DATA)


async def test_a_head_tells_what_a_get_would_and_sends_no_body(registry: Registry, blob: str) -> None:
    got, told = await registry.alice.get(blob), await registry.alice.head(blob)
    assert (got.status, got.body) == (200, DATA)
    assert (told.status, told.headers, told.body) == (200, got.headers, b"")
    assert told["content-length"] == str(len(DATA))


async def test_a_head_ignores_ranges(registry: Registry, blob: str) -> None:
    assert (await registry.alice.head(blob, Range="bytes=0-1")).status == 200


async def test_a_blob_is_cached_for_ever_under_its_digest(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob)
    assert answer["etag"] == f'"{digest_of(DATA)}"'
    assert "immutable" in answer["cache-control"]
    assert answer["accept-ranges"] == "bytes"
    assert answer["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
async def test_a_blob_already_held_is_not_sent_again(registry: Registry, blob: str, form: str) -> None:
    tag = form.format(digest_of(DATA))
    answer = await registry.alice.get(blob, If_None_Match=tag)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.get("content-length") is None
    assert (await registry.alice.head(blob, If_None_Match=tag)).status == 304


async def test_another_entity_tag_gets_the_blob(registry: Registry, blob: str) -> None:
    assert (await registry.alice.get(blob, If_None_Match=f'"{NOBODY}"')).status == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("10-19", 10, 19), ("1000-", 1000, 1023), ("-24", 1000, 1023), ("1000-9999", 1000, 1023)],
)
async def test_one_range_is_sent_alone(
    registry: Registry, blob: str, asked: str, first: int, last: int
) -> None:
    answer = await registry.alice.get(blob, Range=f"bytes={asked}")
    assert (answer.status, answer.body) == (206, DATA[first : last + 1])
    assert answer["content-range"] == f"bytes {first}-{last}/{len(DATA)}"


async def test_several_ranges_come_as_parts_that_say_where_they_belong(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob, Range="bytes=0-9,100-199,-4")
    assert answer.status == 206
    boundary = answer["content-type"].removeprefix("multipart/byteranges; boundary=").encode()
    *parts, end = answer.body.split(b"\r\n--" + boundary)
    assert end == b"--\r\n"
    found = {}
    for part in parts[1:]:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        match = re.search(rb"Content-Range: bytes (\d+)-(\d+)/1024", head)
        assert match is not None
        found[int(match[1]), int(match[2])] = body
    assert found == {(0, 9): DATA[:10], (100, 199): DATA[100:200], (1020, 1023): DATA[1020:]}


async def test_overlapping_ranges_are_sent_once(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob, Range="bytes=0-99,50-149")
    assert (answer.status, answer["content-range"]) == (206, "bytes 0-149/1024")


async def test_a_range_beyond_the_end_is_416_and_tells_the_size(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob, Range="bytes=1024-")
    assert (answer.status, answer["content-range"]) == (416, "bytes */1024")


@pytest.mark.parametrize("asked", ["lines=0-1", "bytes", "bytes=a-b", "0-1"])
async def test_what_is_no_range_of_bytes_gets_the_whole(registry: Registry, blob: str, asked: str) -> None:
    assert (await registry.alice.get(blob, Range=asked)).status == 200


async def test_if_range_with_the_digest_gets_the_part(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob, Range="bytes=0-9", If_Range=f'"{digest_of(DATA)}"')
    assert answer.status == 206


@pytest.mark.parametrize(
    "condition", [f'"{NOBODY}"', f'W/"{digest_of(DATA)}"', "Mon, 01 Jan 2024 00:00:00 GMT"]
)
async def test_if_range_with_anything_else_gets_the_whole(
    registry: Registry, blob: str, condition: str
) -> None:
    answer = await registry.alice.get(blob, Range="bytes=0-9", If_Range=condition)
    assert (answer.status, answer.body) == (200, DATA)


async def test_a_server_that_can_send_files_is_told_which(registry: Registry, blob: str) -> None:
    answer = await registry.alice.request(
        "GET", blob, headers={"Range": "bytes=10-19"}, extensions={"roadstead.sendfile": {}}
    )
    start, file = answer.messages
    assert start["status"] == 206
    assert (file["type"], file["offset"], file["count"]) == ("roadstead.sendfile", 10, 10)
    assert answer["content-length"] == "10"


async def test_an_empty_blob_is_a_blob(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", b"")
    answer = await registry.alice.pull_blob("a/app", digest)
    assert (answer.status, answer.body, answer["content-length"]) == (200, b"", "0")
    assert (await registry.alice.pull_blob("a/app", digest, Range="bytes=0-0")).status == 200


async def test_a_blob_is_known_by_the_digest_it_was_pushed_under(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/app", DATA, "sha512")
    assert (await registry.alice.pull_blob("a/app", digest))["docker-content-digest"] == digest
    assert (await registry.alice.pull_blob("a/app", digest_of(DATA))).status == 404


async def test_a_blob_is_read_through_its_own_repository_only(registry: Registry, blob: str) -> None:
    answer = await registry.alice.get(blob.replace("a/app", "a/other"))
    assert (answer.status, answer.codes) == (404, ["BLOB_UNKNOWN"])


async def test_a_deleted_blob_is_gone_from_its_repository_alone(registry: Registry, blob: str) -> None:
    await registry.alice.mount("a/other", digest_of(DATA), "a/app")
    assert (await registry.alice.delete(blob)).status == 202
    assert (await registry.alice.get(blob)).status == 404
    assert (await registry.alice.head(blob)).status == 404
    assert (await registry.alice.delete(blob)).status == 404
    assert (await registry.alice.get(blob.replace("a/app", "a/other"))).body == DATA


async def test_a_blob_that_a_manifest_needs_cannot_be_deleted(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    manifest = await registry.alice.push_manifest("a/app", "1", document)
    layer = f"/v2/a/app/blobs/{document['layers'][0]['digest']}"
    answer = await registry.alice.delete(layer)
    assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
    assert answer.json["errors"][0]["detail"]["manifest"] == manifest
    await registry.alice.delete(f"/v2/a/app/manifests/{manifest}")
    assert (await registry.alice.delete(layer)).status == 202


async def test_looking_at_an_unneeded_blob_keeps_it_for_another_grace_period(
    registry: Registry, blob: str
) -> None:
    await registry.change("UPDATE blobs SET unreferenced_since = 5")
    await registry.alice.head(blob)
    assert int(str(await registry.scalar("SELECT unreferenced_since FROM blobs"))) > 5


async def test_a_manifest_holds_its_blobs_until_it_is_deleted(registry: Registry) -> None:
    config, layer = b"{}", b"layer"
    for data in (config, layer):
        await registry.alice.push_blob("a/app", data)
    digest = await registry.alice.push_manifest("a/app", "1", image_of(config, layer))
    waiting = "SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL"
    assert await registry.scalar(waiting) == 0
    await registry.alice.delete(f"/v2/a/app/manifests/{digest}")
    assert await registry.scalar(waiting) == 2
    assert digest == digest_of(encoded(image_of(config, layer)))
