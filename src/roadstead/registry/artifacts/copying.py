"""Copying an artifact between repositories: rows alone, for its bytes are where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.errors import Denied, RequestInvalid
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName, Tag, parse_tag
from roadstead.projects.access import check_address
from roadstead.projects.authority import Authority
from roadstead.projects.roles import MOVE_TAG, PULL
from roadstead.projects.service import Projects
from roadstead.quota.ledger import Bill, Hold
from roadstead.quota.reservations import Reservations
from roadstead.registry.artifacts import copies
from roadstead.registry.artifacts.service import NoArtifact, Reference
from roadstead.registry.blobs.queries import hold_blobs
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.http import DOOR
from roadstead.registry.manifests.service import PUSHED
from roadstead.registry.repositories import ensure_repository, kept_repository_id
from roadstead.registry.tags.history import tag_names
from roadstead.registry.tags.queries import put_tags, tagged_manifest
from roadstead.telemetry.clock import Clock, now_ms

# Children and accessories, and tags, that one copy takes along.
MOST_MANIFESTS = 5_000
MOST_TAGS = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """What to copy."""

    name: RepositoryName
    reference: Reference

    def __str__(self) -> str:
        return f"{self.name.full}{'@' if isinstance(self.reference, Digest) else ':'}{self.reference}"


class ArtifactCopies:
    def __init__(
        self,
        database: Database,
        projects: Projects,
        authority: Authority,
        gates: Sequence[Gate],
        *,
        reservations: Reservations,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._projects = projects
        self._authority = authority
        self._gates = gates
        self._reservations = reservations
        self._clock = clock

    def source(self, text: str) -> Source:
        """`project/repository:tag` or `project/repository@digest`.  Raises `Invalid`."""
        name, mark, digest = text.partition("@")
        tag = ""
        if not mark:
            name, _, tag = text.rpartition(":")
        if "/" not in name:
            raise RequestInvalid(
                "`from` names no artifact", remedy="write project/repository:tag or project/repository@digest"
            )
        reference: Reference = Digest.parse(digest) if mark else parse_tag(tag)
        return Source(self._projects.name(name), reference)

    async def copy(self, principal: Principal, project: str, path: str, source: Source) -> RepositoryName:
        """With its children, with what refers to it, and with all its tags; returns where it is now."""
        target = await self._authority.project(principal, project, "artifact:create", path=path)
        name = self._projects.name(f"{target.name}/{path}")
        origin = await self._authority.project(principal, source.name.project, PULL, path=source.name.path)
        # To copy is to pull: from an address that may do neither, neither.
        check_address(origin.facts, replace(principal, door=DOOR), origin.name)
        await self._reservations.charging(
            target.id,
            self._copy,
            principal,
            origin.id,
            source,
            target_id=target.id,
            target=name,
            moves=not MOVE_TAG.isdisjoint(target.standing.at(path)),
        )
        return name

    def _copy(
        self,
        conn: Connection,
        hold: Hold | None,
        principal: Principal,
        origin_id: int,
        source: Source,
        *,
        target_id: int,
        target: RepositoryName,
        moves: bool,
    ) -> None:
        """Unless it `moves` tags, one that is there and points elsewhere is refused."""
        now = self._clock()
        origin = kept_repository_id(conn, origin_id, source.name.path)
        wanted = copies.wanted(
            conn, origin, str(source.reference), digest=isinstance(source.reference, Digest)
        )
        if origin is None or wanted is None:
            raise NoArtifact(source.name, source.reference)
        family = copies.family(conn, origin, wanted, most=MOST_MANIFESTS)
        copies.keep(conn, family)
        tags = tuple(Tag(tag) for tag in tag_names(conn, wanted.id, limit=MOST_TAGS))
        repository = ensure_repository(conn, target_id, target.path, now=now)
        if repository == origin:
            return
        bill = Bill(conn, target_id, repository, hold=hold)
        blobs = copies.link_blobs(conn, repository, [each.id for each in family], now=now)
        for blob, size in blobs.new:
            bill.blob(blob, size)
        for each in family:
            its = tags if each.id == wanted.id else ()
            attempt = Attempt(Deed.PUSH_MANIFEST, target_id, repository, each.digest, its, each.size)
            check_all(self._gates, conn, attempt)
            made = copies.copy_manifest(conn, each, repository, now=now)
            if made.fresh:
                bill.manifest(each.size)
            if not moves:
                its = _new_tags(conn, repository, target, its, made.id)
            user = principal.username
            put_tags(conn, repository, its, made.id, digest=each.digest, username=user, now=now, moves=moves)
            if made.fresh or its:
                self._tell(conn, principal, target_id, target, each, tags=its, source=source)
        hold_blobs(conn, blobs.all)
        bill.settle()

    def _tell(
        self,
        conn: Connection,
        principal: Principal,
        project_id: int,
        target: RepositoryName,
        copied: copies.Copied,
        *,
        tags: Sequence[Tag],
        source: Source,
    ) -> None:
        now = self._clock()
        record(
            conn,
            PUSHED,
            project_id=project_id,
            now=now,
            repository=target.path,
            digest=copied.digest,
            media_type=copied.media_type,
            tags=list(tags),
            user=principal.username,
        )
        trail.record(
            conn,
            principal,
            "create",
            "artifact",
            f"{target.full}@{copied.digest}",
            now=now,
            project_id=project_id,
            payload={"from": str(source), "tags": list(tags)},
        )


def _new_tags(
    conn: Connection, repository: int, target: RepositoryName, tags: Sequence[Tag], manifest: int
) -> tuple[Tag, ...]:
    """Those that are not there yet.  Raises `Denied` for one that would have to be moved."""
    held = {tag: found[0] for tag in tags if (found := tagged_manifest(conn, repository, tag)) is not None}
    moved = sorted(tag for tag, there in held.items() if there != manifest)
    if moved:
        raise Denied(
            f"you may put artifacts into {target.full}, and not move its tag {moved[0]}",
            remedy="copy to another name, or ask for the right to push or to delete tags",
        )
    return tuple(tag for tag in tags if tag not in held)
