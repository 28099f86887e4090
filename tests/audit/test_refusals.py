"""Who was refused is written down, whichever door they came to."""

from __future__ import annotations

import pytest
from tests.registry.actors import Actor
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def entries(registry: Registry) -> list[tuple[object, ...]]:
    await registry.parts.notes.flush(everything=True)
    return await registry.sql(
        "SELECT username, operation, resource_type, resource, outcome, door, address FROM audit_log"
        " WHERE operation <> 'login' AND outcome = 'refused' ORDER BY id"
    )


async def test_a_push_that_is_refused(registry: Registry) -> None:
    assert (await registry.mallory.start("pub/app")).status == 403
    assert await entries(registry) == [
        ("mallory", "push", "repository", "pub/app", "refused", "registry", "192.0.2.7")
    ]


async def test_a_refusal_is_in_the_log_of_the_project(registry: Registry) -> None:
    await registry.mallory.start("pub/app")
    await registry.parts.notes.flush()
    assert await registry.scalar(
        "SELECT count(*) FROM audit_log JOIN projects p ON p.id = audit_log.project_id WHERE p.name = 'pub'"
    )


async def test_a_client_that_is_yet_to_sign_in_was_not_refused(registry: Registry) -> None:
    assert (await registry.anon.get("/v2/")).status == 401
    assert (await registry.anon.get("/api/v2.0/configurations")).status == 401
    assert await entries(registry) == []


async def test_a_token_that_was_overtaken(registry: Registry) -> None:
    token: Actor = await registry.mallory.with_token("repository:pub/app:pull")
    await registry.change("UPDATE users SET credential_epoch = 9 WHERE username = 'mallory'")
    assert (await token.pull("pub/app", "v1")).status == 401
    assert [row[:3] for row in await entries(registry)] == [("mallory", "pull", "repository")]


async def test_a_request_to_the_api_that_is_refused(registry: Registry) -> None:
    assert (await registry.mallory.get("/api/v2.0/configurations")).status == 403
    assert await entries(registry) == [
        ("mallory", "read", "api", "/api/v2.0/configurations", "refused", "api", "192.0.2.7")
    ]


async def test_a_pull_is_no_entry(registry: Registry) -> None:
    await registry.alice.push_image("pub/app", "v1")
    await registry.alice.pull("pub/app", "v1")
    await registry.parts.notes.flush()
    assert await registry.sql("SELECT id FROM audit_log WHERE operation = 'pull'") == []


async def test_a_pull_is_an_entry_where_that_is_asked_for(registry_with: Opener) -> None:
    async with registry_with(audit={"pulls": True}) as registry:
        digest = await registry.alice.push_image("pub/app", "v1")
        await registry.bob.pull("pub/app", "v1")
        await registry.bob.pull("pub/app", digest)
        await registry.bob.head("/v2/pub/app/manifests/v1")
        await registry.parts.notes.flush()
        assert await registry.sql(
            "SELECT username, resource, project_id IS NULL FROM audit_log WHERE operation = 'pull' ORDER BY id"
        ) == [("bob", "pub/app:v1", 0), ("bob", f"pub/app@{digest}", 0)]


async def test_a_push_is_an_entry_of_its_own_transaction(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "v1")
    await registry.alice.put_manifest("a/app", "v2", {"schemaVersion": 2, "mediaType": "application/json"})
    found = await registry.sql(
        "SELECT username, operation, resource_type, resource, door, outcome FROM audit_log"
        " WHERE operation = 'create'"
    )
    assert found == [("alice", "create", "artifact", f"a/app@{digest}", "registry", "success")]
