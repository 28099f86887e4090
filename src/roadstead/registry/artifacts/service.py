"""What people can ask of artifacts: lists, one of them, deletion, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, RowMapping

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.list_requests import ListRequest
from roadstead.errors import Conflict, NotFound, Precondition
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName, Tag
from roadstead.projects.access import SignInNeeded
from roadstead.projects.authority import ProjectAccess, ProjectReference
from roadstead.projects.roles import Permission
from roadstead.registry.artifacts import queries
from roadstead.registry.artifacts.describing import Describer
from roadstead.registry.artifacts.views import (
    ArtifactView,
    Immutability,
    Place,
    Row,
    Wanted,
    accessory,
    assemble,
)
from roadstead.registry.directory.service import (
    FoundRepository,
    RepositoryDirectory,
    matching_repositories,
)
from roadstead.registry.manifests.service import Manifests
from roadstead.telemetry.clock import Clock, now_ms

LABELLED, UNLABELLED = "artifact.labelled", "artifact.unlabelled"
_LIST: Permission = "artifact:list"
# Accessories, and theirs, that go with an artifact.
MOST_ACCESSORIES = 10_000

Reference = Tag | Digest


class NoArtifact(NotFound):
    """Only for those who may read the repository."""

    def __init__(self, name: RepositoryName, reference: Reference) -> None:
        mark = "@" if isinstance(reference, Digest) else ":"
        super().__init__(
            f"artifact {name.full}{mark}{reference} not found", remedy="list the repository's artifacts"
        )


class NoLabel(NotFound):
    """The label is not there, or it is another project's: one answer for both."""

    def __init__(self, label_id: int) -> None:
        super().__init__(f"label {label_id} not found", remedy="list the labels of the project")


