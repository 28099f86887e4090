"""Copying artifacts between repositories."""

from __future__ import annotations

import pytest
from tests.api.images import API, artifact, ask, become, charged, done, push_config, repository, send
from tests.api.projects import make_role
from tests.registry.actors import child, digest_of, encoded, index_of
from tests.registry.registries import Registry

from roadstead.oci.media_types import OCI_CONFIG

pytestmark = pytest.mark.anyio


async def test_an_artifact_is_copied_with_its_tags_and_without_moving_bytes(registry: Registry) -> None:
    config = b'{"os":"linux"}'
    digest = await push_config(registry.alice, "a/app", "v1", config, media_type=OCI_CONFIG)
    await registry.alice.put_manifest("a/app", "also", (await registry.alice.pull("a/app", "v1")).body)
    keys = await registry.keys()
    for origin in ("a/app:v1", f"a/app@{digest}"):
        answer = await send(registry.alice, "POST", f"{repository('pub/new/app')}/artifacts?from={origin}")
        done(answer, 201)
        assert answer["location"] == artifact("pub/new/app", origin.partition("/app")[2][1:])
    assert await registry.keys() == keys
    assert await registry.anon.tags("pub/new/app") == ["also", "v1"]
    pulled = await registry.anon.pull("pub/new/app", "v1")
    assert pulled.body == (await registry.alice.pull("a/app", "v1")).body
    assert (await registry.anon.pull_blob("pub/new/app", digest_of(config))).body == config
    one, two = [await ask(registry.alice, artifact(name, "v1")) for name in ("a/app", "pub/new/app")]
    assert (one["size"], one["extra_attrs"]) == (two["size"], two["extra_attrs"])
    for project in ("a", "pub"):
        was, kept = await charged(registry, project)
        assert was == kept != 0


async def test_an_index_is_copied_with_children_and_accessories(registry: Registry) -> None:
    image = await registry.alice.image("a/app", "amd64")
    digest = await registry.alice.push_manifest("a/app", digest_of(encoded(image)), image)
    index = index_of(child(image, ("linux", "amd64")))
    head = await registry.alice.push_manifest("a/app", "v1", index)
    signature = index_of(subject=child(index), artifactType="application/vnd.example")
    signed = await registry.alice.push_manifest("a/app", digest_of(encoded(signature)), signature)
    done(await send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1"), 201)
    everything = await ask(registry.anon, f"{repository('pub/app')}/artifacts?q=base%3D*")
    assert {each["digest"] for each in everything} == {head, digest, signed}
    (entry,) = (await registry.anon.get(f"/v2/pub/app/referrers/{head}")).json["manifests"]
    assert entry["digest"] == signed
    assert (await registry.anon.pull("pub/app", digest)).status == 200


async def test_a_copy_outlives_its_original(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "v1")
    done(await send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1"), 201)
    done(await registry.alice.delete(repository("a/app")))
    assert await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL") == 0
    assert (await registry.anon.pull("pub/app", "v1"))["docker-content-digest"] == digest


async def test_a_copy_needs_a_pull_there_and_a_right_here(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    await registry.bob.push_image("b/app", "v1")
    target = f"{repository('a/copy')}/artifacts?from="
    assert (await send(registry.alice, "POST", f"{target}b/app:v1")).status == 404
    await become(registry, "alice", 5, project="b", repositories="other/**")
    assert (await send(registry.alice, "POST", f"{target}b/app:v1")).status == 403
    guest = await become(registry, "mallory", 3)
    assert (await send(guest, "POST", f"{target}a/app:v1")).status == 403
    assert (await send(registry.anon, "POST", f"{target}a/app:v1")).status == 401
    assert (await registry.alice.get(repository("a/copy"))).status == 404


async def test_R7_a_copy_moves_no_tag_for_whoever_may_only_make_artifacts(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    kept = await registry.alice.push_image("pub/app", "v1", "another")
    role = await make_role(registry.root, "copier", "project:read", "artifact:create", "artifact:read")
    await become(registry, "mallory", role, project="pub")
    mallory = await become(registry, "mallory", 3)
    copied = await send(mallory, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1")
    assert copied.status == 403
    assert (await registry.alice.pull("pub/app", "v1"))["docker-content-digest"] == kept
    for _ in range(2):
        done(await send(mallory, "POST", f"{repository('pub/new')}/artifacts?from=a/app:v1"), 201)
    assert await registry.anon.tags("pub/new") == ["v1"]


async def test_a_copy_keeps_to_the_sources_network_rules(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    for door in ("registry", "api"):
        await registry.change(
            "UPDATE projects SET network_rules = :rules WHERE name = 'a'",
            rules=f'{{"{door}":["198.51.100.0/24"]}}',
        )
        answer = await send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1")
        assert answer.status == 403, door


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("", 400),
        ("a/app", 400),
        ("app:v1", 400),
        ("a/app:", 400),
        ("a/app@sha256:1", 400),
        ("a/APP:v1", 400),
        ("a/../app:v1", 400),
        ("a/app:v2", 404),
        ("a/none:v1", 404),
        (f"a/app@sha256:{'0' * 64}", 404),
    ],
)
async def test_what_names_no_artifact_is_refused(registry: Registry, origin: str, status: int) -> None:
    await registry.alice.push_image("a/app", "v1")
    answer = await send(registry.alice, "POST", f"{API}/projects/a/repositories/copy/artifacts?from={origin}")
    assert answer.status == status, answer
    assert (await send(registry.alice, "POST", f"{repository('a/copy')}/artifacts")).status == 422


async def test_a_copy_is_refused_where_the_quota_is_full(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    await registry.change(
        "UPDATE quotas SET storage = 10 WHERE project_id = (SELECT id FROM projects WHERE name = 'pub')"
    )
    answer = await send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1")
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    assert (await charged(registry, "pub")) == (0, 0)


async def test_a_copy_is_told_and_written_down(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "v1")
    await send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1")
    assert await registry.scalar("SELECT count(*) FROM events WHERE kind = 'manifest.pushed'") == 2
    ((operation, resource),) = await registry.sql(
        "SELECT operation, resource FROM audit_log WHERE resource_type = 'artifact' AND resource LIKE 'pub/%'"
    )
    assert (operation, resource) == ("create", f"pub/app@{digest}")
