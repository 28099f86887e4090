"""The one answer to "may this caller do that?", for whatever is not a pull or a push through `/v2`."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.errors import Denied, NotFound
from roadstead.identity.principals import Principal
from roadstead.projects.access import (
    WIDTH,
    AccessFacts,
    SignInNeeded,
    Standing,
    check_account,
    check_address,
    read_grants,
)
from roadstead.projects.queries import ACCESS_BY_ID, NAMED_ACCESS, SYSTEM_GRANTS
from roadstead.projects.roles import IN_SYSTEM, NOTHING, Permission
from roadstead.projects.service import Projects
from roadstead.telemetry.clock import Clock, now_ms

# By name, or by id.
ProjectReference = str | int


class ProjectHidden(NotFound):
    """The project is not there, or the caller may not know that it is: one answer for both."""

    def __init__(self, reference: ProjectReference) -> None:
        super().__init__(
            f"no such project, or you may not see it: {str(reference)[:255]}",
            remedy="check the name, or ask an administrator of the project for access",
        )


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """A project that the caller may know of, and what they may do there."""

    id: int
    name: str
    facts: AccessFacts
    standing: Standing

    def may(self, permission: Permission, *, path: str | None = None) -> bool:
        """Whether they may do it in the whole project, or, with `path`, in that repository."""
        held = self.standing.permissions if path is None else self.standing.at(path)
        return permission in held


class Authority:
    def __init__(self, database: Database, projects: Projects, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._projects = projects
        self._clock = clock

    async def project(
        self,
        principal: Principal,
        reference: ProjectReference,
        permission: Permission = "project:read",
        *,
        path: str | None = None,
    ) -> ProjectAccess:
        """The project, if the caller may do `permission` there (in the repository `path`, if one is given).

        Nobody signed in: `SignInNeeded`, whether there is such a project or not, unless they may see it.  Signed
        in, and not allowed even to know of it: `ProjectHidden`.  Else `Denied`.
        """
        found = await self.reach(principal, reference)
        if found is None:
            if principal.anonymous:
                raise SignInNeeded("authentication required", remedy="sign in")
            raise ProjectHidden(reference)
        if found.may(permission, path=path):
            return found
        if principal.anonymous:
            raise SignInNeeded("authentication required", remedy="sign in")
        raise Denied(
            f"you lack the permission {permission} in the project {found.name}",
            remedy="ask an administrator of the project for a role that has it",
        )

    async def reach(self, principal: Principal, reference: ProjectReference) -> ProjectAccess | None:
        """The same as `look`, for whoever comes from where the project's network rules let them in."""
        found = await self.look(principal, reference)
        if found is not None:
            check_address(found.facts, principal, found.name)
        return found

    async def look(self, principal: Principal, reference: ProjectReference) -> ProjectAccess | None:
        """The project, if it is there and the caller may know of it, wherever they come from."""
        if isinstance(reference, int):
            query, key = ACCESS_BY_ID, "project_id"
        else:
            query, key = NAMED_ACCESS, "project"
        row = await self._database.first(query, {"user_id": principal.user_id, key: reference})
        assert row is not None  # noqa: S101 - the query starts from a constant row
        facts = AccessFacts.of(row)
        standing = self._projects.standing(facts, principal)
        # Whoever may do anything there knows of it: a robot may have a permission or two, and not `project:read`.
        if facts.project_id is None or not standing.permissions:
            return None
        return ProjectAccess(facts.project_id, row[WIDTH], facts, standing)

    async def system_permissions(self, principal: Principal) -> frozenset[Permission]:
        """What the caller may do in the registry as a whole."""
        facts = await self._projects.facts(principal, "")
        check_account(facts, principal, now=self._clock())
        if facts.admin or principal.operator:
            return IN_SYSTEM
        if principal.anonymous:
            return NOTHING
        rows = await self._database.all(SYSTEM_GRANTS, {"user_id": principal.user_id})
        return NOTHING.union(*(read_grants(text).permissions for (text,) in rows))

    async def signed_in(self, principal: Principal) -> AccessFacts:
        """The caller's account as it is now.  Raises `SignInNeeded` for nobody."""
        facts = await self._projects.check_signed_in(principal)
        if principal.anonymous:
            raise SignInNeeded("authentication required", remedy="sign in")
        return facts

    async def system(self, principal: Principal, permission: Permission) -> None:
        """Return if the caller may do `permission` in the registry as a whole, else raise."""
        held = await self.system_permissions(principal)
        if permission in held:
            return
        if principal.anonymous:
            raise SignInNeeded("authentication required", remedy="sign in")
        raise Denied(
            f"you lack the permission {permission} in this registry",
            remedy="ask an administrator of the registry",
        )

    async def administrator(self, principal: Principal) -> bool:
        facts = await self._projects.check_signed_in(principal)
        return principal.operator or bool(facts.admin)