class Artifacts:
    def __init__(
        self,
        database: Database,
        repositories: RepositoryDirectory,
        manifests: Manifests,
        describer: Describer,
        immutability: Immutability,
        *,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._repositories = repositories
        self._manifests = manifests
        self._describer = describer
        self._immutability = immutability
        self._clock = clock

    async def page(
        self, principal: Principal, project: str, path: str, request: ListRequest, wanted: Wanted
    ) -> tuple[Sequence[ArtifactView], int]:
        """The artifacts that have a tag or stand alone; with `base=*` in `q`, all that there are."""
        found = await self._repositories.find(principal, project, path, _LIST)
        views, total = await self._database.read(self._page, place_of(found), request, wanted)
        await self._describe(views)
        return views, total

    async def in_project(
        self,
        principal: Principal,
        project: ProjectReference,
        request: ListRequest,
        wanted: Wanted,
        *,
        latest: bool = False,
    ) -> tuple[Sequence[ArtifactView], int]:
        """The same of all repositories of a project, or of those that the caller may see.

        `latest`: only the last in each; the request says of which type.  Raises `RequestInvalid` if it does not.
        """
        if principal.anonymous:
            raise SignInNeeded("authentication required", remedy="sign in")
        access = await self._repositories.somewhere(principal, project, _LIST)
        views, total = await self._database.read(
            self._page_of_project, access, request, wanted, latest=latest
        )
        await self._describe(views)
        return views, total

    async def get(
        self, principal: Principal, project: str, path: str, reference: Reference, wanted: Wanted
    ) -> ArtifactView:
        found = await self._repositories.find(principal, project, path, "artifact:read")
        view = await self._database.read(self._one, place_of(found), reference, wanted)
        await self._describe([view])
        return view

    async def accessories(
        self, principal: Principal, project: str, path: str, reference: Reference, request: ListRequest
    ) -> tuple[Sequence[Row], int]:
        """What refers to the artifact."""
        found = await self._repositories.find(principal, project, path, "accessory:list")
        return await self._database.read(_accessories, place_of(found), reference, request)

    async def delete(self, principal: Principal, project: str, path: str, reference: Reference) -> None:
        """Remove the artifact, every tag on it, and what refers to it."""
        found = await self._repositories.find(principal, project, path, "artifact:delete")
        await self._database.write(self._delete, principal, place_of(found), reference)

    async def add_label(
        self, principal: Principal, project: str, path: str, reference: Reference, label_id: int
    ) -> None:
        found = await self._repositories.find(principal, project, path, "artifact-label:create")
        await self._database.write(self._add_label, principal, place_of(found), reference, label_id)

    async def remove_label(
        self, principal: Principal, project: str, path: str, reference: Reference, label_id: int
    ) -> None:
        found = await self._repositories.find(principal, project, path, "artifact-label:delete")
        await self._database.write(self._remove_label, principal, place_of(found), reference, label_id)

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    def _page(
        self, conn: Connection, place: Place, request: ListRequest, wanted: Wanted
    ) -> tuple[list[ArtifactView], int]:
        rows, total = queries.artifacts_page(conn, queries.of_repository(place.repository_id), request)
        return self._views(conn, place.project_id, {place.repository_id: place.name}, rows, wanted), total

    def _page_of_project(
        self,
        conn: Connection,
        access: ProjectAccess,
        request: ListRequest,
        wanted: Wanted,
        *,
        latest: bool,
    ) -> tuple[list[ArtifactView], int]:
        within = queries.of_project(access.id, matching_repositories(conn, access, _LIST))
        rows, total = queries.artifacts_page(conn, within, request, latest=latest)
        paths = queries.paths_of(conn, list({row["repository_id"] for row in rows}))
        names = {each: self._repositories.name(access, path) for each, path in paths.items()}
        return self._views(conn, access.id, names, rows, wanted), total

    def _one(self, conn: Connection, place: Place, reference: Reference, wanted: Wanted) -> ArtifactView:
        row = existing(conn, place, reference)
        return self._views(conn, place.project_id, {place.repository_id: place.name}, [row], wanted)[0]

    def _views(
        self,
        conn: Connection,
        project_id: int,
        names: Mapping[int, RepositoryName],
        rows: Sequence[RowMapping],
        wanted: Wanted,
    ) -> list[ArtifactView]:
        return assemble(conn, project_id, names, rows, wanted, immutability=self._immutability)

    async def _describe(self, views: Sequence[ArtifactView]) -> None:
        """Look into those that nobody has looked into yet."""
        missing = [view for view in views if view.row["details"] is None or not view.size]
        described = await self._describer.describe([(view.row["id"], view.row["size"]) for view in missing])
        for view in missing:
            view.details, view.size = described.get(view.row["id"], (view.details, view.size))

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────

    def _delete(self, conn: Connection, principal: Principal, place: Place, reference: Reference) -> None:
        subject = existing(conn, place, reference)
        digest = subject["digest"]
        if queries.is_child(conn, place.repository_id, digest):
            raise Precondition(
                "the deleting artifact is referenced by others",
                remedy="delete the index that it is part of first",
                digest=digest,
            )
        # What refers to something goes before it.
        for each in reversed(_with_accessories(conn, subject)):
            self._manifests.delete_manifest(conn, principal, place.project_id, place.name, Digest.parse(each))

    def _add_label(
        self, conn: Connection, principal: Principal, place: Place, reference: Reference, label_id: int
    ) -> None:
        row = existing(conn, place, reference)
        label = queries.label(conn, label_id, place.project_id)
        if label is None:
            raise NoLabel(label_id)
        if not queries.add_label(conn, row["id"], label_id, now=self._clock()):
            raise Conflict("the artifact has the label already", remedy="leave it as it is", label=label_id)
        self._tell(conn, principal, place, kind=LABELLED, digest=row["digest"], label=label)

    def _remove_label(
        self, conn: Connection, principal: Principal, place: Place, reference: Reference, label_id: int
    ) -> None:
        row = existing(conn, place, reference)
        label = queries.label(conn, label_id, place.project_id)
        if label is None or not queries.remove_label(conn, row["id"], label_id):
            raise NoLabel(label_id)
        self._tell(conn, principal, place, kind=UNLABELLED, digest=row["digest"], label=label)

    def _tell(
        self,
        conn: Connection,
        principal: Principal,
        place: Place,
        *,
        kind: str,
        digest: str,
        label: RowMapping,
    ) -> None:
        now, resource = self._clock(), f"{place.name.full}@{digest}"
        record(
            conn,
            kind,
            project_id=place.project_id,
            now=now,
            repository=place.name.path,
            digest=digest,
            label=label["name"],
            user=principal.username,
        )
        trail.record(
            conn,
            principal,
            "create" if kind == LABELLED else "delete",
            "artifact-label",
            resource,
            now=now,
            project_id=place.project_id,
            payload={"label": label["name"], "label_id": label["id"]},
        )


def place_of(found: FoundRepository) -> Place:
    return Place(found.access.id, found.id, found.name)


def existing(conn: Connection, place: Place, reference: Reference) -> RowMapping:
    row = queries.artifact(conn, place.repository_id, str(reference), digest=isinstance(reference, Digest))
    if row is None:
        raise NoArtifact(place.name, reference)
    return row


def _accessories(
    conn: Connection, place: Place, reference: Reference, request: ListRequest
) -> tuple[list[Row], int]:
    subject = existing(conn, place, reference)
    rows, total = queries.accessories_page(conn, place.repository_id, subject["digest"], request)
    return [accessory(row, subject["id"]) for row in rows], total


def _with_accessories(conn: Connection, subject: RowMapping) -> list[str]:
    """Its digest, then of what refers to it, then of what refers to that."""
    found: dict[int, str] = {subject["id"]: subject["digest"]}
    fresh = dict(found)
    while fresh and len(found) < MOST_ACCESSORIES:
        rows = queries.accessories_of(conn, list(fresh))
        fresh = {row["id"]: row["digest"] for row in rows if row["id"] not in found}
        found.update(fresh)
    return list(found.values())
