"""What people can ask of manifests: pull, push, delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.errors import DigestInvalid, ManifestBlobUnknown, ManifestUnknown
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.documents import LARGEST_INTEGER
from roadstead.oci.manifests import Manifest, parse_manifest
from roadstead.oci.media_types import INDEXES, is_acceptable
from roadstead.oci.names import RepositoryName, Tag
from roadstead.projects.access import WIDTH, AccessFacts, RepositoryHidden
from roadstead.projects.roles import DELETE_TAG, Action
from roadstead.projects.service import Projects
from roadstead.quota.ledger import Bill, Hold
from roadstead.quota.reservations import Reservations
from roadstead.registry.blobs.queries import hold_blobs, lock_blobs, release_unused
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.manifests import queries
from roadstead.registry.manifests.platforms import default_child
from roadstead.registry.manifests.pulls import PullCounter
from roadstead.registry.repositories import ensure_repository, kept_repository_id
from roadstead.registry.tags.queries import delete_tag, put_tags, record_tags_deleted, tagged_manifest
from roadstead.telemetry.clock import Clock, now_ms

PUSHED = "manifest.pushed"
DELETED = "manifest.deleted"
UNTAGGED = "tag.deleted"

# Larger manifests are parsed in a thread, so that nobody else waits for them.
PARSED_INLINE = 64 * 1024
# So many of those are parsed and written at once by one process.  In hand, each of them costs several times its
# size; the others wait with their bytes alone.
LARGE_AT_ONCE = 4
# Indexes of which this process remembers what old clients get.
MOST_DEFAULTS = 4096

Validation = Literal["all", "blobs", "none"]


@dataclass(frozen=True, slots=True)
class FoundManifest:
    digest: str
    media_type: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class PushedManifest:
    digest: Digest
    subject: Digest | None
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """The caller may push to this project, which has set aside the manifest's bytes if it has a limit."""

    project_id: int
    hold: Hold | None = None
    # Whether there is a limit on the tags of a repository there, as far as was known then.
    counts_tags: bool = True


@dataclass(frozen=True, slots=True)
class _Push:
    """Everything about a push that does not depend on the database."""

    row: queries.NewManifest
    manifest: Manifest
    tags: tuple[Tag, ...]
    pusher: Principal
    name: RepositoryName


def manifest_unknown(name: RepositoryName, reference: Tag | Digest | str) -> ManifestUnknown:
    return ManifestUnknown(
        f"{name.requested} has no manifest {reference}",
        remedy="check the tag or digest, or push it first",
        name=name.requested,
        reference=str(reference),
    )


