"""Anything that people may do, in any order: the registry and a simple model of it always agree."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.registry.actors import Actor, Document, digest_of, encoded, image_of
from tests.registry.machines import empty, run_machine
from tests.registry.registries import Registry, open_registry, settings_of

T = TypeVar("T")

EXAMPLES = int(os.environ.get("ROADSTEAD_TEST_EXAMPLES", "8"))
STEPS = 30
OWNERS = {"a": "alice", "b": "bob", "pub": "alice"}
PUBLIC = {"pub"}
REPOSITORIES = ["a/x", "a/y", "b/x", "pub/x"]
CONTENTS = [b"", b"{}", b"one", b"two" * 100]
TAGS = ["1", "2", "latest"]

repositories = st.sampled_from(REPOSITORIES)
contents = st.sampled_from(CONTENTS)
people = st.sampled_from(["alice", "bob", "root", "mallory", "anon"])
tags = st.sampled_from(TAGS)
algorithms = st.sampled_from(["sha256", "sha256", "sha512"])


@dataclass
class Model:
    """What the registry should hold.  A repository is there once anything was pushed to it."""

    blobs: dict[str, dict[str, bytes]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Document]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    # Location → who, where, what so far.
    uploads: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)

    def touch(self, repository: str) -> None:
        for kind in (self.blobs, self.manifests, self.tags):
            kind.setdefault(repository, {})

    def may_write(self, who: str, repository: str) -> bool:
        return who == "root" or OWNERS[repository.partition("/")[0]] == who

    def may_read(self, who: str, repository: str) -> bool:
        return self.may_write(who, repository) or repository.partition("/")[0] in PUBLIC

    def needs(self, repository: str, blob: str) -> bool:
        return any(
            blob in {entry["digest"] for entry in (document["config"], *document["layers"])}
            for document in self.manifests.get(repository, {}).values()
        )

    def refusal(self, who: str, repository: str) -> int:
        """What a person who may not write is told."""
        return 401 if who == "anon" else 403


class RegistryMachine(RuleBasedStateMachine):
    url: ClassVar[str]
    template: ClassVar[Path | None]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.model = Model()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-model-"))
        url = self.url
        if self.template is not None:
            url = f"sqlite:///{shutil.copy(self.template, self.folder / 'roadstead.db')}"
        else:
            empty(url)
        settings_ = settings_of(self.folder, url)
        self.registry: Registry = self.run(self.stack.enter_async_context(open_registry(settings_)))
        self.actors = {
            name: getattr(self.registry, name) for name in ("anon", "alice", "bob", "root", "mallory")
        }

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def actor(self, who: str) -> Actor:
        actor: Actor = self.actors[who]
        return actor

    # ── blobs ───────────────────────────────────────────────────────────────────────────────────────────

    @rule(who=people, repository=repositories, data=contents, algorithm=algorithms)
    def push_in_one_request(self, who: str, repository: str, data: bytes, algorithm: str) -> None:
        digest = digest_of(data, algorithm)
        answer = self.run(self.actor(who).start(repository, f"?digest={digest}", data))
        if not self.model.may_write(who, repository):
            assert answer.status == self.model.refusal(who, repository)
            return
        assert answer.status == 201
        self.model.touch(repository)
        self.model.blobs[repository][digest] = data

    @rule(who=people, repository=repositories)
    def begin(self, who: str, repository: str) -> None:
        answer = self.run(self.actor(who).start(repository))
        if not self.model.may_write(who, repository):
            assert answer.status == self.model.refusal(who, repository)
            return
        assert answer.status == 202
        self.model.touch(repository)
        self.model.uploads[answer["location"]] = (who, repository, b"")

    def some_upload(self, data: st.DataObject) -> str:
        assume(self.model.uploads)
        return data.draw(st.sampled_from(sorted(self.model.uploads)))

    @rule(data=st.data(), who=people, body=contents, misplaced=st.booleans())
    def append(self, data: st.DataObject, who: str, body: bytes, misplaced: bool) -> None:
        location = self.some_upload(data)
        owner, repository, held = self.model.uploads[location]
        at = len(held) + misplaced if body else None
        answer = self.run(self.actor(who).patch(location, body, at))
        if who != owner:
            assert answer.status in {401, 403, 404}
        elif at is not None and misplaced:
            assert answer.status == 416
        else:
            assert (answer.status, answer["range"]) == (202, f"0-{max(len(held + body) - 1, 0)}")
            self.model.uploads[location] = (owner, repository, held + body)

    @rule(data=st.data(), who=people, body=contents, algorithm=algorithms, wrong=st.booleans())
    def finish(self, data: st.DataObject, who: str, body: bytes, algorithm: str, wrong: bool) -> None:
        location = self.some_upload(data)
        owner, repository, held = self.model.uploads[location]
        digest = digest_of(held + body + b"!" * wrong, algorithm)
        answer = self.run(self.actor(who).put(location, digest, body))
        if who != owner:
            assert answer.status in {401, 403, 404}
        elif wrong:
            assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
        else:
            assert answer.status == 201
            self.model.blobs[repository][digest] = held + body
            del self.model.uploads[location]

    @rule(data=st.data(), who=people)
    def cancel(self, data: st.DataObject, who: str) -> None:
        location = self.some_upload(data)
        answer = self.run(self.actor(who).delete(location))
        if who != self.model.uploads[location][0]:
            assert answer.status in {401, 403, 404}
        else:
            assert answer.status == 204
            del self.model.uploads[location]

    @rule(
        who=people,
        into=repositories,
        source=repositories,
        data=contents,
        algorithm=algorithms,
        named=st.booleans(),
    )
    def mount(self, *, who: str, into: str, source: str, data: bytes, algorithm: str, named: bool) -> None:
        digest = digest_of(data, algorithm)
        answer = self.run(self.actor(who).mount(into, digest, source if named else None))
        if not self.model.may_write(who, into):
            assert answer.status == self.model.refusal(who, into)
            return
        self.model.touch(into)
        places = [source] if named else REPOSITORIES
        if any(
            digest in self.model.blobs.get(place, {}) and self.model.may_read(who, place) for place in places
        ):
            assert answer.status == 201
            self.model.blobs[into][digest] = data
        else:
            assert answer.status == 202
            self.model.uploads[answer["location"]] = (who, into, b"")

    @rule(who=people, repository=repositories, data=contents, algorithm=algorithms)
    def delete_blob(self, who: str, repository: str, data: bytes, algorithm: str) -> None:
        digest = digest_of(data, algorithm)
        status = self.run(self.actor(who).delete(f"/v2/{repository}/blobs/{digest}")).status
        if not self.model.may_write(who, repository):
            assert status in {401, 403, 404}
        elif digest not in self.model.blobs.get(repository, {}):
            assert status == 404
        elif self.model.needs(repository, digest):
            assert status == 405
        else:
            assert status == 202
            del self.model.blobs[repository][digest]

    # ── manifests ───────────────────────────────────────────────────────────────────────────────────────

    @rule(who=people, repository=repositories, layers=st.lists(contents, max_size=2), tag=tags | st.none())
    def push_manifest(self, who: str, repository: str, layers: list[bytes], tag: str | None) -> None:
        document = image_of(b"{}", *layers)
        digest = digest_of(encoded(document))
        answer = self.run(self.actor(who).put_manifest(repository, tag or digest, document))
        if not self.model.may_write(who, repository):
            assert answer.status == self.model.refusal(who, repository)
            return
        wanted = {digest_of(data) for data in (b"{}", *layers)}
        if not wanted <= self.model.blobs.get(repository, {}).keys():
            assert (answer.status, set(answer.codes)) == (400, {"MANIFEST_BLOB_UNKNOWN"})
            return
        assert answer.status == 201
        self.model.manifests[repository][digest] = document
        if tag:
            self.model.tags[repository][tag] = digest

    @rule(who=people, repository=repositories, tag=tags)
    def delete_tag(self, who: str, repository: str, tag: str) -> None:
        status = self.run(self.actor(who).delete(f"/v2/{repository}/manifests/{tag}")).status
        if not self.model.may_write(who, repository):
            assert status in {401, 403, 404}
        elif tag not in self.model.tags.get(repository, {}):
            assert status == 404
        else:
            assert status == 202
            del self.model.tags[repository][tag]

    @rule(data=st.data(), who=people, repository=repositories)
    def delete_manifest(self, data: st.DataObject, who: str, repository: str) -> None:
        held = self.model.manifests.get(repository, {})
        assume(held)
        digest = data.draw(st.sampled_from(sorted(held)))
        status = self.run(self.actor(who).delete(f"/v2/{repository}/manifests/{digest}")).status
        if not self.model.may_write(who, repository):
            assert status in {401, 403, 404}
            return
        assert status == 202
        del held[digest]
        tagged = self.model.tags[repository]
        self.model.tags[repository] = {tag: name for tag, name in tagged.items() if name != digest}

    # ── what is read is what the model says ─────────────────────────────────────────────────────────────

    @rule(who=people, repository=repositories)
    def read(self, who: str, repository: str) -> None:
        self.run(self._read(self.actor(who), who, repository))

    async def _read(self, actor: Actor, who: str, repository: str) -> None:
        readable = self.model.may_read(who, repository)
        blobs, manifests = self.model.blobs.get(repository), self.model.manifests.get(repository, {})
        for data in CONTENTS:
            digest = digest_of(data)
            answer = await actor.pull_blob(repository, digest)
            if readable and digest in (blobs or {}):
                assert (answer.status, answer.body) == (200, data)
            else:
                assert answer.status == (401 if who == "anon" and not readable else 404)
        for tag in TAGS:
            answer = await actor.pull(repository, tag)
            named = self.model.tags.get(repository, {}).get(tag)
            if readable and named:
                assert (answer.status, answer.body) == (200, encoded(manifests[named]))
            else:
                assert answer.status in {401, 404}
        answer = await actor.get(f"/v2/{repository}/tags/list")
        if readable and blobs is not None:
            assert answer.json["tags"] == sorted(self.model.tags[repository])
        else:
            assert answer.status in {401, 404}

    @rule(who=people)
    def list_catalog(self, who: str) -> None:
        answer = self.run(self.actor(who).get("/v2/_catalog"))
        if who == "anon":
            assert answer.status == 401
        else:
            assert answer.json["repositories"] == sorted(
                name for name in self.model.blobs if self.model.may_read(who, name)
            )

    @rule(data=st.data())
    def ask_where_an_upload_stands(self, data: st.DataObject) -> None:
        location = self.some_upload(data)
        owner, _, held = self.model.uploads[location]
        answer = self.run(self.actor(owner).get(location))
        assert (answer.status, answer["range"]) == (204, f"0-{max(len(held) - 1, 0)}")

    @invariant()
    def every_key_is_named_and_every_name_has_its_bytes(self) -> None:
        if hasattr(self, "registry"):
            assert self.run(self.registry.keys()) == self.run(self.registry.named_keys())

    @invariant()
    def what_a_manifest_names_is_held_and_nothing_else_is(self) -> None:
        if not hasattr(self, "registry"):
            return
        used = {
            entry["digest"]
            for held in self.model.manifests.values()
            for document in held.values()
            for entry in (document["config"], *document["layers"])
        }
        rows = self.run(self.registry.sql("SELECT digest FROM blobs WHERE unreferenced_since IS NULL"))
        assert {digest for (digest,) in rows} == used


@pytest.mark.timeout(3600 if EXAMPLES > 50 else 120)
def test_the_registry_is_what_the_model_says_on_sqlite(sqlite_template: Path) -> None:
    run_machine(
        type("OnSqlite", (RegistryMachine,), {"url": "", "template": sqlite_template}),
        examples=EXAMPLES,
        steps=STEPS,
    )


@pytest.mark.postgres
@pytest.mark.timeout(3600 if EXAMPLES > 50 else 120)
def test_the_registry_is_what_the_model_says_on_postgresql(shared_postgres: str) -> None:
    run_machine(
        type("OnPostgresql", (RegistryMachine,), {"url": shared_postgres, "template": None}),
        examples=EXAMPLES,
        steps=STEPS,
    )
