"""What people can ask of one tag: make it, move it, remove it, see what happened to it, and take that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.list_requests import ListRequest
from roadstead.errors import Denied, NotFound
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName, Tag
from roadstead.projects.roles import MOVE_TAG
from roadstead.registry.artifacts.service import Reference, existing, place_of
from roadstead.registry.artifacts.views import Immutability, Place, Row
from roadstead.registry.directory.service import FoundRepository, RepositoryDirectory
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.manifests.service import Manifests
from roadstead.registry.tags import history
from roadstead.registry.tags.queries import RESTORED, TagExists, put_tags, tagged_manifest
from roadstead.telemetry.clock import Clock, now_ms

TAG_CREATED, TAG_MOVED, TAG_RESTORED = "tag.created", "tag.moved", "tag.restored"


class NoTag(NotFound):
    """Only for those who may read the repository."""

    def __init__(self, name: RepositoryName, tag: str) -> None:
        super().__init__(f"tag {name.full}:{tag} not found", remedy="list the artifact's tags")


class NothingToRestore(NotFound):
    """The tag was not deleted lately, or what it pointed at is gone."""

    def __init__(self, tag: str, *, grace: float) -> None:
        super().__init__(
            f"there is nothing to restore {tag} to",
            remedy=f"a tag can be restored for {grace / 3600:g} hours while its manifest is there; else push it",
            tag=tag,
        )


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag of an artifact.  `immutable` is None where nobody asked."""

    row: Row
    artifact: RowMapping
    immutable: bool | None


