"""Many people at one repository: whatever the order, what is left is what some order would have left."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, text
from tests.registry.actors import child, digest_of, encoded, image_of, index_of
from tests.registry.registries import Registry

from roadstead.registry.manifests.queries import linked_blobs

pytestmark = pytest.mark.anyio


async def test_a_tag_pushed_by_fifty_at_once_ends_at_one_of_them(registry: Registry) -> None:
    documents = [await registry.alice.image("a/app", "same", annotations={"n": str(n)}) for n in range(50)]
    answers = await asyncio.gather(
        *(registry.alice.put_manifest("a/app", "latest", document) for document in documents)
    )
    assert {answer.status for answer in answers} == {201}
    pulled = await registry.alice.pull("a/app", "latest")
    assert pulled.body in {encoded(document) for document in documents}
    assert await registry.scalar("SELECT count(*) FROM tags") == 1
    assert await registry.scalar("SELECT count(*) FROM manifests") == 50


async def test_the_first_push_to_a_project_may_be_made_by_many_at_once(registry: Registry) -> None:
    answers = await asyncio.gather(*(registry.root.start(f"new/app{n % 3}") for n in range(12)))
    assert {answer.status for answer in answers} == {202}
    assert await registry.scalar("SELECT count(*) FROM projects WHERE name = 'new'") == 1
    assert await registry.scalar("SELECT count(*) FROM repositories") == 3


async def test_manifests_that_share_blobs_and_are_deleted_at_once_let_them_all_go(registry: Registry) -> None:
    shared = [f"layer {n}".encode() for n in range(6)]
    for data in (b"{}", *shared):
        await registry.alice.push_blob("a/app", data)
    digests = [
        await registry.alice.push_manifest("a/app", str(n), image_of(b"{}", *order))
        for n, order in enumerate([shared, shared[::-1], shared[3:] + shared[:3], shared[:3], shared[2:]])
    ]
    answers = await asyncio.gather(
        *(registry.alice.delete(f"/v2/a/app/manifests/{digest}") for digest in digests)
    )
    assert {answer.status for answer in answers} == {202}
    assert await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NULL") == 0


async def test_a_manifest_deleted_while_it_is_pushed_is_there_or_is_not(registry: Registry) -> None:
    document = await registry.alice.image("a/app", "1")
    digest = digest_of(encoded(document))
    for _ in range(5):
        pushes = [registry.alice.put_manifest("a/app", f"t{n}", document) for n in range(4)]
        deletes = [registry.alice.delete(f"/v2/a/app/manifests/{digest}") for _ in range(4)]
        answers = await asyncio.gather(*(pair for both in zip(pushes, deletes, strict=True) for pair in both))
        assert {answer.status for answer in answers} <= {201, 202, 404, 409}
        held = await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NULL")
        present = await registry.scalar("SELECT count(*) FROM manifests")
        assert held == (2 if present else 0)


async def test_a_blob_deleted_while_a_manifest_with_it_is_pushed_ends_one_way(registry: Registry) -> None:
    for n in range(8):
        document = await registry.alice.image("a/app", str(n))
        layer = document["layers"][0]["digest"]
        pushed, deleted = await asyncio.gather(
            registry.alice.put_manifest("a/app", str(n), document),
            registry.alice.delete(f"/v2/a/app/blobs/{layer}"),
        )
        assert (pushed.status, deleted.status) in {(201, 405), (400, 202)}
        served = await registry.alice.pull_blob("a/app", layer)
        assert served.status == (200 if pushed.status == 201 else 404)


async def test_a_blob_is_not_taken_from_under_a_manifest_that_is_being_pushed(registry: Registry) -> None:
    """The push has looked at the blob, and has yet to write its own rows."""
    if registry.parts.database.dialect == "sqlite":
        # One writer at a time: there is no such moment.
        return
    document = await registry.alice.image("a/app", "1")
    layer = document["layers"][0]["digest"]
    looked, go = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def push(conn: Connection) -> None:
        repository = conn.execute(text("SELECT id FROM repositories")).scalar_one()
        linked_blobs(conn, repository, [layer])
        loop.call_soon_threadsafe(looked.set)
        conn.execute(text("SELECT pg_sleep(0.3)"))

    pushing = asyncio.create_task(registry.parts.database.write(push))
    await looked.wait()
    deleting = asyncio.create_task(registry.alice.delete(f"/v2/a/app/blobs/{layer}"))
    done, _ = await asyncio.wait([pushing, deleting], return_when="FIRST_COMPLETED")
    assert done == {pushing}
    await deleting
    go.set()


async def test_the_same_blob_pushed_by_many_people_is_kept_once(registry: Registry) -> None:
    data = b"the same for everybody" * 100
    await asyncio.gather(
        *(registry.alice.push_blob(f"a/app{n}", data) for n in range(5)),
        *(registry.bob.push_blob(f"b/app{n}", data) for n in range(5)),
    )
    assert await registry.scalar("SELECT count(*) FROM blobs") == 1
    assert await registry.keys() == await registry.named_keys()
    assert await registry.scalar("SELECT count(*) FROM repository_blobs") == 10


async def test_an_index_and_its_children_may_be_pushed_by_several(registry: Registry) -> None:
    images = [await registry.alice.image("a/app", str(n)) for n in range(4)]
    index = index_of(*(child(image) for image in images))
    first = await registry.alice.put_manifest("a/app", "all", index)
    assert first.codes == ["MANIFEST_BLOB_UNKNOWN"] * 4
    await asyncio.gather(
        *(registry.alice.push_manifest("a/app", digest_of(encoded(image)), image) for image in images)
    )
    assert (await registry.alice.put_manifest("a/app", "all", index)).status == 201
