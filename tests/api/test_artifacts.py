"""Artifacts through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from tests.api.images import API, artifact, ask, become, done, push_config, repository, send
from tests.registry.actors import Actor, child, digest_of, encoded, image_of, index_of
from tests.registry.registries import Registry

from roadstead.db.statements import PreparedStatement
from roadstead.oci.media_types import OCI_CONFIG

pytestmark = pytest.mark.anyio
APP = "a/team/app"
LIST = f"{repository(APP)}/artifacts"
CONFIG = {
    "architecture": "arm64",
    "os": "linux",
    "author": "ann",
    "created": "2026-01-02T03:04:05Z",
    "config": {"Env": ["A=b"]},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [
        {"created": "2026-01-02T03:04:05Z", "created_by": "RUN x"},
        {"comment": "c", "empty_layer": True},
    ],
}


async def push_index(actor: Actor, tag: str) -> tuple[str, list[str]]:
    """An index of two images; their digests."""
    images = [await actor.image(APP, f"{tag} for {arch}") for arch in ("amd64", "arm64")]
    digests = [await actor.push_manifest(APP, digest_of(encoded(each)), each) for each in images]
    parts = [child(image, ("linux", arch)) for image, arch in zip(images, ("amd64", "arm64"), strict=True)]
    return await actor.push_manifest(APP, tag, index_of(*parts)), digests


async def sign(actor: Actor, subject: dict[str, Any], kind: str, name: str = APP) -> str:
    document = index_of(subject=child(subject), artifactType=kind)
    return await actor.push_manifest(name, digest_of(encoded(document)), document)


async def digests(actor: Actor, query: str = "") -> set[str]:
    return {each["digest"] for each in await ask(actor, f"{LIST}?{query}")}


async def test_an_image_is_shown_with_what_its_config_says(registry: Registry) -> None:
    config = json.dumps(CONFIG).encode()
    digest = await push_config(
        registry.alice, APP, "v1", config, media_type=OCI_CONFIG, annotations={"org.x": "y"}
    )
    shown = await ask(registry.alice, artifact(APP, "v1"))
    assert shown == await ask(registry.alice, artifact(APP, digest))
    assert (shown["type"], shown["media_type"], shown["digest"]) == ("IMAGE", OCI_CONFIG, digest)
    assert shown["extra_attrs"] == {
        name: CONFIG[name] for name in ("architecture", "os", "author", "created", "config")
    }
    assert shown["annotations"] == {"org.x": "y"}
    manifest = (await registry.alice.pull(APP, digest)).body
    assert shown["size"] == len(manifest) + len(config) + len(b"layer")
    assert shown["pull_time"] == "0001-01-01T00:00:00.000Z"
    assert [tag["name"] for tag in shown["tags"]] == ["v1"]
    assert (shown["labels"], shown["accessories"], shown["references"]) == (None, None, None)
    link = shown["addition_links"]["build_history"]
    assert link == {"href": f"{artifact(APP, digest)}/additions/build_history", "absolute": False}
    history = await ask(registry.alice, link["href"])
    assert [entry["created_by"] for entry in history] == ["RUN x", ""]
    assert history[1]["empty_layer"] is True


async def test_an_index_is_shown_with_its_children(registry: Registry) -> None:
    digest, images = await push_index(registry.alice, "v1")
    (shown,) = await ask(registry.alice, LIST)
    assert (shown["digest"], shown["type"]) == (digest, "IMAGE")
    assert [each["child_digest"] for each in shown["references"]] == images
    assert [each["platform"]["architecture"] for each in shown["references"]] == ["amd64", "arm64"]
    parts = {each["digest"]: each for each in await ask(registry.alice, f"{LIST}?q=base%3D*")}
    assert parts.keys() == {digest, *images}
    assert [each["child_id"] for each in shown["references"]] == [parts[image]["id"] for image in images]
    own = len((await registry.alice.pull(APP, digest)).body)
    assert shown["size"] == own + sum(parts[image]["size"] for image in images)


async def test_lists_hide_accessories_and_untagged_children(registry: Registry) -> None:
    image = await registry.alice.image(APP, "signed")
    subject = await registry.alice.push_manifest(APP, "v1", image)
    signature = await sign(registry.alice, image, "application/vnd.cncf.notary.signature")
    assert await digests(registry.alice) == {subject}
    assert await digests(registry.alice, "q=base%3D*") == {subject, signature}
    (shown,) = await ask(registry.alice, f"{LIST}?with_accessory=true")
    (accessory,) = shown["accessories"]
    assert (accessory["digest"], accessory["type"]) == (signature, "signature.notation")
    assert accessory["subject_artifact_digest"] == subject
    assert await ask(registry.alice, f"{artifact(APP, 'v1')}/accessories") == [accessory]


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature.cosign"),
        ("application/vnd.goharbor.harbor.sbom.v1", "sbom.harbor"),
        ("application/vnd.example", "subject.accessory"),
    ],
)
async def test_accessories_have_harbors_types(registry: Registry, kind: str, shown: str) -> None:
    image = await registry.alice.image(APP, "signed")
    await registry.alice.push_manifest(APP, "v1", image)
    await sign(registry.alice, image, kind)
    (accessory,) = await ask(registry.alice, f"{artifact(APP, 'v1')}/accessories")
    assert accessory["type"] == shown


async def test_lists_are_filtered(registry: Registry) -> None:
    alice = registry.alice
    one, two = await alice.push_image(APP, "v1"), await alice.push_image(APP, "v2")
    helm = await push_config(
        alice, APP, "chart", b"{}", media_type="application/vnd.cncf.helm.config.v1+json"
    )
    document = await alice.image(APP, "untagged")
    untagged = await alice.push_manifest(APP, digest_of(encoded(document)), document)
    rocket = await push_config(
        alice, APP, "r", b"[]", media_type="application/vnd.acme.rocket.config.v1+json"
    )
    for query, found in {
        "q=tags%3Dv1": {one},
        "q=tags%3D%7Bv1+v2%7D": {one, two},
        "q=tags%3D~v": {one, two},
        "q=tags%3D*": {one, two, helm, rocket},
        "q=tags%3Dnil": {untagged},
        f"q=digest%3D{two}": {two},
        "q=type%3DCHART": {helm},
        "q=type%3DIMAGE": {one, two, untagged},
        "q=type%3DROCKET": {rocket},
        "q=type%3DUNKNOWN": set(),
        "q=media_type%3Dapplication/vnd.cncf.helm.config.v1%252Bjson": {helm},
        "q=push_time%3D%5B2020-01-01T00:00:00~2020-01-02T00:00:00%5D": set(),
    }.items():
        assert await digests(alice, query) == found, query
    for query in ("q=base%3Dx", "q=labels%3Dx", "q=payload%3Dx", "q=tags%3D%5Ba~b%5D"):
        assert (await alice.get(f"{LIST}?{query}")).status == 400, query
    ordered = [each["digest"] for each in await ask(alice, f"{LIST}?sort=push_time,id&page_size=2")]
    assert ordered == [one, two]


async def make_label(registry: Registry, name: str, project: str | None) -> int:
    await registry.change(
        "INSERT INTO labels (project_id, name, description, color, created_at, updated_at)"
        " VALUES ((SELECT id FROM projects WHERE name = :project), :name, '', '', 1, 1)",
        name=name,
        project=project,
    )
    found = await registry.scalar("SELECT id FROM labels WHERE name = :name", name=name)
    assert isinstance(found, int)
    return found


async def test_labels_are_put_on_and_taken_off(registry: Registry) -> None:
    digest = await registry.alice.push_image(APP, "v1")
    await registry.alice.push_image(APP, "v2")
    own, common, foreign = [
        await make_label(registry, name, where) for name, where in (("own", "a"), ("all", None), ("b", "b"))
    ]
    labels = f"{artifact(APP, 'v1')}/labels"
    for label in (own, common):
        done(await send(registry.alice, "POST", labels, {"id": label, "name": "ignored"}))
    assert (await send(registry.alice, "POST", labels, {"id": own})).status == 409
    for missing in (foreign, 999):
        assert (await send(registry.alice, "POST", labels, {"id": missing})).status == 404
        assert (await registry.alice.delete(f"{labels}/{missing}")).status == 404
    shown = await ask(registry.alice, f"{artifact(APP, 'v1')}?with_label=true")
    assert [(each["name"], each["scope"]) for each in shown["labels"]] == [("own", "p"), ("all", "g")]
    assert await digests(registry.alice, f"q=labels%3D({own}+{common})") == {digest}
    done(await registry.alice.delete(f"{labels}/{own}"))
    assert await digests(registry.alice, f"q=labels%3D({own}+{common})") == set()


async def test_deleting_by_tag_deletes_the_artifact_and_what_refers_to_it(registry: Registry) -> None:
    image = await registry.alice.image(APP, "signed")
    subject = await registry.alice.push_manifest(APP, "v1", image)
    await registry.alice.push_manifest(APP, "also", image)
    signature = await sign(registry.alice, image, "application/vnd.example")
    done(await registry.alice.delete(artifact(APP, "v1")))
    for reference in (subject, signature, "also"):
        assert (await registry.alice.get(artifact(APP, reference))).status == 404
    entries = await registry.sql(
        "SELECT operation, resource FROM audit_log WHERE resource_type = 'artifact' AND operation = 'delete'"
    )
    assert sorted(entries) == sorted([("delete", f"{APP}@{subject}"), ("delete", f"{APP}@{signature}")])


async def test_a_child_is_not_deleted_from_under_its_index(registry: Registry) -> None:
    _, (image, _) = await push_index(registry.alice, "v1")
    answer = await registry.alice.delete(artifact(APP, image))
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])


async def test_what_is_not_there_or_not_ones_own_is_not_found(registry: Registry) -> None:
    await registry.alice.push_image(APP, "v1")
    assert (await registry.alice.get(artifact(APP, "v2"))).status == 404
    assert (await registry.alice.get(artifact(APP, "v%002"))).status == 404
    assert (await registry.alice.get(artifact(APP, "sha256:nonsense"))).status == 400
    assert (await registry.bob.get(artifact(APP, "v1"))).status == 404
    assert (await registry.anon.get(artifact(APP, "v1"))).status == 401
    guest = await become(registry, "mallory", 3)
    assert (await guest.get(artifact(APP, "v1"))).status == 200
    assert (await guest.delete(artifact(APP, "v1"))).status == 403


POISON = [
    b"",
    b"not json",
    b'{"a":"\\u0000"}',
    b"[" * 5000,
    b'{"os": {"deep": [1e999]}}',
    b'{"history": {"x": 1}, "os": 7, "config": "text"}',
    b'{"history": [1, null, {"created": [], "created_by": 5}]}',
    json.dumps({"config": {"x" * 9: "y" * 70_000}}).encode(),
]


@pytest.mark.parametrize("config", POISON, ids=range(len(POISON)))
async def test_a_poisoned_config_breaks_nothing(registry: Registry, config: bytes) -> None:
    await push_config(registry.alice, APP, "v1", config, media_type=OCI_CONFIG)
    while await registry.parts.dispatcher.drain_once():
        pass
    (shown,) = await ask(registry.alice, LIST)
    assert len(json.dumps(shown["extra_attrs"])) < 70_000
    assert isinstance(await ask(registry.alice, f"{artifact(APP, 'v1')}/additions/build_history"), list)


async def test_what_was_pushed_is_looked_into_once(registry: Registry) -> None:
    await push_config(registry.alice, APP, "v1", json.dumps(CONFIG).encode(), media_type=OCI_CONFIG)
    await registry.parts.dispatcher.drain_once()
    details = await registry.scalar("SELECT count(*) FROM manifests WHERE details IS NOT NULL")
    assert details == 1


async def test_an_old_manifest_is_measured_when_it_is_looked_at(registry: Registry) -> None:
    digest, _ = await push_index(registry.alice, "v1")
    before = (await ask(registry.alice, artifact(APP, digest)))["size"]
    await registry.change("UPDATE manifests SET total_size = 0, details = NULL")
    assert (await ask(registry.alice, artifact(APP, digest)))["size"] == before
    assert await registry.scalar("SELECT count(*) FROM manifests WHERE total_size = 0") == 0


class Statements:
    """How many statements the database was sent."""

    count = 0


@contextmanager
def counted(registry: Registry) -> Iterator[Statements]:
    statements = Statements()
    database: Any = registry.parts.database
    run, first, all_ = PreparedStatement._on_sqlite, type(database).first, type(database).all

    def counting(function: Any) -> Any:
        def counts(*args: Any, **kwargs: Any) -> Any:
            statements.count += 1
            return function(*args, **kwargs)

        return counts

    from sqlalchemy import Connection  # noqa: PLC0415 - patched here only

    with (
        patch.object(PreparedStatement, "_on_sqlite", counting(run)),
        patch.object(type(database), "first", counting(first)),
        patch.object(type(database), "all", counting(all_)),
        patch.object(Connection, "execute", counting(Connection.execute)),
    ):
        yield statements


async def test_a_list_takes_as_many_statements_for_one_artifact_as_for_many(registry: Registry) -> None:
    label = await make_label(registry, "l", "a")
    flags = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true&with_signature=true"
    target = f"{LIST}?page_size=100&{flags}&with_scan_overview=true&with_sbom_overview=true"
    taken = []
    for size in (1, 60):
        for number in range(size):
            image = image_of(b"{}", str(number).encode())
            await registry.alice.push_blob(APP, b"{}")
            await registry.alice.push_blob(APP, str(number).encode())
            await registry.alice.push_manifest(APP, f"v{number}", image)
            await sign(registry.alice, image, "application/vnd.example")
            await send(registry.alice, "POST", f"{artifact(APP, f'v{number}')}/labels", {"id": label})
        await ask(registry.alice, target)
        with counted(registry) as statements:
            shown = await ask(registry.alice, target)
        assert len(shown) == size
        assert all(each["labels"] and each["tags"] and each["accessories"] for each in shown)
        taken.append(statements.count)
    assert taken[0] == taken[1] <= 12, taken


async def test_the_project_may_be_anybodys_and_the_path_spelt_either_way(registry: Registry) -> None:
    await registry.alice.push_image("pub/x/y", "v1")
    for spelt in ("x%2Fy", "x%252Fy"):
        shown = await ask(registry.anon, f"{API}/projects/pub/repositories/{spelt}/artifacts/v1")
        assert shown["repository_name"] == "pub/x/y"
