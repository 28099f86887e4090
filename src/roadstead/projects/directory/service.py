"""What people can ask of the projects there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Denied, NotBuilt
from roadstead.identity.principals import Principal
from roadstead.projects.access import AddressDenied
from roadstead.projects.allowlists import Allowlist
from roadstead.projects.authority import Authority, ProjectHidden, ProjectReference
from roadstead.projects.creation import NewProject, ProjectExists
from roadstead.projects.directory import changes, queries
from roadstead.projects.directory.changes import VisibilityCheck, why_not_deletable
from roadstead.projects.directory.queries import ProjectInfo, Shown
from roadstead.projects.directory.rules import (
    PROTECTED,
    PUBLIC,
    check_metadata,
    check_metadata_key,
    check_project_name,
    check_storage,
)
from roadstead.projects.queries import DEFAULT_LIMIT
from roadstead.projects.service import CREATE_PROJECT, Projects
from roadstead.projects.visibility import closed_to
from roadstead.telemetry.clock import Clock, now_ms


@dataclass(frozen=True, slots=True)
class Draft:
    """A project that somebody wants."""

    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    # In bytes; None and 0 are the default.  Of anybody but an administrator it is passed over.
    storage: int | None = None
    # A registry that it would be a cache of.
    registry_id: int | None = None
    cve_allowlist: Allowlist | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    id: int
    repo_count: int
    # Role → how many members have it; None where the caller may not know.
    members: Mapping[int, int] | None
    # Whether the caller may know of limits and usage.
    shows_quota: bool


class Directory:
    def __init__(
        self,
        database: Database,
        projects: Projects,
        authority: Authority,
        *,
        checks: Sequence[VisibilityCheck] = (),
        clock: Clock = now_ms,
    ) -> None:
        """`checks` are asked before a project becomes public, or private."""
        self._database = database
        self._projects = projects
        self._authority = authority
        self._checks = checks
        self._clock = clock

    async def create(self, principal: Principal, draft: Draft) -> int:
        """The new project's id.  Raises `ProjectExists`."""
        await self._authorize_creation(principal)
        if draft.registry_id:
            raise NotBuilt(
                "projects that are caches of other registries are not built yet",
                remedy="leave registry_id out",
            )
        metadata = check_metadata(draft.metadata)
        name = check_project_name(draft.name)
        columns = {key: metadata.pop(key, "false") == "true" for key in (PUBLIC, PROTECTED)}
        new = NewProject(
            name,
            public=columns[PUBLIC],
            owner_id=await self._projects.owner_of_new(principal),
            storage=await self._storage(principal, draft.storage),
            deletion_protected=columns[PROTECTED],
            settings=metadata,
            cve_allowlist=None if draft.cve_allowlist is None else draft.cve_allowlist.document(),
        )
        created = await self._projects.create(principal, new)
        if created is None:
            raise ProjectExists(name)
        return created

    async def _authorize_creation(self, principal: Principal) -> None:
        facts = await self._authority.signed_in(principal)
        if not await self._projects.may_create(facts, principal):
            raise Denied(
                f"you lack the permission {CREATE_PROJECT} in this registry",
                remedy="ask an administrator of the registry to make the project",
            )

    async def _storage(self, principal: Principal, limit: int | None) -> int:
        if not limit or not await self._authority.administrator(principal):
            return DEFAULT_LIMIT
        return check_storage(limit)

    async def list(
        self,
        principal: Principal,
        request: ListRequest,
        *,
        name: str = "",
        owner: str = "",
        public: bool | None = None,
    ) -> tuple[Sequence[ProjectInfo], int]:
        """The projects that the caller may see: a page, and how many there are."""
        admin = await self._authority.administrator(principal)
        if principal.anonymous and not self._projects.anonymous_pull:
            return (), 0
        closed = await closed_to(self._database, principal)
        shown = Shown(principal.user_id, admin, name, owner, public, closed)
        return await self._database.read(queries.projects_page, shown, request)

    async def get(self, principal: Principal, reference: ProjectReference) -> ProjectInfo:
        access = await self._authority.project(principal, reference)
        found = await self._database.read(queries.project_info, access.id, principal.user_id)
        if found is None:
            raise ProjectHidden(reference)
        return found

    async def exists(self, principal: Principal, name: str) -> bool:
        """Whether there is such a project that the caller may see.  Nobody learns of others."""
        await self._authority.signed_in(principal)
        try:
            await self._authority.project(principal, name)
        except (ProjectHidden, AddressDenied):
            return False
        return True

    async def update(
        self,
        principal: Principal,
        reference: ProjectReference,
        metadata: Mapping[str, str],
        allowlist: Allowlist | None = None,
    ) -> None:
        """Set what is given, and leave the rest.  Metadata asks for the permission that its own paths ask for."""
        access = await self._authority.project(principal, reference, "project:update")
        if metadata:
            await self._authority.project(principal, access.id, "metadata:update")
        await self._write(principal, access.id, dict(check_metadata(metadata)), allowlist)

    async def _write(
        self,
        principal: Principal,
        project: int,
        metadata: Mapping[str, str | None],
        allowlist: Allowlist | None = None,
    ) -> None:
        await self._database.write(
            changes.update,
            principal,
            project,
            metadata,
            allowlist,
            checks=self._checks,
            now=self._clock(),
        )

    # ── metadata by itself ──────────────────────────────────────────────────────────────────────────────

    async def metadata(
        self, principal: Principal, reference: ProjectReference, permission: str = "metadata:read"
    ) -> Mapping[str, str]:
        access = await self._authority.project(principal, reference, permission)
        found = await self._database.read(queries.project_info, access.id, None)
        if found is None:
            raise ProjectHidden(reference)
        return found.metadata

    async def add_metadata(
        self, principal: Principal, reference: ProjectReference, values: Mapping[str, str]
    ) -> None:
        """Raises `MetadataExists` where a key has a value."""
        access = await self._authority.project(principal, reference, "metadata:create")
        await self._database.write(
            changes.add_metadata,
            principal,
            access.id,
            check_metadata(values),
            checks=self._checks,
            now=self._clock(),
        )

    async def set_metadata(
        self, principal: Principal, reference: ProjectReference, key: str, value: str
    ) -> None:
        access = await self._authority.project(principal, reference, "metadata:update")
        await self._write(principal, access.id, dict(check_metadata({key: value})))

    async def unset_metadata(self, principal: Principal, reference: ProjectReference, key: str) -> None:
        access = await self._authority.project(principal, reference, "metadata:delete")
        await self._write(principal, access.id, {check_metadata_key(key): None})

    # ── the rest of a project's life ────────────────────────────────────────────────────────────────────

    async def rename(self, principal: Principal, reference: ProjectReference, name: str) -> None:
        """From now on the old name is free, and tokens that were issued for it are good for nothing.

        The project's robots are renamed with it.  Raises `ProjectExists`.
        """
        access = await self._authority.project(principal, reference, "project:update")
        wanted = check_project_name(name)
        await self._database.write(changes.rename, principal, access.id, wanted, now=self._clock())

    async def delete(self, principal: Principal, reference: ProjectReference) -> None:
        """Raises `ProjectProtected` or `ProjectNotEmpty`."""
        access = await self._authority.project(principal, reference, "project:delete")
        await self._database.write(changes.delete, principal, access.id, now=self._clock())

    async def why_not_deletable(self, principal: Principal, reference: ProjectReference) -> str:
        """What stands against deleting it; empty if nothing does."""
        access = await self._authority.project(principal, reference, "project:delete")
        return await self._database.read(_why_not, access.id)

    async def summary(self, principal: Principal, reference: ProjectReference) -> Summary:
        access = await self._authority.project(principal, reference)
        found = await self._database.read(queries.project_info, access.id, None)
        if found is None:
            raise ProjectHidden(reference)
        members = None
        if access.may("member:list"):
            members = await self._database.read(queries.member_counts, access.id)
        return Summary(access.id, found.repo_count, members, access.may("quota:read"))


def _why_not(conn: Connection, project: int) -> str:
    row = queries.project_row(conn, project)
    if row is None:
        raise ProjectHidden(project)
    reason = why_not_deletable(conn, row)
    return "" if reason is None else reason.message
