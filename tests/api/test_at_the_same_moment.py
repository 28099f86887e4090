"""Two requests at once on PostgreSQL, one of them held up between two of its statements.

On SQLite there is one writer at a time: no such moment, and nothing is held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.api.images import artifact, done, repository, send
from tests.api.test_immutable_rules import RULES, rule
from tests.quota.limits import limit, put_quota, quota_of
from tests.registry.actors import digest_of, encoded
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.quota import queries as quotas
from roadstead.registry.artifacts import copies
from roadstead.registry.blobs.queries import lock_blobs, release_unused
from roadstead.registry.directory import queries as directory_queries
from roadstead.registry.manifests import service as manifests
from roadstead.registry.repositories import ensure_repository
from roadstead.registry.tags import editing

pytestmark = pytest.mark.anyio
Asking = Coroutine[Any, Any, Answer]


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


class Pause:
    """Lets one function of a module wait, once, before or after it does its work."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, module: object, name: str, *, after: bool = False
    ) -> None:
        self.reached = asyncio.Event()
        self._function: Callable[..., Any] = getattr(module, name)
        self._after = after
        monkeypatch.setattr(module, name, self)

    def __call__(self, conn: Connection, *args: Any, **kwargs: Any) -> Any:
        found = self._function(conn, *args, **kwargs) if self._after else None
        if not self.reached.is_set():
            self.reached.set()
            # Lets the event loop go on with the others.
            conn.execute(text("SELECT pg_sleep(0.5)"))
        return found if self._after else self._function(conn, *args, **kwargs)

    async def between(self, held_up: Asking, meanwhile: Asking) -> tuple[Answer, Answer]:
        first = asyncio.create_task(held_up)
        await self.reached.wait()
        second = await meanwhile
        return await first, second


async def test_an_artifact_is_not_deleted_from_under_whoever_copies_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await registry.alice.push_image("a/app", "v1")
    copied, deleted = await Pause(monkeypatch, copies, "link_blobs").between(
        send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1"),
        registry.alice.delete(f"/v2/a/app/manifests/{digest}"),
    )
    assert (copied.status, deleted.status) == (201, 202)
    assert await registry.scalar("SELECT count(*) FROM manifest_references") == 2
    assert await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL") == 0


async def test_a_repository_is_not_deleted_from_under_whoever_copies_out_of_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.alice.push_image("a/app", "v1")
    copied, deleted = await Pause(monkeypatch, copies, "link_blobs").between(
        send(registry.alice, "POST", f"{repository('pub/app')}/artifacts?from=a/app:v1"),
        registry.alice.delete(repository("a/app")),
    )
    assert (copied.status, deleted.status) == (201, 200)
    assert await registry.scalar("SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL") == 0


async def test_an_immutable_tag_is_not_lost_with_a_manifest_that_is_being_deleted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(await send(registry.alice, "POST", RULES, rule()), 201)
    document = await registry.alice.image("a/app", "other")
    digest = await registry.alice.push_manifest("a/app", "other", document)
    deleted, pushed = await Pause(monkeypatch, manifests, "lock_blobs").between(
        registry.alice.delete(f"/v2/a/app/manifests/{digest}"),
        registry.alice.put_manifest("a/app", "v1", document),
    )
    assert (deleted.status, pushed.status) == (202, 409)
    assert digest == digest_of(encoded(document))


@pytest.mark.parametrize("way", ["make", "restore"])
async def test_a_tag_that_was_pushed_just_now_stays_where_it_is(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    old = await registry.alice.push_image("a/app", "kept", "old")
    new = await registry.alice.image("a/app", "new")
    await registry.alice.put_manifest("a/app", "v1", (await registry.alice.pull("a/app", "kept")).body)
    await registry.alice.delete("/v2/a/app/manifests/v1")
    asked = {
        "make": send(registry.alice, "POST", f"{artifact('a/app', old)}/tags", {"name": "v1"}),
        "restore": send(registry.alice, "POST", f"{repository('a/app')}/tags/v1/restore"),
    }
    answer, pushed = await Pause(monkeypatch, editing, "tagged_manifest", after=True).between(
        asked.pop(way), registry.alice.put_manifest("a/app", "v1", new)
    )
    for other in asked.values():
        other.close()
    assert (answer.status, answer.codes, pushed.status) == (409, ["CONFLICT"], 201)
    assert (await registry.alice.pull("a/app", "v1")).body == encoded(new)


async def test_a_tag_that_moves_is_not_removed_from_where_it_is_now(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await registry.alice.push_image("a/app", "v1", "old")
    new = await registry.alice.image("a/app", "new")
    removed, pushed = await Pause(monkeypatch, editing, "tagged_manifest", after=True).between(
        registry.alice.delete(f"{artifact('a/app', old)}/tags/v1"),
        registry.alice.put_manifest("a/app", "v1", new),
    )
    assert (removed.status, pushed.status) == (200, 201)
    assert (await registry.alice.pull("a/app", "v1")).body == encoded(new)


async def test_bytes_that_come_while_their_repository_is_deleted_go_with_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = await registry.alice.begin_upload("a/app")
    deleted, sent = await Pause(monkeypatch, directory_queries, "blobs_of").between(
        registry.alice.delete(repository("a/app")), registry.alice.patch(location, b"some bytes")
    )
    assert (deleted.status, sent.status) == (200, 202)
    assert await registry.keys() == await registry.named_keys() == set()


async def test_a_repository_is_not_deleted_from_under_a_push(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "v1")
    project = await registry.scalar("SELECT id FROM projects WHERE name = 'a'")
    assert isinstance(project, int)
    found = asyncio.Event()

    def push(conn: Connection) -> None:
        ensure_repository(conn, project, "app", now=1)
        found.set()
        conn.execute(text("SELECT pg_sleep(0.5)"))

    pushing = asyncio.create_task(registry.parts.database.write(push))
    await found.wait()
    deleting = asyncio.create_task(registry.alice.delete(repository("a/app")))
    finished, _ = await asyncio.wait([pushing, deleting], return_when="FIRST_COMPLETED")
    assert finished == {pushing}
    done(await deleting)


async def test_one_transaction_lets_any_number_of_blobs_go(registry: Registry) -> None:
    """More than one statement takes parameters for."""

    def release(conn: Connection) -> None:
        lock_blobs(conn, range(1, 70_000))
        release_unused(conn, range(1, 70_000), now=1)

    await registry.parts.database.write(release)


async def test_a_limit_that_is_set_while_bytes_are_reserved_refuses_nobody(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await limit(registry, "a", storage=100_000)
    document = await registry.alice.image("a/app", "v1")
    number = (await quota_of(registry, "a"))["id"]
    changed, pushed = await Pause(monkeypatch, quotas, "set_limits").between(
        put_quota(registry, number, storage=200_000), registry.alice.put_manifest("a/app", "v2", document)
    )
    assert (changed.status, pushed.status) == (200, 201)
