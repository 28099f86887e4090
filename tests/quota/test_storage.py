"""A project holds no more bytes than it may, and is charged for exactly those that it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.quota.limits import configure, events, fold, limit, quota_of, used
from tests.registry.actors import digest_of, encoded, image_of
from tests.registry.registries import Registry

from roadstead.quota.rules import MIB

pytestmark = pytest.mark.anyio

KIB = 1024


async def never() -> AsyncIterator[bytes]:
    raise AssertionError("somebody reads the body")
    yield b""


async def test_a_blob_is_charged_once_for_all_repositories_of_a_project(registry: Registry) -> None:
    data = b"x" * 1000
    for repository in ("a/one", "a/two", "a/one"):
        digest = await registry.alice.push_blob(repository, data)
    assert (await registry.alice.mount("a/three", digest, "a/one")).status == 201
    assert await used(registry, "a") == 1000
    await registry.bob.push_blob("b/one", data)
    assert await used(registry, "b") == 1000


async def test_a_manifest_is_charged_in_every_repository_that_has_it(registry: Registry) -> None:
    document = await registry.alice.image("a/one", "1")
    blobs = await used(registry, "a")
    await registry.alice.push_manifest("a/one", "1", document)
    await registry.alice.push_manifest("a/one", "2", document)
    assert await used(registry, "a") == blobs + len(encoded(document))
    digest = digest_of(encoded(document))
    await registry.alice.image("a/two", "1")
    await registry.alice.push_manifest("a/two", "1", document)
    assert await used(registry, "a") == blobs + 2 * len(encoded(document))
    for repository in ("a/one", "a/two"):
        assert (await registry.alice.delete(f"/v2/{repository}/manifests/{digest}")).status == 202
    assert await used(registry, "a") == blobs


async def test_a_layer_that_a_manifest_names_twice_is_charged_once(registry: Registry) -> None:
    for data in (b"{}", b"layer"):
        await registry.alice.push_blob("a/one", data)
    document = image_of(b"{}", b"layer", b"layer")
    await registry.alice.push_manifest("a/one", "1", document)
    assert await used(registry, "a") == len(b"{}layer") + len(encoded(document))


async def test_a_deleted_blob_is_given_back_when_no_repository_serves_it(registry: Registry) -> None:
    for repository in ("a/one", "a/two"):
        digest = await registry.alice.push_blob(repository, b"x" * 1000)
    await registry.alice.delete(f"/v2/a/one/blobs/{digest}")
    assert await used(registry, "a") == 1000
    await registry.alice.delete(f"/v2/a/two/blobs/{digest}")
    assert await used(registry, "a") == 0


async def test_what_is_exactly_as_much_as_the_limit_fits(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    await registry.alice.push_blob("a/one", b"x" * 600)
    await registry.alice.push_blob("a/one", b"y" * 400)
    assert await used(registry, "a") == 1000
    # Nothing is added.
    await registry.alice.push_blob("a/two", b"x" * 600)


async def test_a_refusal_says_what_harbor_says(registry: Registry) -> None:
    await limit(registry, "a", storage=10 * KIB)
    await registry.alice.push_blob("a/one", b"x" * 8 * KIB)
    data = b"y" * 3 * KIB
    answer = await registry.alice.start("a/one", f"?digest={digest_of(data)}", data)
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    (error,) = answer.json["errors"]
    assert error["message"] == (
        "adding 3.0 KiB of storage resource, which when updated to current usage of 8.0 KiB"
        " will exceed the configured upper limit of 10.0 KiB."
    )
    assert "higher storage quota" in error["detail"]["remedy"]
    assert (error["detail"]["used"], error["detail"]["limit"]) == (8 * KIB, 10 * KIB)


@pytest.mark.parametrize("way", ["post", "put", "patch"])
async def test_a_blob_that_cannot_fit_is_refused_before_a_byte_is_read(registry: Registry, way: str) -> None:
    await limit(registry, "a", storage=1000)
    length = {"Content-Length": "1001"}
    digest = digest_of(b"x" * 1001)
    if way == "post":
        target = f"/v2/a/one/blobs/uploads/?digest={digest}"
        answer = await registry.alice.request("POST", target, never(), length)
    else:
        location = await registry.alice.begin_upload("a/one")
        target = f"{location}?digest={digest}" if way == "put" else location
        answer = await registry.alice.request(way.upper(), target, never(), length)
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert await used(registry, "a") == 0
    assert await registry.keys() == set()


async def test_a_manifest_that_cannot_fit_is_refused_before_a_byte_is_read(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    answer = await registry.alice.request("PUT", "/v2/a/one/manifests/1", never(), {"Content-Length": "1001"})
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert await used(registry, "a") == 0


async def test_a_manifest_of_unknown_length_is_refused_when_it_is_there(registry: Registry) -> None:
    document = encoded(await registry.alice.image("a/one", "1"))
    await limit(registry, "a", storage=await used(registry, "a") + len(document) - 1)
    refused = await registry.alice.request("PUT", "/v2/a/one/manifests/1", [document])
    assert (refused.status, refused.codes) == (403, ["DENIED"])
    await limit(registry, "a", storage=await used(registry, "a") + len(document))
    assert (await registry.alice.request("PUT", "/v2/a/one/manifests/1", [document])).status == 201


async def test_an_upload_of_unknown_length_is_refused_as_it_grows(registry: Registry) -> None:
    await limit(registry, "a", storage=2 * MIB)
    location = await registry.alice.begin_upload("a/one")
    sent = 0

    async def growing() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"x" * MIB

    answer = await registry.alice.patch(location, growing())
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert sent <= 4
    # The upload stands where it stood, and holds nothing back from others.
    assert (await registry.alice.get(location))["range"] == "0-0"
    assert await used(registry, "a") == 0
    await registry.alice.push_blob("a/two", b"y" * 2 * MIB)


async def test_an_upload_reserves_what_it_has_and_no_more_at_the_end(registry: Registry) -> None:
    await limit(registry, "a", storage=4 * MIB)
    location = await registry.alice.begin_upload("a/one")
    data = b"x" * (MIB + 100)
    assert (await registry.alice.patch(location, [data[:MIB], data[MIB:]])).status == 202
    assert len(data) <= await used(registry, "a") <= 2 * MIB
    assert (await registry.alice.put(location, digest_of(data))).status == 201
    assert await used(registry, "a") == len(data)


async def test_a_cancelled_upload_gives_back_what_it_had_reserved(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    location = await registry.alice.begin_upload("a/one")
    assert (await registry.alice.patch(location, b"x" * 900)).status == 202
    assert await used(registry, "a") == 900
    assert (await registry.alice.delete(location)).status == 204
    assert await used(registry, "a") == 0


async def test_an_expired_upload_gives_back_what_it_had_reserved(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    location = await registry.alice.begin_upload("a/one")
    assert (await registry.alice.patch(location, b"x" * 900)).status == 202
    await registry.change("UPDATE uploads SET updated_at = 1")
    assert await registry.parts.uploads.expire() == 1
    assert await used(registry, "a") == 0


async def test_bytes_that_are_not_what_they_should_be_are_given_back(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    for _ in range(3):
        answer = await registry.alice.start("a/one", f"?digest={digest_of(b'other')}", b"x" * 900)
        assert answer.codes == ["DIGEST_INVALID"]
    assert await used(registry, "a") == 0


async def test_a_blob_that_the_project_has_is_not_charged_again(registry: Registry) -> None:
    await limit(registry, "a", storage=2000)
    data = b"x" * 1000
    await registry.alice.push_blob("a/one", data)
    await registry.alice.push_blob("a/two", data)
    assert await used(registry, "a") == 1000


async def test_a_mount_is_charged_and_refused_like_a_push(registry: Registry) -> None:
    digest = await registry.alice.push_blob("pub/one", b"x" * 1000)
    await limit(registry, "a", storage=999)
    refused = await registry.alice.mount("a/one", digest, "pub/one")
    assert (refused.status, refused.codes) == (403, ["DENIED"])
    await limit(registry, "a", storage=1000)
    assert (await registry.alice.mount("a/one", digest, "pub/one")).status == 201
    assert await used(registry, "a") == 1000


async def test_the_default_limit_holds_where_a_project_has_none_of_its_own(registry: Registry) -> None:
    await configure(registry, storage_per_project=1000)
    data = b"x" * 1001
    answer = await registry.alice.start("a/one", f"?digest={digest_of(data)}", data)
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert (await quota_of(registry, "a"))["hard"]["storage"] == 1000
    await limit(registry, "a", storage=-1)
    await registry.alice.push_blob("a/one", data)


async def test_a_limit_that_comes_in_the_middle_of_an_upload_holds_for_it(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/one")
    data = b"x" * 1000
    assert (await registry.alice.patch(location, data)).status == 202
    await limit(registry, "a", storage=999)
    refused = await registry.alice.put(location, digest_of(data))
    assert (refused.status, refused.codes) == (403, ["DENIED"])
    await limit(registry, "a", storage=1000)
    assert (await registry.alice.put(location, digest_of(data))).status == 201


async def test_a_limit_may_be_beneath_what_is_there(registry: Registry) -> None:
    digest = await registry.alice.push_blob("a/one", b"x" * 1000)
    await limit(registry, "a", storage=500)
    assert (await registry.alice.pull_blob("a/one", digest)).status == 200
    assert (await registry.alice.start("a/one", f"?digest={digest_of(b'y')}", b"y")).status == 403
    await registry.alice.delete(f"/v2/a/one/blobs/{digest}")
    await registry.alice.push_blob("a/one", b"y")


async def test_what_was_held_for_a_process_that_died_comes_back(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    number = await registry.scalar("SELECT id FROM projects WHERE name = 'a'")
    await registry.change(
        "INSERT INTO quota_holds (id, project_id, bytes, expires_at) VALUES ('x', :p, 900, 1)", p=number
    )
    await registry.change("UPDATE quotas SET charged = charged + 900 WHERE project_id = :p", p=number)
    assert await used(registry, "a") == 900
    await fold(registry)
    assert await used(registry, "a") == 0


async def test_folding_changes_no_sum(registry: Registry) -> None:
    for n in range(5):
        await registry.alice.push_image("a/one", str(n))
    before = await used(registry, "a")
    await fold(registry)
    assert await registry.scalar("SELECT count(*) FROM quota_changes") == 0
    assert await used(registry, "a") == before


async def test_a_project_that_is_nearly_full_is_told_of_once(registry: Registry) -> None:
    await limit(registry, "a", storage=1000)
    await registry.alice.push_blob("a/one", b"x" * 840)
    assert await events(registry, "quota.warning") == 0
    digest = await registry.alice.push_blob("a/one", b"y" * 20)
    await registry.alice.push_blob("a/one", b"z" * 20)
    await fold(registry)
    assert await events(registry, "quota.warning") == 1
    await registry.alice.delete(f"/v2/a/one/blobs/{digest}")
    await registry.alice.delete(f"/v2/a/one/blobs/{digest_of(b'z' * 20)}")
    await fold(registry)
    await registry.alice.push_blob("a/one", b"y" * 20)
    assert await events(registry, "quota.warning") == 2


async def test_a_full_project_is_told_of_once_a_minute(registry: Registry) -> None:
    await limit(registry, "a", storage=10)
    for _ in range(3):
        await registry.alice.start("a/one", f"?digest={digest_of(b'x' * 11)}", b"x" * 11)
    assert await events(registry, "quota.exceeded") == 1


async def test_a_limit_that_comes_back_counts_what_came_without_it(registry: Registry) -> None:
    await configure(registry, storage_per_project=10_000)
    await registry.alice.push_blob("a/app", b"first")
    await configure(registry, storage_per_project=-1)
    await registry.alice.push_blob("a/app", bytes(9_000))
    await configure(registry, storage_per_project=10_000)
    refused = await registry.alice.start("a/app")
    refused = await registry.alice.put(refused["location"], digest_of(b"n" * 5_000), b"n" * 5_000)
    assert (refused.status, refused.codes) == (403, ["DENIED"])
