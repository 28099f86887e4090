"""Whatever is pushed, mounted, moved on and deleted, in any order: every project is charged for what it holds."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.quota.exactness import charges_are_exact
from tests.quota.limits import fold, limit
from tests.registry.actors import Document, digest_of, encoded, image_of
from tests.registry.machines import empty, run_machine
from tests.registry.registries import Registry, open_registry, settings_of

T = TypeVar("T")

EXAMPLES = int(os.environ.get("ROADSTEAD_TEST_EXAMPLES", "4"))
STEPS = 20
REPOSITORIES = ["a/x", "a/y", "b/x"]
CONTENTS = [b"{}", b"one" * 100, b"two" * 200, b"three" * 300]

repositories = st.sampled_from(REPOSITORIES)
contents = st.sampled_from(CONTENTS)


class QuotaMachine(RuleBasedStateMachine):
    """Holds what each repository should have, and compares its size with what is charged."""

    url: ClassVar[str]
    template: ClassVar[Path | None]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.blobs: dict[str, set[bytes]] = {name: set() for name in REPOSITORIES}
        self.manifests: dict[str, dict[str, Document]] = {name: {} for name in REPOSITORIES}
        # Location → repository, and the bytes so far.
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self.limits = {"a": -1, "b": -1}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rs-quota-"))
        url = self.url
        if self.template is not None:
            url = f"sqlite:///{shutil.copy(self.template, self.folder / 'roadstead.db')}"
        else:
            empty(url)
        opened = open_registry(settings_of(self.folder, url))
        self.registry: Registry = self.run(self.stack.enter_async_context(opened))
        self.root = self.registry.root

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # ── what the project should hold ────────────────────────────────────────────────────────────────────

    def kept(self, project: str) -> int:
        """Bytes of blobs and manifests; uploads are not in it."""
        here = [name for name in REPOSITORIES if name.startswith(f"{project}/")]
        blobs: set[bytes] = set().union(*(self.blobs[name] for name in here))
        manifests = [document for name in here for document in self.manifests[name].values()]
        return sum(map(len, blobs)) + sum(len(encoded(document)) for document in manifests)

    def fits(self, repository: str, size: int) -> bool:
        project = repository.partition("/")[0]
        most = self.limits[project]
        return most < 0 or self.used(project) + size <= most

    def used(self, project: str) -> int:
        statement = (
            "SELECT q.charged + coalesce((SELECT sum(c.bytes) FROM quota_changes c WHERE c.project_id = p.id), 0)"
            " FROM quotas q JOIN projects p ON p.id = q.project_id WHERE p.name = :name"
        )
        return int(str(self.run(self.registry.scalar(statement, name=project))))

    def is_kept(self, repository: str, data: bytes) -> bool:
        project = repository.partition("/")[0]
        return any(data in held for name, held in self.blobs.items() if name.startswith(f"{project}/"))

    # ── what people do ──────────────────────────────────────────────────────────────────────────────────

    @rule(repository=repositories, data=contents)
    def push(self, repository: str, data: bytes) -> None:
        fits = self.fits(repository, 0 if self.is_kept(repository, data) else len(data))
        fits = fits or self.is_kept(repository, data)
        answer = self.run(self.root.start(repository, f"?digest={digest_of(data)}", data))
        assert answer.status == (201 if fits else 403), answer
        if fits:
            self.blobs[repository].add(data)

    @rule(repository=repositories)
    def begin(self, repository: str) -> None:
        self.uploads[self.run(self.root.begin_upload(repository))] = (repository, b"")

    def some_upload(self, data: st.DataObject) -> str:
        assume(self.uploads)
        return data.draw(st.sampled_from(sorted(self.uploads)))

    @rule(data=st.data(), more=contents, chunked=st.booleans())
    def append(self, data: st.DataObject, more: bytes, chunked: bool) -> None:
        location = self.some_upload(data)
        repository, held = self.uploads[location]
        answer = self.run(self.root.patch(location, [more] if chunked else more))
        assert answer.status in {202, 403}
        if answer.status == 202:
            self.uploads[location] = (repository, held + more)
        else:
            assert self.limits[repository.partition("/")[0]] >= 0

    @rule(data=st.data(), wrong=st.booleans())
    def finish(self, data: st.DataObject, wrong: bool) -> None:
        location = self.some_upload(data)
        repository, held = self.uploads[location]
        answer = self.run(self.root.put(location, digest_of(held + b"!" * wrong)))
        if wrong:
            assert answer.status in {400, 403}
        else:
            assert answer.status in {201, 403}
        if answer.status == 201:
            del self.uploads[location]
            self.blobs[repository].add(held)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        location = self.some_upload(data)
        assert self.run(self.root.delete(location)).status == 204
        del self.uploads[location]

    @rule()
    def expire(self) -> None:
        self.run(self.registry.change("UPDATE uploads SET updated_at = 1"))
        assert self.run(self.registry.parts.uploads.expire()) == len(self.uploads)
        self.uploads.clear()

    @rule(into=repositories, source=repositories, data=contents)
    def mount(self, into: str, source: str, data: bytes) -> None:
        assume(data in self.blobs[source])
        fits = self.is_kept(into, data) or self.fits(into, len(data))
        answer = self.run(self.root.mount(into, digest_of(data), source))
        assert answer.status == (201 if fits else 403), answer
        if fits:
            self.blobs[into].add(data)

    @rule(repository=repositories, data=contents)
    def delete_blob(self, repository: str, data: bytes) -> None:
        status = self.run(self.root.delete(f"/v2/{repository}/blobs/{digest_of(data)}")).status
        if status == 202:
            self.blobs[repository].remove(data)
        else:
            assert status in {404, 405}

    @rule(repository=repositories, layers=st.lists(contents, max_size=3))
    def push_manifest(self, repository: str, layers: list[bytes]) -> None:
        document = image_of(b"{}", *layers)
        assume({b"{}", *layers} <= self.blobs[repository])
        digest = digest_of(encoded(document))
        answer = self.run(self.root.put_manifest(repository, "tag", document))
        assert answer.status == 201 or (
            answer.status == 403 and not self.fits(repository, len(encoded(document)))
        )
        if answer.status == 201:
            self.manifests[repository][digest] = document

    @rule(data=st.data(), repository=repositories)
    def delete_manifest(self, data: st.DataObject, repository: str) -> None:
        assume(self.manifests[repository])
        digest = data.draw(st.sampled_from(sorted(self.manifests[repository])))
        assert self.run(self.root.delete(f"/v2/{repository}/manifests/{digest}")).status == 202
        del self.manifests[repository][digest]

    @rule(project=st.sampled_from(["a", "b"]), most=st.sampled_from([-1, 500, 1500, 3000]))
    def set_limit(self, project: str, most: int) -> None:
        self.run(limit(self.registry, project, storage=most))
        self.limits[project] = most

    @rule()
    def fold(self) -> None:
        self.run(fold(self.registry))

    # ── what holds then ─────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def every_charge_is_exact(self) -> None:
        if not hasattr(self, "registry"):
            return
        self.run(charges_are_exact(self.registry.parts.database))
        for project in ("a", "b"):
            found = self.used(project)
            under_way = [held for name, held in self.uploads.values() if name.startswith(f"{project}/")]
            # What an upload has reserved is no more than it has, and a share of the limit.
            assert self.kept(project) <= found
            assert found <= self.kept(project) + sum(len(held) + 3000 // 64 for held in under_way)


@pytest.mark.timeout(3600 if EXAMPLES > 50 else 600)
def test_charges_are_exact_whatever_happens_on_sqlite(sqlite_template: Path) -> None:
    run_machine(
        type("OnSqlite", (QuotaMachine,), {"url": "", "template": sqlite_template}),
        examples=EXAMPLES,
        steps=STEPS,
    )


@pytest.mark.postgres
@pytest.mark.timeout(3600 if EXAMPLES > 50 else 600)
def test_charges_are_exact_whatever_happens_on_postgresql(shared_postgres: str) -> None:
    run_machine(
        type("OnPostgresql", (QuotaMachine,), {"url": shared_postgres, "template": None}),
        examples=EXAMPLES,
        steps=STEPS,
    )
