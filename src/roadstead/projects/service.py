"""What people can ask of projects."""

from __future__ import annotations

from collections.abc import Sequence

from roadstead.config.settings import RegistrySettings
from roadstead.db.database import Database
from roadstead.db.tables.users import PERSON, ROBOT
from roadstead.errors import Denied, NameInvalid, NameUnknown, RoadsteadError
from roadstead.identity.principals import Principal
from roadstead.identity.scopes import GrantedScope, RequestedScope
from roadstead.oci.names import RepositoryName
from roadstead.projects import creation
from roadstead.projects.access import (
    AccessFacts,
    Standing,
    authorize,
    check_account,
    read_grants,
    standing,
    too_narrow,
)
from roadstead.projects.configurations import Configurations
from roadstead.projects.creation import NewProject, ProjectCheck
from roadstead.projects.directory.queries import first_administrator
from roadstead.projects.queries import ACCESS, KIND, SYSTEM_GRANTS
from roadstead.projects.roles import NOTHING, Action, Permission, actions_of, allows
from roadstead.telemetry.clock import Clock, now_ms

CATALOG = "catalog"
CREATE_PROJECT: Permission = "project:create"


class Projects:
    def __init__(
        self,
        database: Database,
        settings: RegistrySettings,
        configurations: Configurations,
        *,
        anonymous_pull: bool,
        checks: Sequence[ProjectCheck] = (),
        clock: Clock = now_ms,
    ) -> None:
        """`checks` are asked before a project is made."""
        self._database = database
        self._configurations = configurations
        self._checks = checks
        self._settings = settings
        self._clock = clock
        self.anonymous_pull = anonymous_pull

    def name(self, text: str) -> RepositoryName:
        """A repository name as a client writes it, the default project filled in."""
        return RepositoryName.parse(text, default_project=self._settings.default_project)

    def parameters(self, principal: Principal, name: RepositoryName) -> dict[str, object]:
        """The values that every query made by `with_access` binds."""
        return {"user_id": principal.user_id, "project": name.project}

    async def facts(self, principal: Principal, project: str) -> AccessFacts:
        row = await self._database.first(ACCESS, {"user_id": principal.user_id, "project": project})
        if row is None:  # pragma: no cover - the query starts from a constant row
            raise NameUnknown("no such project")
        return AccessFacts.of(row)

    def authorize(
        self,
        facts: AccessFacts,
        principal: Principal,
        name: RepositoryName,
        action: Action,
        sufficient: frozenset[Permission] | None = None,
    ) -> None:
        authorize(
            facts,
            principal,
            name,
            action,
            anonymous_pull=self.anonymous_pull,
            now=self._clock(),
            sufficient=sufficient,
        )

    def standing(self, facts: AccessFacts, principal: Principal) -> Standing:
        """What the caller may do in the project of these facts."""
        return standing(facts, principal, anonymous_pull=self.anonymous_pull, now=self._clock())

    async def require(
        self,
        principal: Principal,
        name: RepositoryName,
        action: Action,
        sufficient: frozenset[Permission] | None = None,
    ) -> int:
        """The project's id, if the caller may do `action` in it.  A push may create the project."""
        facts = await self.facts(principal, name.project)
        if action is Action.PUSH:
            return await self.admit_push(facts, principal, name)
        self.authorize(facts, principal, name, action, sufficient)
        if facts.project_id is None:
            raise NameUnknown(
                "no such repository", remedy="check the name, or push to it first", name=name.requested
            )
        return facts.project_id

    async def check_signed_in(self, principal: Principal) -> AccessFacts:
        """The account's standing, for requests that name no repository."""
        facts = await self.facts(principal, "")
        check_account(facts, principal, now=self._clock())
        return facts

    async def grants(self, principal: Principal, requested: Sequence[RequestedScope]) -> list[GrantedScope]:
        """The part of each requested scope that the caller may have; nothing is an empty list, not an error."""
        await self.check_signed_in(principal)
        facts: dict[str, AccessFacts] = {}
        granted = []
        for scope in requested:
            actions: frozenset[str] = frozenset()
            if scope.type == "repository":
                actions = await self._granted_actions(principal, scope, facts)
            elif scope.type == "registry" and scope.name == CATALOG and not principal.anonymous:
                # What the list then holds is decided row by row.
                actions = frozenset({"*"})
            granted.append(GrantedScope(scope.type, self._full_name(scope), actions))
        return granted

    def _full_name(self, scope: RequestedScope) -> str:
        """What a token calls a repository, however the client spelt it."""
        try:
            return self.name(scope.name).full if scope.type == "repository" else scope.name
        except NameInvalid:
            return scope.name

    async def _granted_actions(
        self, principal: Principal, scope: RequestedScope, known: dict[str, AccessFacts]
    ) -> frozenset[str]:
        try:
            name = self.name(scope.name)
        except NameInvalid:
            return frozenset()
        if name.project not in known:
            known[name.project] = await self.facts(principal, name.project)
        facts = known[name.project]
        held = actions_of(self.standing(facts, principal).at(name.path))
        if facts.project_id is None:
            held |= await self._actions_in_new(facts, principal)
        return frozenset(map(str, held)) & scope.actions

    async def may_create(self, facts: AccessFacts, principal: Principal) -> bool:
        """Whether the caller may make projects.  Robots need the permission, whatever people may do."""
        if principal.operator or facts.admin:
            return True
        if principal.anonymous:
            return False
        caller = {"user_id": principal.user_id}
        held = await self._database.all(SYSTEM_GRANTS, caller)
        if any(CREATE_PROJECT in read_grants(text).permissions for (text,) in held):
            return True
        person = await self._kind(principal) == PERSON
        return person and await self._configurations.text("project_creation_restriction") == "everyone"

    async def _kind(self, principal: Principal) -> str | None:
        row = await self._database.first(KIND, {"user_id": principal.user_id})
        return None if row is None else row[0]

    async def owner_of_new(self, principal: Principal) -> int | None:
        """Whose a project is that the caller makes.

        Whoever asks; for a robot, the administrator who has been there longest, as in Harbor: an owner may do
        everything in a project, and a robot only what it was given.
        """
        if await self._kind(principal) == ROBOT:
            return await self._database.read(first_administrator)
        return principal.user_id

    async def create(self, principal: Principal, new: NewProject) -> int | None:
        """The new project's id; None if there is one of that name.  Whether the caller may, they know who call
        this.
        """
        return await self._database.write(
            creation.create, principal, new, checks=self._checks, now=self._clock()
        )

    async def _may_push_into_being(self, facts: AccessFacts, principal: Principal) -> bool:
        return Action.PUSH in await self._actions_in_new(facts, principal)

    async def _actions_in_new(self, facts: AccessFacts, principal: Principal) -> frozenset[Action]:
        """What the caller may do in a project that their push makes; nothing if it makes none."""
        if not self._settings.create_projects_on_push or not await self.may_create(facts, principal):
            return frozenset()
        if await self._kind(principal) != ROBOT:
            return frozenset(Action)
        # What it may do in all projects, and nothing more: it does not own this one.
        everywhere = read_grants(facts.grants_everywhere).permissions if facts.grants_everywhere else NOTHING
        return actions_of(everywhere) if allows(everywhere, Action.PUSH) else frozenset()

    async def admit_push(self, facts: AccessFacts, principal: Principal, name: RepositoryName) -> int:
        """The id of the project of these facts, if the caller may push there.  The push may create the project."""
        if facts.project_id is None:
            return await self._create_for_push(facts, principal, name)
        try:
            self.authorize(facts, principal, name, Action.PUSH)
        except RoadsteadError:
            # What is asked where there is no project: a refusal takes no less time where there is a closed one.
            await self._may_push_into_being(facts, principal)
            raise
        return facts.project_id

    async def _create_for_push(self, facts: AccessFacts, principal: Principal, name: RepositoryName) -> int:
        check_account(facts, principal, now=self._clock())
        if await self._may_push_into_being(facts, principal):
            if principal.limits(name.full, Action.PUSH):
                raise too_narrow(name, Action.PUSH)
            owner = await self.owner_of_new(principal)
            created = await self.create(principal, NewProject(name.project, owner_id=owner))
            if created is not None:
                return created
            # Somebody else was quicker: their project has its own rules.
            facts = await self.facts(principal, name.project)
            if facts.project_id is not None:
                self.authorize(facts, principal, name, Action.PUSH)
                return facts.project_id
        if facts.admin and not self._settings.create_projects_on_push:
            raise Denied(
                f"there is no project {name.project}, and pushing does not create one here",
                remedy="create the project first, or set registry.create_projects_on_push",
                name=name.requested,
            )
        # A stranger learns nothing from the difference between no project and a closed one.
        authorize(
            facts._replace(project_id=None, admin=False),
            principal,
            name,
            Action.PUSH,
            anonymous_pull=self.anonymous_pull,
            now=self._clock(),
        )
        raise Denied("you may not push here", name=name.requested)  # pragma: no cover - authorize raised