class Manifests:
    def __init__(
        self,
        database: Database,
        projects: Projects,
        gates: Sequence[Gate],
        pulls: PullCounter,
        *,
        reservations: Reservations,
        validation: Validation,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._projects = projects
        self._gates = gates
        self._pulls = pulls
        self._reservations = reservations
        self._validation = validation
        self._clock = clock
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        # By the index's digest: bytes never change, and half a second goes into reading the largest.
        self._defaults: dict[str, Digest | None] = {}

    async def pull(
        self,
        principal: Principal,
        name: RepositoryName,
        reference: Tag | Digest,
        *,
        accept: Sequence[str],
        count: bool,
    ) -> FoundManifest:
        """The manifest, byte for byte.

        By digest the caller has said exactly what they want, and `accept` is not asked.  By tag, a client that
        takes no index gets the index's Linux image for amd64, as old dockers expect.
        """
        found = await self._find(principal, name, reference, count=count)
        if isinstance(reference, Digest) or is_acceptable(accept, found.media_type):
            return found
        child = await self._default_child(found) if found.media_type in INDEXES else None
        if child is not None:
            image = await self._find(principal, name, child, count=count)
            if is_acceptable(accept, image.media_type):
                return image
        raise ManifestUnknown(
            f"the manifest is of type {found.media_type}, which the request does not accept",
            remedy="add the type to the Accept header, or use a newer client",
            media_type=found.media_type,
            reference=str(reference),
        )

    async def _default_child(self, index: FoundManifest) -> Digest | None:
        if index.digest not in self._defaults:
            if len(index.payload) <= PARSED_INLINE:
                child = default_child(index.payload)
            else:
                async with self._large:
                    child = await asyncio.to_thread(default_child, index.payload)
            if len(self._defaults) >= MOST_DEFAULTS:
                self._defaults.clear()
            self._defaults[index.digest] = child
        return self._defaults[index.digest]

    async def _find(
        self, principal: Principal, name: RepositoryName, reference: Tag | Digest, *, count: bool
    ) -> FoundManifest:
        parameters = {**self._projects.parameters(principal, name), "path": name.path}
        if isinstance(reference, Digest):
            row = await self._database.first(queries.BY_DIGEST, {**parameters, "digest": str(reference)})
        else:
            row = await self._database.first(queries.BY_TAG, {**parameters, "tag": reference})
        assert row is not None  # noqa: S101 - the query starts from a constant row
        facts = AccessFacts.of(row)
        self._projects.authorize(facts, principal, name, Action.PULL)
        repository, manifest, digest, media_type, payload = row[WIDTH:]
        if repository is None:
            raise RepositoryHidden(name)
        if manifest is None:
            raise manifest_unknown(name, reference)
        if count:
            self._pulls.note(facts.project_id, manifest)
        return FoundManifest(digest, media_type, payload)

    @asynccontextmanager
    async def admit(
        self, principal: Principal, name: RepositoryName, size: int | None
    ) -> AsyncIterator[Admission]:
        """Raise unless the caller may push there, and a manifest of that size fits: asked before a byte is read."""
        row = await self._database.first(queries.PUSH_ACCESS, self._projects.parameters(principal, name))
        assert row is not None  # noqa: S101 - the query starts from a constant row
        facts, (limit, tags) = AccessFacts.of(row), row[WIDTH:]
        project_id = await self._projects.admit_push(facts, principal, name)
        if facts.project_id is None:
            yield Admission(project_id)
            return
        admitted = Admission(project_id, counts_tags=tags is None or tags >= 0)
        if size is None or limit is None or limit < 0:
            yield admitted
            return
        async with self._reservations.hold(project_id, size) as hold:
            yield replace(admitted, hold=hold)

    async def push(
        self,
        principal: Principal,
        name: RepositoryName,
        reference: Tag | Digest,
        payload: bytes,
        *,
        admitted: Admission,
        content_type: str | None,
        tags: Sequence[Tag],
    ) -> PushedManifest:
        """Keep a manifest and point tags at it, in one transaction.

        Raises `DigestInvalid`, `ManifestInvalid`, and `ManifestBlobUnknown` for what the repository lacks.
        """
        if isinstance(reference, Digest):
            digest = Digest.of(payload, reference.algorithm)
            if digest != reference:
                raise DigestInvalid(
                    "the manifest's bytes are not those that the digest names",
                    remedy="push to the digest of the exact bytes sent",
                    digest=str(reference),
                    received=str(digest),
                )
        else:
            digest = Digest.of(payload)
            tags = (reference, *tags)
        async with nullcontext() if len(payload) <= PARSED_INLINE else self._large:
            manifest = await self._parse(payload, content_type)
            subject = None if manifest.subject is None else manifest.subject.digest
            row = queries.NewManifest(
                digest=str(digest),
                media_type=manifest.media_type,
                artifact_type=manifest.artifact_type,
                subject_digest=None if subject is None else str(subject),
                payload=payload,
                total_size=_total_size(manifest, len(payload)),
            )
            push = _Push(row, manifest, tuple(dict.fromkeys(tags)), principal, name)
            await self._keep(admitted, push)
        return PushedManifest(digest, subject, push.tags)

    async def _parse(self, payload: bytes, content_type: str | None) -> Manifest:
        if len(payload) <= PARSED_INLINE:
            return parse_manifest(payload, content_type)
        return await asyncio.to_thread(parse_manifest, payload, content_type)

    async def _keep(self, admitted: Admission, push: _Push) -> None:
        if admitted.hold is None:
            await self._reservations.charging(admitted.project_id, self._push, admitted, push)
        else:
            await self._database.write(self._push, admitted.hold, admitted, push)

    def _push(self, conn: Connection, hold: Hold | None, admitted: Admission, push: _Push) -> None:
        project_id = admitted.project_id
        now = self._clock()
        repository = ensure_repository(conn, project_id, push.name.path, now=now)
        attempt = Attempt(
            Deed.PUSH_MANIFEST, project_id, repository, push.row.digest, push.tags, len(push.row.payload)
        )
        check_all(self._gates, conn, attempt)
        children = {str(child.digest) for child in push.manifest.children()}
        content = {str(blob.digest) for blob in chain(push.manifest.blobs(), push.manifest.foreign_layers())}
        named = content | children
        blobs = queries.linked_blobs(conn, repository, named) if named else {}
        self._check_references(conn, repository, push.manifest, blobs, children)
        row = push.row
        if children:
            # Each counts with what it names itself.
            sizes = queries.total_sizes(conn, repository, children - blobs.keys())
            row = replace(row, total_size=min(row.total_size + sum(sizes), LARGEST_INTEGER))
        manifest, fresh = queries.insert_manifest(conn, repository, row, now=now)
        bill = Bill(conn, project_id, repository, hold=hold)
        if fresh:
            bill.manifest(len(row.payload))
            queries.insert_references(
                conn,
                manifest,
                blobs=[(digest, blobs.get(digest)) for digest in sorted(content | blobs.keys())],
                children=sorted(children - blobs.keys() - content),
            )
            hold_blobs(conn, sorted(blobs.values()))
        else:
            # In a registry that takes sparse manifests, blobs may have come after them.
            hold_blobs(conn, sorted(queries.complete_references(conn, manifest, blobs)))
        bill.settle()
        put_tags(
            conn,
            repository,
            push.tags,
            manifest,
            digest=row.digest,
            username=push.pusher.username,
            now=now,
            counted=admitted.counts_tags,
        )
        record(
            conn,
            PUSHED,
            project_id=project_id,
            now=now,
            repository=push.name.path,
            digest=push.row.digest,
            media_type=push.row.media_type,
            tags=list(push.tags),
            user=push.pusher.username,
        )
        trail.record(
            conn,
            push.pusher,
            "create",
            "artifact",
            f"{push.name.full}@{row.digest}",
            now=now,
            project_id=project_id,
            payload={"tags": list(push.tags)},
        )

    def _check_references(
        self,
        conn: Connection,
        repository: int,
        manifest: Manifest,
        blobs: Mapping[str, int],
        children: set[str],
    ) -> None:
        missing: list[str] = []
        if self._validation != "none":
            missing = [d for blob in manifest.blobs() if (d := str(blob.digest)) not in blobs]
        if self._validation == "all" and (unknown := children - blobs.keys()):
            # BuildKit's cache indexes have layers for children, so a blob will do.
            missing += sorted(unknown - queries.present_manifests(conn, repository, unknown))
        if missing:
            raise ManifestBlobUnknown(
                "the manifest names content that this repository does not have",
                digests=list(dict.fromkeys(missing)),
                remedy="push every blob and every child manifest first",
            )

    async def delete(self, principal: Principal, name: RepositoryName, reference: Tag | Digest) -> None:
        """Remove a tag, or a manifest with every tag on it."""
        sufficient = None if isinstance(reference, Digest) else DELETE_TAG
        project_id = await self._projects.require(principal, name, Action.DELETE, sufficient)
        if isinstance(reference, Digest):
            await self._database.write(self.delete_manifest, principal, project_id, name, reference)
        else:
            await self._database.write(self.delete_tag, principal, project_id, name, reference)

    def delete_tag(
        self, conn: Connection, principal: Principal, project_id: int, name: RepositoryName, tag: Tag
    ) -> None:
        """In the caller's transaction; what `principal` may do has been looked at."""
        repository = _existing(conn, project_id, name)
        if tagged_manifest(conn, repository, tag) is None:
            raise manifest_unknown(name, tag)
        check_all(self._gates, conn, Attempt(Deed.DELETE_TAG, project_id, repository, "", (tag,)))
        now = self._clock()
        user = principal.username
        delete_tag(conn, repository, tag, username=user, now=now)
        record(conn, UNTAGGED, project_id=project_id, now=now, repository=name.path, tags=[tag], user=user)
        trail.record(conn, principal, "delete", "tag", f"{name.full}:{tag}", now=now, project_id=project_id)

    def delete_manifest(
        self, conn: Connection, principal: Principal, project_id: int, name: RepositoryName, digest: Digest
    ) -> None:
        """In the caller's transaction; what `principal` may do has been looked at."""
        repository = _existing(conn, project_id, name)
        manifest = queries.locked_manifest_id(conn, repository, str(digest))
        if manifest is None:
            raise manifest_unknown(name, digest)
        tags = tuple(queries.tags_of(conn, manifest))
        check_all(self._gates, conn, Attempt(Deed.DELETE_MANIFEST, project_id, repository, str(digest), tags))
        blobs = queries.held_blobs(conn, manifest)
        lock_blobs(conn, blobs)
        now = self._clock()
        user = principal.username
        record_tags_deleted(conn, repository, manifest, username=user, now=now)
        queries.delete_manifest(conn, manifest)
        release_unused(conn, blobs, now=now)
        record(
            conn,
            DELETED,
            project_id=project_id,
            now=now,
            repository=name.path,
            digest=str(digest),
            tags=list(tags),
            user=user,
        )
        trail.record(
            conn,
            principal,
            "delete",
            "artifact",
            f"{name.full}@{digest}",
            now=now,
            project_id=project_id,
            payload={"tags": list(tags)},
        )


def _total_size(manifest: Manifest, own: int) -> int:
    """Bytes of the manifest, its config and its layers, as it says.  Children are counted in the database."""
    named = {str(each.digest): each.size for each in chain(manifest.blobs(), manifest.foreign_layers())}
    return min(own + sum(named.values()), LARGEST_INTEGER)


def _existing(conn: Connection, project_id: int, name: RepositoryName) -> int:
    repository = kept_repository_id(conn, project_id, name.path)
    if repository is None:
        raise RepositoryHidden(name)
    return repository
