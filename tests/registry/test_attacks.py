"""What a hostile caller, or an unlucky one, must not bring about."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from tests.registry.actors import (
    NOBODY,
    PASSWORD,
    Actor,
    basic,
    child,
    digest_of,
    encoded,
    image_of,
    index_of,
)
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.oci.documents import strict_json
from roadstead.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from roadstead.registry.manifests.platforms import default_child
from roadstead.registry.manifests.service import PARSED_INLINE
from roadstead.registry.referrers.service import READ_INLINE

pytestmark = pytest.mark.anyio

CONFIG = b"{}"


async def put_manifest(actor: Actor, place: str, document: Mapping[str, Any], media_type: str) -> None:
    answer = await actor.request(
        "PUT", f"/v2/{place}", encoded(document), headers={"Content-Type": media_type}
    )
    assert answer.status == 201, answer


async def test_a_query_that_cannot_be_read_is_refused_before_anything_is_done(registry: Registry) -> None:
    alice = registry.alice
    await alice.push_blob("a/app", CONFIG)
    await put_manifest(alice, "a/app/manifests/kept", image_of(CONFIG), OCI_MANIFEST)
    assert (await alice.delete("/v2/a/app/manifests/kept?x=%zz")).status == 400
    assert (await alice.get("/v2/a/app/manifests/kept")).status == 200


async def test_guessing_through_a_unix_socket_locks_nobody_else_out(registry: Registry) -> None:
    async def behind_a_socket(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = None
        await registry.app(scope, receive, send)

    for number in range(30):
        stranger = Actor(behind_a_socket, "x", basic(f"nobody{number}", f"guess {number}"))
        assert (await stranger.get("/v2/")).status in {401, 429}
    alice = Actor(behind_a_socket, "alice", basic("alice", PASSWORD))
    assert (await alice.get("/v2/")).status == 200


async def test_what_an_old_client_gets_of_a_large_index_is_found_in_a_thread_and_once(
    registry_with: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def watched(payload: bytes) -> Any:
        threads.append(threading.current_thread())
        return default_child(payload)

    monkeypatch.setattr("roadstead.registry.manifests.service.default_child", watched)
    async with registry_with(registry={"validate_references": "none"}) as registry:
        alice = registry.alice
        await alice.push_blob("pub/app", CONFIG)
        image = image_of(CONFIG, mediaType=DOCKER_MANIFEST)
        await put_manifest(alice, "pub/app/manifests/image", image, DOCKER_MANIFEST)
        others = [child(image_of(encoded(number)), ("linux", "s390x")) for number in range(400)]
        document = index_of(*others, child(image, ("linux", "amd64")))
        assert len(encoded(document)) > PARSED_INLINE
        await put_manifest(alice, "pub/app/manifests/index", document, OCI_INDEX)
        for _ in range(3):
            answer = await alice.request(
                "GET", "/v2/pub/app/manifests/index", headers={"Accept": DOCKER_MANIFEST}
            )
            assert answer["docker-content-digest"] == digest_of(encoded(image))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_referrers_with_large_manifests_are_read_in_a_thread(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def watched(data: bytes, *, what: str) -> Any:
        threads.append(threading.current_thread())
        return strict_json(data, what=what)

    monkeypatch.setattr("roadstead.registry.referrers.service.strict_json", watched)
    alice = registry.alice
    await alice.push_blob("pub/app", CONFIG)
    notes = {f"note-{number}": "x" * 20 for number in range(3000)}
    subject = {"mediaType": OCI_MANIFEST, "digest": NOBODY, "size": 1}
    document = image_of(CONFIG, subject=subject, annotations=notes)
    assert len(encoded(document)) > READ_INLINE
    await put_manifest(alice, "pub/app/manifests/notes", document, OCI_MANIFEST)
    answer = await alice.get(f"/v2/pub/app/referrers/{NOBODY}")
    assert json.loads(answer.body)["manifests"][0]["annotations"] == notes
    assert threads
    assert threading.main_thread() not in threads


async def test_nobody_is_sent_to_a_host_that_the_client_made_up(registry: Registry) -> None:
    for target in ("/service/token/", "/livez/", "/service//token"):
        answer = await registry.anon.request("GET", target, headers={"Accept": "*/*"})
        assert (answer.status, answer.get("location")) == (404, None)
