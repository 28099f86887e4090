"""What people can ask of blobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.errors import BlobUnknown, Denied, NotFound, Unauthenticated, Unsupported
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName
from roadstead.projects.access import WIDTH, AccessFacts, check_address
from roadstead.projects.roles import Action, allows
from roadstead.projects.service import Projects
from roadstead.quota.ledger import Bill, Hold
from roadstead.quota.reservations import Reservations
from roadstead.registry.blobs import queries
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.repositories import ensure_repository, repository_id
from roadstead.storage.protocol import BlobStore
from roadstead.telemetry.clock import Clock, now_ms

# A promise is renewed when it is older than this, so that asking twice does not write twice.
PROMISE_STEP_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class FoundBlob:
    digest: Digest
    size: int
    storage_key: str


def blob_unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown("this repository has no such blob", remedy="push the blob first", digest=str(digest))


class Blobs:
    def __init__(
        self,
        database: Database,
        store: BlobStore,
        projects: Projects,
        gates: Sequence[Gate],
        *,
        reservations: Reservations,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._store = store
        self._projects = projects
        self._gates = gates
        self._reservations = reservations
        self._clock = clock

    async def find(self, principal: Principal, name: RepositoryName, digest: Digest) -> FoundBlob:
        """The blob, if the repository has it and the caller may pull.  Telling of it promises it.

        Raises `BlobUnknown`, or what `Projects.authorize` raises.
        """
        row = await self._database.first(
            queries.READABLE_BLOB,
            {**self._projects.parameters(principal, name), "path": name.path, "digest": str(digest)},
        )
        assert row is not None  # noqa: S101 - the query starts from a constant row
        self._projects.authorize(AccessFacts.of(row), principal, name, Action.PULL)
        _repository, blob_id, size, key, unreferenced_since = row[WIDTH:]
        if blob_id is None:
            raise blob_unknown(digest)
        now = self._clock()
        if unreferenced_since is not None and unreferenced_since + PROMISE_STEP_MS < now:
            renewed = await self._database.write(queries.promise_blob, blob_id, now=now)
            if not renewed and await self._database.read(queries.blob_id, str(digest)) is None:
                raise blob_unknown(digest)
        return FoundBlob(digest, size, key)

    def read(self, blob: FoundBlob, *, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        return self._store.read(blob.storage_key, offset=offset, length=length)

    def local_path(self, blob: FoundBlob) -> Path | None:
        return self._store.local_path(blob.storage_key)

    async def mount(
        self, principal: Principal, name: RepositoryName, digest: Digest, source: RepositoryName | None
    ) -> bool:
        """Let `name` serve a blob that the caller may pull from `source`, or, without one, from anywhere.

        False: there is no such blob for this caller; the client uploads it instead.  The caller's right to push
        to `name` is checked here.
        """
        project_id = await self._projects.require(principal, name, Action.PUSH)
        sources = await self._sources(principal, name, source)
        if not sources:
            return False
        return await self._reservations.charging(
            project_id, self._mount, project_id, name.path, str(digest), sources=sources
        )

    async def _sources(
        self, principal: Principal, target: RepositoryName, wanted: RepositoryName | None
    ) -> Sequence[queries.Source]:
        """Where to look for the blob.

        A token is worth what it names: beyond that there are the target's own project, where its holder
        pushes, and what everybody may pull.
        """
        if wanted is not None:
            within = principal.scopes is None or wanted.project == target.project
            if await self._may_pull(principal, wanted, unnamed=within):
                return [queries.Source(wanted.project, wanted.path)]
            return []
        if principal.scopes is None:
            facts = await self._projects.facts(principal, target.project)
            standing = self._projects.standing(facts, principal)
            own = [queries.Source(target.project)] if allows(standing.permissions, Action.PULL) else []
            return [*own, queries.Source(user_id=principal.user_id, admin=bool(facts.admin))]
        named = []
        for full in principal.scopes:
            place = self._named(full)
            if place is not None and await self._may_pull(principal, place, unnamed=False):
                named.append(queries.Source(place.project, place.path))
        facts = await self._projects.facts(principal, target.project)
        if allows(self._projects.standing(facts, principal).permissions, Action.PULL):
            named.append(queries.Source(target.project))
        if self._projects.anonymous_pull:
            named.append(queries.Source())
        return named

    def _named(self, full: str) -> RepositoryName | None:
        project, slash, path = full.partition("/")
        return RepositoryName(project, path, full) if slash else None

    async def _may_pull(self, principal: Principal, name: RepositoryName, *, unnamed: bool) -> bool:
        """Whether the caller may pull from there; with `unnamed`, whatever their token names."""
        facts = await self._projects.facts(principal, name.project)
        asking = replace(principal, scopes=None) if unnamed else principal
        try:
            self._projects.authorize(facts, asking, name, Action.PULL)
        except (Denied, NotFound, Unauthenticated):
            return self._projects.anonymous_pull and not unnamed and self._is_open(facts, principal, name)
        return True

    def _is_open(self, facts: AccessFacts, principal: Principal, name: RepositoryName) -> bool:
        """Whether anybody may pull from there, from this address."""
        if not facts.public:
            return False
        try:
            check_address(facts, principal, name.project)
        except Denied:
            return False
        return True

    def _mount(
        self,
        conn: Connection,
        hold: Hold | None,
        project_id: int,
        path: str,
        digest: str,
        *,
        sources: Sequence[queries.Source],
    ) -> bool:
        found = (queries.readable_blob(conn, digest, source) for source in sources)
        blob = next((blob for blob in found if blob is not None), None)
        if blob is None:
            return False
        now = self._clock()
        repository = ensure_repository(conn, project_id, path, now=now)
        check_all(self._gates, conn, Attempt(Deed.LINK_BLOB, project_id, repository, digest))
        queries.promise_blob(conn, blob.id, now=now)
        bill = Bill(conn, project_id, repository, hold=hold)
        if queries.link_blob(conn, repository, blob.id, now=now):
            bill.blob(blob.id, blob.size)
        bill.settle()
        return True

    async def delete(self, principal: Principal, name: RepositoryName, digest: Digest) -> None:
        """Stop serving a blob from a repository.  Refused while a manifest there needs it."""
        project_id = await self._projects.require(principal, name, Action.DELETE)
        await self._database.write(self._delete, project_id, name.path, digest)

    def _delete(self, conn: Connection, project_id: int, path: str, digest: Digest) -> None:
        repository = repository_id(conn, project_id, path)
        found = None if repository is None else queries.linked_blob(conn, repository, str(digest))
        if repository is None or found is None:
            raise blob_unknown(digest)
        check_all(self._gates, conn, Attempt(Deed.DELETE_BLOB, project_id, repository, str(digest)))
        user = queries.manifest_using(conn, repository, found.id)
        if user is not None:
            raise Unsupported(
                "a manifest of this repository needs the blob",
                remedy="delete the manifest first",
                digest=str(digest),
                manifest=user,
            )
        queries.unlink_blob(conn, repository, found.id, found.size)
