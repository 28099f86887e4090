"""What no conformance suite asks of manifests: negotiation, validation, tags by parameter, conditions."""

from __future__ import annotations

import pytest
from tests.registry.actors import (
    NOBODY,
    child,
    descriptor,
    digest_of,
    encoded,
    image_of,
    index_of,
    v2s2,
)
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.oci.media_types import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

pytestmark = pytest.mark.anyio


async def test_a_head_tells_what_a_get_would_and_sends_no_body(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    for reference in ("1", digest):
        got = await registry.alice.get(f"/v2/a/app/manifests/{reference}")
        told = await registry.alice.head(f"/v2/a/app/manifests/{reference}")
        assert (told.status, told.headers, told.body) == (200, got.headers, b"")
        assert (got["docker-content-digest"], got["etag"]) == (digest, f'"{digest}"')
    missing = await registry.alice.head("/v2/a/app/manifests/none")
    assert (missing.status, missing.body) == (404, b"")


async def test_a_manifest_already_held_is_not_sent_again(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    answer = await registry.alice.get("/v2/a/app/manifests/1", If_None_Match=f'"{digest}"')
    assert (answer.status, answer["docker-content-digest"]) == (304, digest)
    await registry.alice.push_image("a/app", "1", "another")
    answer = await registry.alice.get("/v2/a/app/manifests/1", If_None_Match=f'"{digest}"')
    assert answer.status == 200


async def test_a_tag_moves_when_pushed_again_and_the_manifest_stays(registry: Registry) -> None:
    first = await registry.alice.push_image("a/app", "1", "first")
    second = await registry.alice.push_image("a/app", "1", "second")
    assert (await registry.alice.pull("a/app", "1"))["docker-content-digest"] == second
    assert (await registry.alice.pull("a/app", first)).status == 200


async def test_deleting_a_tag_leaves_the_manifest(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    assert (await registry.alice.delete("/v2/a/app/manifests/1")).status == 202
    assert (await registry.alice.delete("/v2/a/app/manifests/1")).status == 404
    assert (await registry.alice.pull("a/app", digest)).status == 200


async def test_deleting_a_manifest_takes_all_its_tags(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    digest = digest_of(encoded(document))
    await registry.alice.put_manifest("a/app", f"{digest}?tag=1&tag=2", document)
    assert await registry.alice.tags("a/app") == ["1", "2"]
    assert (await registry.alice.delete(f"/v2/a/app/manifests/{digest}")).status == 202
    assert await registry.alice.tags("a/app") == []


async def test_more_than_ten_tags_may_be_set_at_once(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    names = [f"v{n}" for n in range(12)]
    query = "&".join(f"tag={name}" for name in names)
    answer = await registry.alice.put_manifest("a/app", f"{digest_of(encoded(document))}?{query}", document)
    assert (answer.status, answer.all("oci-tag")) == (201, names)
    assert await registry.alice.tags("a/app") == sorted(names)


async def test_a_tag_parameter_goes_with_a_digest_only(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    assert (await registry.alice.put_manifest("a/app", "1?tag=2", document)).status == 400
    assert (await registry.alice.get("/v2/a/app/tags/list")).json["tags"] == []


async def test_a_refused_push_moves_no_tag(registry: Registry) -> None:
    first = await registry.alice.push_image("a/app", "1")
    broken = image_of(b"not there")
    assert (
        await registry.alice.put_manifest("a/app", f"{digest_of(encoded(broken))}?tag=1", broken)
    ).status == 400
    assert (await registry.alice.pull("a/app", "1"))["docker-content-digest"] == first


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_is_known_by_the_digest_it_was_pushed_under(
    registry: Registry, algorithm: str
) -> None:
    document = await registry.alice.image("a/app", "1")
    digest = digest_of(encoded(document), algorithm)
    answer = await registry.alice.put_manifest("a/app", f"{digest}?tag=1", document)
    assert answer["docker-content-digest"] == digest
    assert (await registry.alice.pull("a/app", "1"))["docker-content-digest"] == digest


async def test_everything_missing_is_named_at_once(registry: Registry) -> None:
    document = image_of(b"config", b"one", b"two")
    answer = await registry.alice.put_manifest("a/app", "1", document)
    assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"] * 3
    missing = {error["detail"]["digest"] for error in answer.json["errors"]}
    assert missing == {digest_of(data) for data in (b"config", b"one", b"two")}


async def test_every_refusal_has_a_remedy(registry: Registry) -> None:
    for answer in (
        await registry.alice.put_manifest("a/app", "1", b"{"),
        await registry.alice.put_manifest("a/app", "1", image_of(b"x")),
        await registry.alice.pull("a/app", "none"),
        await registry.alice.pull_blob("a/app", NOBODY),
        await registry.alice.put(await registry.alice.begin_upload("a/app"), NOBODY, b"x"),
        await registry.mallory.start("a/app"),
        await registry.anon.get("/v2/"),
        await registry.alice.get("/v2/a/app/tags/list?n=x"),
        await registry.alice.get("/v2/nothing/here"),
    ):
        assert answer.status >= 400
        assert all(error["detail"]["remedy"] for error in answer.json["errors"]), answer


# ── negotiation ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "accept", [(), ("",), ("*/*",), ("application/*",), (OCI_INDEX,), ("text/html, */*;q=0.1",)]
)
async def test_an_index_is_served_to_those_who_take_it(registry: Registry, accept: tuple[str, ...]) -> None:
    image = await registry.alice.image("a/app", "amd64")
    await registry.alice.push_manifest("a/app", digest_of(encoded(image)), image)
    index = index_of(child(image, ("linux", "amd64")))
    await registry.alice.push_manifest("a/app", "1", index)
    answer = await registry.alice.pull("a/app", "1", *accept)
    assert (answer["content-type"], answer.body) == (OCI_INDEX, encoded(index))


async def test_an_old_docker_gets_the_linux_image_of_a_list(registry: Registry) -> None:
    images = [v2s2(await registry.alice.image("a/app", name)) for name in ("arm64", "amd64")]
    for image in images:
        await registry.alice.push_manifest("a/app", digest_of(encoded(image)), image)
    entries = [child(image, ("linux", name)) for image, name in zip(images, ("arm64", "amd64"), strict=True)]
    index = {**index_of(*entries), "mediaType": DOCKER_MANIFEST_LIST}
    await registry.alice.push_manifest("a/app", "1", index)
    answer = await registry.alice.pull("a/app", "1", DOCKER_MANIFEST, "application/json;q=0")
    assert (answer["content-type"], answer.body) == (DOCKER_MANIFEST, encoded(images[1]))
    assert answer["docker-content-digest"] == digest_of(encoded(images[1]))
    whole = await registry.alice.pull("a/app", digest_of(encoded(index)), DOCKER_MANIFEST)
    assert whole["content-type"] == DOCKER_MANIFEST_LIST


async def test_what_nobody_accepts_is_not_served(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    answer = await registry.alice.pull("a/app", "1", DOCKER_MANIFEST)
    assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])


async def test_an_index_without_a_fitting_image_is_not_converted(registry: Registry) -> None:
    await registry.alice.push_manifest("a/app", "1", index_of())
    assert (await registry.alice.pull("a/app", "1", OCI_MANIFEST)).status == 404


# ── what a manifest may name ────────────────────────────────────────────────────────────────────────────


async def test_an_index_may_have_layers_for_children_as_build_caches_do(registry: Registry) -> None:
    for data in (b"{}", b"layer"):
        await registry.alice.push_blob("a/app", data)
    index = index_of(descriptor(b"layer", OCI_LAYER_GZIP), descriptor(b"{}", "application/x"))
    digest = await registry.alice.push_manifest("a/app", "cache", index)
    held = "SELECT count(*) FROM blobs WHERE unreferenced_since IS NULL"
    assert await registry.scalar(held) == 2
    await registry.alice.delete(f"/v2/a/app/manifests/{digest}")
    assert await registry.scalar(held) == 0


async def test_layers_that_may_not_be_distributed_need_not_be_there(registry: Registry) -> None:
    await registry.alice.push_blob("a/app", b"{}")
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    document = {**image_of(b"{}"), "layers": [{**descriptor(b"x", kind), "urls": ["https://example.com/x"]}]}
    assert (await registry.alice.put_manifest("a/app", "1", document)).status == 201


@pytest.mark.parametrize(
    ("validation", "image", "index"), [("all", 400, 400), ("blobs", 400, 201), ("none", 201, 201)]
)
async def test_how_much_must_be_there_is_a_setting(
    registry_with: Opener, validation: str, image: int, index: int
) -> None:
    async with registry_with(registry={"validate_references": validation}) as registry:
        missing = image_of(b"nowhere")
        assert (await registry.alice.put_manifest("a/app", "1", missing)).status == image
        assert (await registry.alice.put_manifest("a/app", "2", index_of(child(missing)))).status == index


async def test_a_sparse_manifest_holds_its_blobs_once_pushed_again_with_them(registry_with: Opener) -> None:
    async with registry_with(registry={"validate_references": "none"}) as registry:
        document = image_of(b"{}", b"late")
        await registry.alice.push_manifest("a/app", "1", document)
        for data in (b"{}", b"late"):
            await registry.alice.push_blob("a/app", data)
        await registry.alice.push_manifest("a/app", "1", document)
        waiting = "SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL"
        assert await registry.scalar(waiting) == 0
        layer = f"/v2/a/app/blobs/{digest_of(b'late')}"
        assert (await registry.alice.delete(layer)).status == 405


async def test_a_manifest_of_a_type_nobody_knows_is_kept(registry: Registry) -> None:
    document = {"schemaVersion": 2, "mediaType": "application/vnd.example.thing.v1+json", "things": [1, 2]}
    assert (await registry.alice.put_manifest("a/app", "1", document)).status == 201
    answer = await registry.alice.pull("a/app", "1")
    assert (answer["content-type"], answer.body) == (document["mediaType"], encoded(document))


async def test_deleting_can_be_switched_off(registry_with: Opener) -> None:
    async with registry_with(registry={"delete_enabled": False}) as registry:
        digest = await registry.alice.push_image("a/app", "1")
        blob = await registry.alice.push_blob("a/app", b"alone")
        for path in (f"manifests/{digest}", "manifests/1", f"blobs/{blob}"):
            answer = await registry.alice.delete(f"/v2/a/app/{path}")
            assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
        assert (await registry.alice.delete(await registry.alice.begin_upload("a/app"))).status == 204


# ── subjects ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_subject_is_acknowledged_and_may_be_missing(registry: Registry) -> None:
    subject = image_of(b"not pushed")
    document = await registry.alice.image("a/app", "sig", subject=child(subject))
    answer = await registry.alice.put_manifest("a/app", "sig", document)
    assert (answer.status, answer["oci-subject"]) == (201, digest_of(encoded(subject)))


async def test_a_fallback_tag_is_accepted_with_a_warning(registry: Registry) -> None:
    answer = await registry.alice.put_manifest("a/app", "sha256-" + "0" * 64, index_of())
    assert answer.status == 201
    assert answer["warning"].startswith('299 - "')
    plain = await registry.alice.put_manifest("a/app", "latest", index_of())
    assert plain.get("warning") is None
