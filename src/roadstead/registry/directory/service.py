"""What people can ask of repositories as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, select

from roadstead.db.database import Database
from roadstead.db.list_requests import ListRequest
from roadstead.errors import NotFound, RoadsteadError
from roadstead.identity.principals import Principal
from roadstead.oci.names import RepositoryName
from roadstead.projects.access import PROJECTS, check_address
from roadstead.projects.authority import Authority, ProjectAccess, ProjectReference
from roadstead.projects.roles import PULL, Permission
from roadstead.projects.service import Projects
from roadstead.projects.visibility import LISTS_ALL, LISTS_SOME, closed_to
from roadstead.quota.reservations import Reservations
from roadstead.registry.directory import queries
from roadstead.registry.directory.changes import RepositoryChange, RepositoryChanges
from roadstead.registry.http import DOOR
from roadstead.registry.repositories import REPOSITORIES
from roadstead.storage.protocol import BlobStore

_LIST: Permission = "repository:list"
_LITERAL = re.compile(r"[^*?\[{\\]*")


class NoRepository(NotFound):
    """It is not there.  Only for those who may know what is in the project."""

    def __init__(self, name: str) -> None:
        super().__init__(f"repository {name[:300]} not found", remedy="list the project's repositories")


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """Times are in milliseconds since 1970."""

    id: int
    project_id: int
    project: str
    public: bool
    path: str
    description: str
    artifact_count: int
    pull_count: int
    deletion_protected: bool
    created_at: int
    updated_at: int

    @property
    def name(self) -> str:
        return f"{self.project}/{self.path}"


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """A repository that is there, and a project in which the caller may do what was asked for."""

    id: int
    name: RepositoryName
    access: ProjectAccess


class RepositoryDirectory:
    def __init__(
        self,
        database: Database,
        store: BlobStore,
        projects: Projects,
        authority: Authority,
        changes: RepositoryChanges,
        *,
        reservations: Reservations,
    ) -> None:
        self._database = database
        self._store = store
        self._projects = projects
        self._authority = authority
        self._changes = changes
        self._reservations = reservations

    async def find(
        self, principal: Principal, project: str, path: str, permission: Permission
    ) -> FoundRepository:
        """The repository, if it is there and the caller may do that in it.  Raises as `Authority.project` does."""
        access = await self._authority.project(principal, project, permission, path=path)
        name = self.name(access, path)
        row = await self._database.read(queries.repository, access.id, path)
        if row is None:
            raise NoRepository(name.full)
        return FoundRepository(row["id"], name, access)

    async def somewhere(
        self, principal: Principal, project: ProjectReference, permission: Permission
    ) -> ProjectAccess:
        """The project, if the caller may do that in it, or in what repositories a pattern names.

        Raises as `Authority.project` does.
        """
        access = await self._authority.reach(principal, project)
        if access is None or not (access.may(permission) or _prefixes(access, permission)):
            # Says what is missing.
            return await self._authority.project(principal, project, permission)
        return access

    def name(self, access: ProjectAccess, path: str) -> RepositoryName:
        return self._projects.name(f"{access.name}/{path}")

    # ── lists ───────────────────────────────────────────────────────────────────────────────────────────

    async def in_project(
        self, principal: Principal, project: str, request: ListRequest
    ) -> tuple[Sequence[RepositoryInfo], int]:
        """The repositories of a project that the caller may see."""
        access = await self._authority.project(principal, project)
        here = REPOSITORIES.c.project_id == access.id
        if access.may(_LIST):
            return await self._database.read(_page, request, here, values={})
        prefixes = _prefixes(access, _LIST)
        if not prefixes:
            # Nobody's pattern: says what is missing.
            await self._authority.project(principal, project, _LIST)
        return await self._database.read(_matching, request, here, prefixes, [access])

    async def everywhere(
        self, principal: Principal, request: ListRequest
    ) -> tuple[Sequence[RepositoryInfo], int]:
        """The repositories of the whole registry that the caller may see."""
        facts = await self._projects.check_signed_in(principal)
        conditions: list[queries.Condition] = []
        closed = await closed_to(self._database, principal)
        if closed:
            conditions.append(PROJECTS.c.network_rules.not_in(closed))
        if facts.admin or principal.operator:
            return await self._database.read(_page, request, *conditions, values={})
        if principal.anonymous and not self._projects.anonymous_pull:
            return [], 0
        values = {"user_id": principal.user_id, "admin": False}
        partly = await self._database.read(_partly_listed, values)
        if not partly:
            seen = REPOSITORIES.c.project_id.in_(select(PROJECTS.c.id).where(LISTS_ALL))
            return await self._database.read(_page, request, *conditions, seen, values=values)
        looked = [await self._authority.look(principal, project) for project in partly]
        patterned = {access.id: access for access in looked if access is not None}
        seen = REPOSITORIES.c.project_id.in_(select(PROJECTS.c.id).where(LISTS_SOME))
        return await self._database.read(
            _matching_everywhere, request, *conditions, seen, patterned=patterned, values=values
        )

    async def get(self, principal: Principal, project: str, path: str) -> RepositoryInfo:
        found = await self.find(principal, project, path, "repository:read")
        info = await self._database.read(_one, found.access.id, path)
        if info is None:
            raise NoRepository(found.name.full)
        return info

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────

    async def update(self, principal: Principal, project: str, path: str, change: RepositoryChange) -> None:
        permission = "repository:update" if change.deletion_protected is None else "repository:delete"
        found = await self.find(principal, project, path, permission)
        await self._database.write(
            self._changes.update, principal, found.access.id, found.id, found.name, change=change
        )

    async def delete(self, principal: Principal, project: str, path: str) -> None:
        """With all that is in it.  Raises `Precondition` where that is protected."""
        found = await self.find(principal, project, path, "repository:delete")
        leftovers = await self._database.write(
            self._changes.delete, principal, found.access.id, found.id, found.name
        )
        for key, state in leftovers:
            # Bytes that nobody names any more: what stays is found by a later collection.
            with suppress(RoadsteadError):
                await self._store.delete(key, state)

    async def transfer(
        self, principal: Principal, project: str, path: str, target: str, new_path: str
    ) -> RepositoryName:
        """Take the repository, with its tags, their history and all else, into another project."""
        found = await self.find(principal, project, path, "repository:delete")
        # Whoever takes it along reads it there: that is as good as a pull from here, and asks for the same.
        origin = await self._authority.project(principal, project, PULL, path=path)
        check_address(origin.facts, replace(principal, door=DOOR), origin.name)
        goal = await self._authority.project(principal, target, "repository:push", path=new_path)
        await self._authority.project(principal, target, "repository:create", path=new_path)
        name = self._projects.name(f"{goal.name}/{new_path}")
        await self._reservations.charging(
            goal.id,
            self._changes.transfer,
            principal,
            found.id,
            found.name,
            source=found.access.id,
            target=goal.id,
            new=name,
        )
        return name


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────


def _page(
    conn: Connection, request: ListRequest, *conditions: queries.Condition, values: Mapping[str, object]
) -> tuple[list[RepositoryInfo], int]:
    rows, total = queries.repositories_page(conn, request, *conditions, values=values)
    return _counted(conn, rows), total


def _matching(
    conn: Connection,
    request: ListRequest,
    here: queries.Condition,
    prefixes: Sequence[str],
    allowed: Sequence[ProjectAccess],
) -> tuple[list[RepositoryInfo], int]:
    by_id = {access.id: access for access in allowed}
    rows, total = queries.matching_page(
        conn,
        request,
        here,
        queries.beginning_with(prefixes),
        shown=lambda row: by_id[row["project_id"]].may(_LIST, path=row["path"]),
        values={},
    )
    return _counted(conn, rows), total


def _matching_everywhere(
    conn: Connection,
    request: ListRequest,
    *conditions: queries.Condition,
    patterned: Mapping[int, ProjectAccess],
    values: Mapping[str, object],
) -> tuple[list[RepositoryInfo], int]:
    def shown(row: RowMapping) -> bool:
        access = patterned.get(row["project_id"])
        return access is None or access.may(_LIST, path=row["path"])

    rows, total = queries.matching_page(conn, request, *conditions, shown=shown, values=values)
    return _counted(conn, rows), total


def _partly_listed(conn: Connection, values: Mapping[str, object]) -> list[int]:
    """Projects in which patterns say what the caller sees."""
    statement = select(PROJECTS.c.id).where(LISTS_SOME, ~LISTS_ALL)
    return list(conn.execute(statement, dict(values)).scalars())


def _one(conn: Connection, project_id: int, path: str) -> RepositoryInfo | None:
    row = queries.repository(conn, project_id, path)
    return None if row is None else _counted(conn, [row])[0]


def _counted(conn: Connection, rows: Sequence[RowMapping]) -> list[RepositoryInfo]:
    counts = queries.artifact_counts(conn, [row["id"] for row in rows])
    return [
        RepositoryInfo(
            id=row["id"],
            project_id=row["project_id"],
            project=row["project"],
            public=row["public"],
            path=row["path"],
            description=row["description"],
            artifact_count=counts.get(row["id"], 0),
            pull_count=row["pull_count"],
            deletion_protected=row["deletion_protected"],
            created_at=row["created_at"],
            updated_at=row["updated_at"] or row["created_at"],
        )
        for row in rows
    ]


def matching_repositories(
    conn: Connection, access: ProjectAccess, permission: Permission
) -> list[int] | None:
    """The ids of the repositories of a project in which the caller may do that; None: in all of them."""
    if access.may(permission):
        return None
    paths = queries.paths_beginning_with(conn, access.id, _prefixes(access, permission))
    return [each for each, path in paths if access.may(permission, path=path)]


def _prefixes(access: ProjectAccess, permission: Permission) -> list[str]:
    """What the names of repositories begin with, for which a pattern gives the permission."""
    found = []
    for grant in access.standing.limited:
        if grant.repositories is not None and permission in grant.permissions:
            literal = _LITERAL.match(grant.repositories.text)
            found.append(literal[0] if literal else "")
    return found
