"""Nobody reads across projects: the link between repository and digest is the permission (ranks 3, 4 and 29)."""

from __future__ import annotations

from itertools import product

import pytest
from tests.registry.actors import (
    NOBODY,
    Actor,
    Document,
    basic,
    child,
    descriptor,
    digest_of,
    encoded,
    image_of,
    index_of,
)
from tests.registry.asgi import Answer
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.oci.media_types import OCI_CONFIG, OCI_LAYER_GZIP

pytestmark = pytest.mark.anyio

SECRET = b"what only bob may read"
D_B = digest_of(SECRET)


@pytest.fixture(autouse=True)
async def bobs_image(registry: Registry) -> Document:
    document = await registry.bob.image("b/app", "v1")
    await registry.bob.push_blob("b/app", SECRET)
    document["layers"].append(descriptor(SECRET, OCI_LAYER_GZIP))
    await registry.bob.push_manifest("b/app", "v1", document)
    return document


def same(foreign: Answer, nothing: Answer, *swap: tuple[str, str]) -> None:
    """The answers differ in nothing but what the caller wrote, and in random names."""
    random = {"location", "docker-upload-uuid"}
    text = foreign.body.decode()
    headers = [pair for pair in foreign.headers if pair[0] not in random]
    for theirs, ours in swap:
        text = text.replace(theirs, ours)
        headers = [(name, value.replace(theirs, ours)) for name, value in headers]
    assert (foreign.status, text) == (nothing.status, nothing.body.decode())
    assert headers == [pair for pair in nothing.headers if pair[0] not in random]


async def links(registry: Registry) -> object:
    return await registry.sql("SELECT repository_id, blob_id FROM repository_blobs ORDER BY 1, 2")


# ── X1, X7: blobs and mounts ────────────────────────────────────────────────────────────────────────────


async def test_X1_a_foreign_blob_is_not_there(registry: Registry) -> None:
    await registry.alice.push_blob("a/x", b"mine")
    before = await links(registry)
    for method in ("GET", "HEAD", "DELETE"):
        foreign = await registry.alice.request(method, f"/v2/a/x/blobs/{D_B}")
        nothing = await registry.alice.request(method, f"/v2/a/x/blobs/{NOBODY}")
        assert foreign.status == 404
        same(foreign, nothing, (D_B, NOBODY))
    assert await links(registry) == before


async def test_X1_mount_cannot_read_a_foreign_blob(registry: Registry) -> None:
    await registry.alice.push_blob("a/x", b"mine")
    before = await links(registry)
    sources = ("b/app", "a/x", "nope", "../b/app", "B/app", "", "b%2Fapp")
    for query in ("", *(f"&from={source}" for source in sources)):
        foreign = await registry.alice.start("a/x", f"?mount={D_B}{query}")
        nothing = await registry.alice.start("a/x", f"?mount={NOBODY}{query}")
        assert foreign.status == 202
        same(foreign, nothing)
    assert await links(registry) == before
    assert (await registry.alice.pull_blob("a/x", D_B)).status == 404


async def test_X1_two_sources_are_refused(registry: Registry) -> None:
    answer = await registry.alice.start("a/x", f"?mount={D_B}&from=a/x&from=b/app")
    assert answer.status == 400


async def test_X1_the_owner_may_mount_it(registry: Registry) -> None:
    assert (await registry.bob.mount("b/other", D_B, "b/app")).status == 201
    assert (await registry.bob.mount("b/third", D_B)).status == 201


async def test_X1_a_public_blob_may_be_mounted_by_anybody_who_may_push(registry: Registry) -> None:
    digest = await registry.alice.push_blob("pub/app", b"public")
    assert (await registry.bob.mount("b/other", digest, "pub/app")).status == 201
    assert (await registry.bob.mount("b/third", digest)).status == 201
    assert (await registry.mallory.mount("pub/app", digest, "pub/app")).status == 403