class TagEditor:
    def __init__(
        self,
        database: Database,
        repositories: RepositoryDirectory,
        manifests: Manifests,
        gates: Sequence[Gate],
        immutability: Immutability,
        *,
        grace: float,
        clock: Clock = now_ms,
    ) -> None:
        """A deleted tag can be restored for `grace` seconds."""
        self._database = database
        self._repositories = repositories
        self._manifests = manifests
        self._gates = gates
        self._immutability = immutability
        self._grace = grace
        self._clock = clock

    async def page(
        self,
        principal: Principal,
        project: str,
        path: str,
        reference: Reference,
        request: ListRequest,
        *,
        immutable: bool,
    ) -> tuple[Sequence[TagView], int]:
        """The tags of an artifact."""
        found = await self._repositories.find(principal, project, path, "tag:list")
        return await self._database.read(self._page, place_of(found), reference, request, immutable)

    async def create(
        self, principal: Principal, project: str, path: str, reference: Reference, tag: Tag
    ) -> None:
        """Raises `TagExists` wherever in the repository the tag is."""
        found = await self._repositories.find(principal, project, path, "tag:create")
        await self._database.write(self._put, principal, place_of(found), reference, tag, moves=False)

    async def move(
        self, principal: Principal, project: str, path: str, reference: Reference, tag: Tag
    ) -> None:
        """Point the tag at the artifact; it is made if it was not there."""
        found = await self._repositories.find(principal, project, path, "tag:create")
        await self._database.write(
            self._put, principal, place_of(found), reference, tag, moves=_may_move(found)
        )

    async def delete(
        self, principal: Principal, project: str, path: str, reference: Reference, tag: Tag
    ) -> None:
        """Remove the tag from the artifact, which stays."""
        found = await self._repositories.find(principal, project, path, "tag:delete")
        await self._database.write(self._delete, principal, place_of(found), reference, tag)

    async def history(
        self, principal: Principal, project: str, path: str, tag: Tag, request: ListRequest
    ) -> tuple[Sequence[RowMapping], int]:
        """What happened to the tag, the latest first, whether it is there now or not."""
        found = await self._repositories.find(principal, project, path, "tag:list")
        return await self._database.read(history.changes_page, found.id, tag, request)

    async def restore(
        self, principal: Principal, project: str, path: str, tag: Tag, digest: Digest | None
    ) -> str:
        """Put a deleted tag back where it was, or at `digest`, where it was once; returns the digest."""
        found = await self._repositories.find(principal, project, path, "tag:create")
        return await self._database.write(self._restore, principal, place_of(found), tag, digest)

    # ── in one transaction ──────────────────────────────────────────────────────────────────────────────

    def _page(
        self, conn: Connection, place: Place, reference: Reference, request: ListRequest, immutable: bool
    ) -> tuple[list[TagView], int]:
        artifact = existing(conn, place, reference)
        rows, total = history.tags_page(conn, artifact["id"], place.repository_id, request)
        covers: Callable[[str], bool] | None = None
        if immutable:
            covers = self._immutability.covers(conn, place.project_id)(place.name.path)
        return [TagView(dict(row), artifact, covers(row["name"]) if covers else None) for row in rows], total

    def _put(
        self,
        conn: Connection,
        principal: Principal,
        place: Place,
        reference: Reference,
        tag: Tag,
        *,
        moves: bool | None,
    ) -> None:
        """`moves`: False refuses a tag that is there, and None one that the caller may not move."""
        artifact = existing(conn, place, reference)
        self._check(conn, place, tag, artifact["digest"])
        held = tagged_manifest(conn, place.repository_id, tag)
        if held is not None:
            if held[0] == artifact["id"] and moves is not False:
                return
            if moves is False:
                raise TagExists(tag)
            if moves is None:
                raise Denied(
                    f"you may make tags in {place.name.full}, and not move them",
                    remedy="choose another name, or ask for the right to push or to delete tags",
                )
        self._point(
            conn,
            principal,
            place,
            tag,
            manifest=artifact["id"],
            digest=artifact["digest"],
            kind=TAG_CREATED if held is None else TAG_MOVED,
            moves=moves is True,
        )

    def _delete(
        self, conn: Connection, principal: Principal, place: Place, reference: Reference, tag: Tag
    ) -> None:
        artifact = existing(conn, place, reference)
        held = tagged_manifest(conn, place.repository_id, tag)
        if held is None or held[0] != artifact["id"]:
            raise NoTag(place.name, tag)
        self._manifests.delete_tag(conn, principal, place.project_id, place.name, tag)

    def _restore(
        self, conn: Connection, principal: Principal, place: Place, tag: Tag, digest: Digest | None
    ) -> str:
        since = self._clock() - int(self._grace * 1000)
        wanted = None if digest is None else str(digest)
        found = history.restorable(conn, place.repository_id, tag, since=since, digest=wanted)
        if found is None:
            raise NothingToRestore(tag, grace=self._grace)
        manifest, was = found
        self._check(conn, place, tag, was)
        if tagged_manifest(conn, place.repository_id, tag) is not None:
            raise TagExists(tag)
        self._point(
            conn, principal, place, tag, manifest=manifest, digest=was, kind=TAG_RESTORED, moves=False
        )
        return was

    def _check(self, conn: Connection, place: Place, tag: Tag, digest: str) -> None:
        attempt = Attempt(Deed.TAG_MANIFEST, place.project_id, place.repository_id, digest, (tag,))
        check_all(self._gates, conn, attempt)

    def _point(
        self,
        conn: Connection,
        principal: Principal,
        place: Place,
        tag: Tag,
        *,
        manifest: int,
        digest: str,
        kind: str,
        moves: bool,
    ) -> None:
        now, user = self._clock(), principal.username
        put_tags(
            conn,
            place.repository_id,
            [tag],
            manifest,
            digest=digest,
            username=user,
            now=now,
            deed=RESTORED if kind == TAG_RESTORED else None,
            # Where we may not move it, whoever has pushed it since we looked keeps it.
            moves=moves,
        )
        record(
            conn,
            kind,
            project_id=place.project_id,
            now=now,
            repository=place.name.path,
            digest=digest,
            tags=[tag],
            user=user,
        )
        trail.record(
            conn,
            principal,
            "update" if kind == TAG_MOVED else "create",
            "tag",
            f"{place.name.full}:{tag}",
            now=now,
            project_id=place.project_id,
            description="restored" if kind == TAG_RESTORED else "",
            payload={"digest": digest},
        )


def _may_move(found: FoundRepository) -> bool | None:
    """Whoever only makes tags moves none."""
    return None if MOVE_TAG.isdisjoint(found.access.standing.at(found.name.path)) else True