async def test_X7_pushing_content_that_is_known_needs_all_of_it(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/x")
    assert (await registry.alice.put(location, D_B)).status == 400
    assert (await registry.alice.put(location, D_B, SECRET[:-1])).status == 400
    assert (await registry.alice.put(location, D_B, SECRET)).status == 201


# ── X2: tokens and mounts ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def both(registry: Registry) -> Actor:
    """Somebody who may read both projects."""
    await registry.make_project_admin("alice")
    return registry.alice


@pytest.mark.parametrize(
    "scopes",
    [
        ["repository:a/x:push"],
        ["repository:a/x:pull,push"],
        ["repository:a/x:pull,push", "repository:a/y:pull"],
        ["repository:a/y:pull", "repository:a/x:pull,push"],
        ["repository:a/x:pull,push", "repository:b/other:pull"],
        ["repository:a/x:pull,push", "repository:b/app:push"],
    ],
)
async def test_X2_a_token_mounts_only_from_what_it_covers(
    registry: Registry, both: Actor, scopes: list[str]
) -> None:
    narrow = await both.with_token(*scopes)
    assert (await narrow.mount("a/x", D_B, "b/app")).status == 202
    assert (await narrow.mount("a/x", D_B)).status == 202
    assert await registry.scalar("SELECT count(*) FROM repository_blobs") == 3


@pytest.mark.parametrize("turned", [False, True])
async def test_X2_a_token_for_both_mounts(registry: Registry, both: Actor, turned: bool) -> None:
    scopes = ["repository:a/x:pull,push", "repository:b/app:pull"]
    wide = await both.with_token(*(scopes[::-1] if turned else scopes))
    assert (await wide.mount("a/x", D_B, "b/app")).status == 201


async def test_X2_a_token_for_both_finds_the_blob_by_itself(registry: Registry, both: Actor) -> None:
    wide = await both.with_token("repository:a/x:pull,push", "repository:b/app:pull")
    assert (await wide.mount("a/x", D_B)).status == 201


async def test_X2_a_push_token_mounts_within_its_project_and_from_public_ones(registry: Registry) -> None:
    near = await registry.alice.push_blob("a/y", b"near")
    public = await registry.alice.push_blob("pub/app", b"public")
    narrow = await registry.alice.with_token("repository:a/x:pull,push")
    assert (await narrow.mount("a/x", near, "a/y")).status == 201
    assert (await narrow.mount("a/x", near)).status == 201
    assert (await narrow.mount("a/x", public, "pub/app")).status == 201
    assert (await narrow.mount("a/x", public)).status == 201


# ── X3: uploads ─────────────────────────────────────────────────────────────────────────────────────────


async def test_X3_an_upload_is_its_users_and_its_repositorys(registry: Registry) -> None:
    location = await registry.alice.begin_upload("a/x")
    await registry.alice.patch(location, b"alices bytes")
    before = await registry.sql("SELECT * FROM uploads")
    upload = location.rpartition("/")[2]
    strangers = [
        (registry.bob, "a/x", 403),
        (registry.bob, "b/app", 404),
        (registry.alice, "a/y", 404),
        (registry.alice, "pub/x", 404),
        (registry.root, "a/x", 404),
        (registry.mallory, "a/x", 403),
        (registry.mallory, "library/x", 403),
        (registry.anon, "a/x", 401),
    ]
    for method, (actor, repository, status) in product(("GET", "HEAD", "PATCH", "PUT", "DELETE"), strangers):
        query = f"?digest={digest_of(b'alices bytes')}" if method == "PUT" else ""
        body = b"more" if method == "PATCH" else b""
        path = f"/v2/{repository}/blobs/uploads/{upload}{query}"
        answer = await actor.request(method, path, body)
        assert answer.status == status, (actor.name, repository)
        random = path.replace(upload, "0" * 32)
        same(answer, await actor.request(method, random, body), (upload, "0" * 32))
    assert await registry.sql("SELECT * FROM uploads") == before
    assert (await registry.alice.put(location, digest_of(b"alices bytes"))).status == 201


async def test_X3_what_is_no_upload_is_not_found(registry: Registry) -> None:
    numbers = ("0" * 31, "0" * 33, "0" * 5000, "urn:uuid:" + "0" * 32)
    for upload in ("..", "x", "_" * 32, "{" + "0" * 32 + "}", *numbers):
        assert (await registry.alice.get(f"/v2/a/x/blobs/uploads/{upload}")).status == 404


# ── X4, X5: gone is gone ────────────────────────────────────────────────────────────────────────────────


async def test_X4_a_read_elsewhere_does_not_bring_a_deleted_blob_back(registry: Registry) -> None:
    for repository in ("a/x", "pub/y"):
        await registry.alice.push_blob(repository, b"twice")
    digest = digest_of(b"twice")
    assert (await registry.alice.delete(f"/v2/a/x/blobs/{digest}")).status == 202
    assert (await registry.alice.pull_blob("pub/y", digest)).status == 200
    for method in ("GET", "HEAD"):
        assert (await registry.alice.request(method, f"/v2/a/x/blobs/{digest}")).status == 404


async def test_X5_a_deleted_manifest_is_gone_by_every_name(registry: Registry) -> None:
    subject = await registry.alice.image("a/x", "subject")
    digest = await registry.alice.push_manifest("a/x", "1", subject)
    await registry.alice.push_manifest("a/x", "2", subject)
    artifact = await registry.alice.image("a/x", "artifact", subject=child(subject))
    referrer = await registry.alice.push_manifest("a/x", "3", artifact)
    await registry.alice.delete(f"/v2/a/x/manifests/{referrer}")
    assert (await registry.alice.get(f"/v2/a/x/referrers/{digest}")).json["manifests"] == []
    await registry.alice.delete(f"/v2/a/x/manifests/{digest}")
    for reference in ("1", "2", digest):
        assert (await registry.alice.pull("a/x", reference)).status == 404
    assert await registry.alice.tags("a/x") == []


# ── X6: a manifest as a key ─────────────────────────────────────────────────────────────────────────────


async def hostile_manifests(registry: Registry, bobs: Document) -> list[Document]:
    await registry.alice.push_blob("a/x", b"{}")
    foreign = descriptor(SECRET, OCI_LAYER_GZIP)
    return [
        image_of(b"{}", SECRET),
        {**image_of(b"{}"), "config": descriptor(SECRET, OCI_CONFIG)},
        index_of(child(bobs)),
        index_of(foreign),
        {**image_of(b"{}"), "layers": [{**foreign, "urls": ["https://example.com/x"]}]},
        {**image_of(b"{}"), "layers": [{**foreign, "data": "e30="}]},
    ]


async def test_X6_a_manifest_does_not_open_foreign_content(registry: Registry, bobs_image: Document) -> None:
    for document in await hostile_manifests(registry, bobs_image):
        answer = await registry.alice.put_manifest("a/x", "1", document)
        assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
    assert (await registry.alice.pull_blob("a/x", D_B)).status == 404
    assert (await registry.alice.pull("a/x", digest_of(encoded(bobs_image)))).status == 404


async def test_X6_nor_does_it_where_nothing_is_validated(registry_with: Opener, bobs_image: Document) -> None:
    async with registry_with(registry={"validate_references": "none"}) as sparse:
        await sparse.bob.push_blob("b/app", SECRET)
        for document in await hostile_manifests(sparse, bobs_image):
            assert (await sparse.alice.put_manifest("a/x", "1", document)).status == 201
        assert (await sparse.alice.pull_blob("a/x", D_B)).status == 404
        assert (await sparse.alice.pull("a/x", digest_of(encoded(bobs_image)))).status == 404
        # The manifest holds nothing that its repository does not serve.
        rows = await sparse.sql("SELECT blob_id FROM manifest_references WHERE digest = :d", d=D_B)
        assert {row[0] for row in rows} == {None}


async def test_X6_a_foreign_subject_opens_nothing(registry: Registry, bobs_image: Document) -> None:
    foreign = digest_of(encoded(bobs_image))
    theirs = await registry.bob.image("b/app", "signature", subject=child(bobs_image))
    await registry.bob.push_manifest("b/app", "sig", theirs)
    mine = await registry.alice.image("a/x", "mine", subject=child(bobs_image))
    digest = await registry.alice.push_manifest("a/x", "1", mine)
    listed = (await registry.alice.get(f"/v2/a/x/referrers/{foreign}")).json["manifests"]
    assert [entry["digest"] for entry in listed] == [digest]
    assert (await registry.alice.pull("a/x", foreign)).status == 404
    assert (await registry.alice.get(f"/v2/b/app/referrers/{foreign}")).status == 404


async def test_X6_a_foreign_non_distributable_layer_makes_no_link(registry: Registry) -> None:
    await registry.alice.push_blob("a/x", b"{}")
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    document = {**image_of(b"{}"), "layers": [descriptor(SECRET, kind)]}
    await registry.alice.push_manifest("a/x", "1", document)
    assert (await registry.alice.pull_blob("a/x", D_B)).status == 404


# ── rank 29: there, or not there ────────────────────────────────────────────────────────────────────────


READS = [
    ("GET", "/v2/{}/manifests/v1"),
    ("HEAD", "/v2/{}/manifests/v1"),
    ("GET", "/v2/{}/manifests/" + NOBODY),
    ("GET", "/v2/{}/blobs/" + D_B),
    ("GET", "/v2/{}/tags/list"),
    ("GET", "/v2/{}/referrers/" + NOBODY),
    ("GET", "/v2/{}/_oci/ext/discover"),
    ("DELETE", "/v2/{}/manifests/v1"),
    ("DELETE", "/v2/{}/blobs/" + D_B),
    ("POST", "/v2/{}/blobs/uploads/"),
    ("POST", "/v2/{}/blobs/uploads/?mount=" + D_B),
    ("PUT", "/v2/{}/manifests/v2"),
    ("GET", "/v2/{}/blobs/uploads/" + "0" * 32),
    ("PATCH", "/v2/{}/blobs/uploads/" + "0" * 32),
    ("PUT", "/v2/{}/blobs/uploads/" + "0" * 32 + "?digest=" + D_B),
    ("DELETE", "/v2/{}/blobs/uploads/" + "0" * 32),
]


async def test_A14_a_closed_project_looks_like_none(registry: Registry) -> None:
    token = await registry.mallory.with_token("repository:b/app:pull,push,delete", "repository:z/app:*")
    for actor in (registry.anon, registry.mallory, registry.alice, token):
        for method, path in READS:
            foreign = await actor.request(method, path.format("b/app"))
            nothing = await actor.request(method, path.format("z/app"))
            assert foreign.status in {401, 403, 404}
            same(foreign, nothing, ("b/app", "z/app"), ("project b", "project z"))


async def test_A14_the_token_service_tells_nobody_what_exists(registry: Registry) -> None:
    for actor in (registry.anon, registry.mallory, registry.alice):
        answers = [
            (await actor.ask_for_token(f"repository:{project}/app:pull,push,delete")).json
            for project in ("b", "z")
        ]
        assert {answer["scope"] for answer in answers} == {""}
        assert {answer["expires_in"] for answer in answers} == {1800}


async def test_A14_an_account_that_is_not_there_is_refused_like_a_wrong_password(registry: Registry) -> None:
    answers = []
    for name in ("bob", "nobody-of-that-name"):
        actor = Actor(registry.app, name, basic(name, "wrong password"))
        answers.append(await actor.get("/v2/"))
    same(answers[0], answers[1])
    assert answers[0].status == 401


async def test_X10_the_catalog_lists_what_its_reader_may_pull(registry: Registry) -> None:
    await registry.alice.push_blob("a/x", b"x")
    await registry.alice.push_blob("pub/y", b"x")
    seen = {
        actor.name: (await actor.get("/v2/_catalog")).json["repositories"]
        for actor in (registry.root, registry.alice, registry.bob, registry.mallory)
    }
    assert seen == {
        "root": ["a/x", "b/app", "pub/y"],
        "alice": ["a/x", "pub/y"],
        "bob": ["b/app", "pub/y"],
        "mallory": ["pub/y"],
    }
    assert (await registry.anon.get("/v2/_catalog")).status == 401
    # A page is cut after what the reader may not see was left out.
    page = await registry.mallory.get("/v2/_catalog?n=1")
    assert (page.json["repositories"], page.get("link")) == (["pub/y"], None)
