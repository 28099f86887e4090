"""May this caller do that, here and now?

A token or a cached password only says who is asking.  What they may do is read from the database with every
request, in the same statement as the content, so that a removed account, a changed password, a demotion or a
closed project takes effect with the next request on every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
)

from roadstead.db.tables import Configuration, GrantRow, Project, RoleRow, User, UserGroupMember
from roadstead.db.tables.grants import IN_ALL_PROJECTS
from roadstead.db.tables.grants import IN_PROJECT as PLACE_PROJECT
from roadstead.errors import Denied, NameUnknown, Unauthenticated
from roadstead.identity.principals import Principal
from roadstead.oci.names import RepositoryName
from roadstead.oci.patterns import Pattern
from roadstead.projects.networks import admits
from roadstead.projects.roles import (
    IN_PROJECT,
    NOTHING,
    OF_ANYBODY,
    OF_ROLE,
    Action,
    Permission,
    allows,
    limited_to_repositories,
    read_permissions,
)

# The configuration whose value is the network rules of the whole registry, in the form of `networks.write_rules`.
NETWORK_RULES = "network_rules"


class SignInNeeded(Unauthenticated):
    """The caller must show who they are, or bring a token with a wider scope.

    `scope` is what to ask the token service for; `insufficient` says that a good token was too narrow.
    """

    def __init__(
        self, message: str, *, scope: str = "", insufficient: bool = False, remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.scope = scope
        self.insufficient = insufficient


class Overtaken(SignInNeeded):
    """The proof was good when it was made, and the account has changed since."""

    def __init__(self) -> None:
        super().__init__("these credentials are no longer good", remedy="sign in again")


class RepositoryHidden(NameUnknown):
    """The repository is not there, or the caller may not know that it is: one answer for both."""

    def __init__(self, name: RepositoryName) -> None:
        super().__init__(
            "no such repository, or you may not read it",
            remedy="check the name, or ask an owner of the project for access",
            name=name.requested,
        )


class AddressDenied(Denied):
    """Network rules do not let the caller's address in."""

    def __init__(self, principal: Principal, *, project: str | None = None) -> None:
        where = "this registry" if project is None else f"the project {project}"
        super().__init__(
            f"the network rules of {where} do not allow the address {principal.address or 'of this connection'}",
            remedy="come from an allowed network, or have an administrator change the rules",
        )


class AccessFacts(NamedTuple):
    """What the database says of a project and of the caller, at one moment.

    A truth value may be 0 or 1, and None where there is no such project or account.
    """

    project_id: int | None
    public: bool
    # JSON, as `networks.read_rules` takes it; None where there is no such project.
    network_rules: str | None
    # None when the caller is anonymous, or the account is gone.
    epoch: int | None
    admin: bool
    disabled: bool
    # In milliseconds since 1970; None is never.
    expires_at: int | None = None
    # The caller's own grants in the project, in all projects, and those of their groups in the project, one a line
    # (`read_grants`).
    grants: str | None = None
    grants_everywhere: str | None = None
    group_grants: str | None = None
    # The network rules of the whole registry, as above.
    system_rules: str | None = None

    @classmethod
    def of(cls, row: Sequence[object]) -> AccessFacts:
        """From the first columns of a row of `with_access(…)`."""
        return cls._make(row[:WIDTH])


class Grant(NamedTuple):
    permissions: frozenset[Permission]
    # None: all the repositories of the project, and the project itself.
    repositories: Pattern | None


class Standing(NamedTuple):
    """What somebody may do in one project."""

    # Everywhere in it.
    permissions: frozenset[Permission]
    # And in some of its repositories.
    limited: tuple[Grant, ...]

    def at(self, path: str) -> frozenset[Permission]:
        """What they may do in the repository at `path`."""
        found = self.permissions
        for grant in self.limited:
            if grant.repositories is not None and grant.repositories.matches(path):
                found |= grant.permissions
        return found


PROJECTS: Table = Project.__table__  # type: ignore[assignment]  # declared as FromClause
USERS: Table = User.__table__  # type: ignore[assignment]  # declared as FromClause
GRANTS: Table = GrantRow.__table__  # type: ignore[assignment]  # declared as FromClause
ROLES: Table = RoleRow.__table__  # type: ignore[assignment]  # declared as FromClause
GROUP_MEMBERS: Table = UserGroupMember.__table__  # type: ignore[assignment]  # declared as FromClause
_CONFIGURATIONS: Table = Configuration.__table__  # type: ignore[assignment]  # declared as FromClause

_ONE = select(literal(1).label("one")).subquery("one")
# A grant as text: the role's number, permissions, the pattern.  None of them can hold the separators.
GRANT_TEXT = (
    func.coalesce(cast(GRANTS.c.role_id, Text), "")
    + literal_column("'|'", Text)
    + func.coalesce(ROLES.c.permissions, "")
    + GRANTS.c.permissions
    + literal_column("'|'", Text)
    + GRANTS.c.repositories
)


def _granted(*whose: ColumnElement[bool]) -> ScalarSelect[str]:
    """Grants as lines in one value, empty as NULL: one statement reads them with all the rest."""
    lines: ColumnElement[str] = func.aggregate_strings(GRANT_TEXT, literal_column("'\n'"))  # type: ignore[arg-type]  # takes either
    return (
        select(lines)
        .select_from(GRANTS.outerjoin(ROLES, ROLES.c.id == GRANTS.c.role_id))
        .where(*whose)
        .correlate(PROJECTS)
        .scalar_subquery()
    )


_HERE = (GRANTS.c.place == literal_column(f"'{PLACE_PROJECT}'")) & (GRANTS.c.project_id == PROJECTS.c.id)
# Each of these three is one search of an index, however many projects somebody is a member of.
_OWN = _granted(GRANTS.c.user_id == bindparam("user_id"), _HERE)
_EVERYWHERE = _granted(
    GRANTS.c.user_id == bindparam("user_id"), GRANTS.c.place == literal_column(f"'{IN_ALL_PROJECTS}'")
)
_GROUPS = _granted(
    GRANTS.c.group_id.in_(
        select(GROUP_MEMBERS.c.group_id).where(GROUP_MEMBERS.c.user_id == bindparam("user_id"))
    ),
    _HERE,
)
_SYSTEM_RULES = (
    select(_CONFIGURATIONS.c.value)
    .where(_CONFIGURATIONS.c.key == literal_column(f"'{NETWORK_RULES}'"))
    .scalar_subquery()
)
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    PROJECTS.c.id,
    PROJECTS.c.public,
    PROJECTS.c.network_rules,
    USERS.c.credential_epoch,
    USERS.c.admin,
    USERS.c.disabled,
    USERS.c.expires_at,
    _OWN.label("grants"),
    _EVERYWHERE.label("grants_everywhere"),
    _GROUPS.label("group_grants"),
    _SYSTEM_RULES.label("system_rules"),
)
# Columns of a row that belong to `AccessFacts`; the query's own follow them.
WIDTH = len(_COLUMNS)


def access_source(project: ColumnElement[bool] | None = None) -> FromClause:
    """Always one row: the project `:project` and the user `:user_id`, each where it exists.  Join on to it.

    `project` is another condition that finds one project.
    """
    found = PROJECTS.c.name == bindparam("project") if project is None else project
    return _ONE.outerjoin(USERS, USERS.c.id == bindparam("user_id")).outerjoin(PROJECTS, found)


def with_access(*columns: ColumnElement[Any], source: FromClause | None = None) -> Select[*tuple[Any, ...]]:
    """A statement whose rows begin with the access facts."""
    return select(*_COLUMNS, *columns).select_from(access_source() if source is None else source)


@lru_cache(maxsize=8192)
def read_grants(text: str) -> Standing:
    """What lines of `GRANT_TEXT` amount to."""
    whole: frozenset[Permission] = NOTHING
    limited = []
    for line in text.split("\n"):
        role, listed, pattern = line.split("|", 2)
        held = OF_ROLE.get(int(role)) if role else None
        permissions = read_permissions(listed) if held is None else held
        if pattern:
            limited.append(Grant(limited_to_repositories(permissions), Pattern.parse(pattern)))
            whole |= {"project:read"}
        else:
            whole |= permissions
    return Standing(whole, tuple(limited))


_NONE = Standing(NOTHING, ())
_ALL = Standing(IN_PROJECT, ())


def check_account(facts: AccessFacts, principal: Principal, *, now: int) -> None:
    """Refuse a proof that has been overtaken: the account is gone, disabled, expired, or has a new password;
    and an address that the registry's network rules shut out.
    """
    if principal.operator:
        return
    if facts.system_rules and not admits(facts.system_rules, principal.door, principal.address):
        raise AddressDenied(principal)
    if principal.anonymous:
        return
    if facts.epoch is None or facts.disabled or facts.epoch != principal.epoch:
        raise Overtaken
    if facts.expires_at is not None and facts.expires_at <= now:
        raise Overtaken


def standing(facts: AccessFacts, principal: Principal, *, anonymous_pull: bool, now: int) -> Standing:
    """What the caller may do in the project, whatever their address.  A token may narrow it further.

    Raises `Overtaken` or `AddressDenied` as `check_account` does.
    """
    check_account(facts, principal, now=now)
    if facts.admin or principal.operator:
        return _ALL
    if facts.project_id is None:
        return _NONE
    found = _NONE
    for text in (facts.grants, facts.grants_everywhere, facts.group_grants):
        if text:
            more = read_grants(text)
            found = (
                more
                if found is _NONE
                else Standing(found.permissions | more.permissions, found.limited + more.limited)
            )
    if facts.public and (anonymous_pull or not principal.anonymous):
        found = Standing(found.permissions | OF_ANYBODY, found.limited)
    return found


def check_address(facts: AccessFacts, principal: Principal, project: str) -> None:
    """Refuse an address that the project's network rules shut out.  Only for those who may know of the project."""
    rules = facts.network_rules
    if rules and not principal.operator and not admits(rules, principal.door, principal.address):
        raise AddressDenied(principal, project=project)


def scope_of(name: RepositoryName, *actions: Action) -> str:
    return f"repository:{name.requested}:{','.join(actions)}"


def authorize(
    facts: AccessFacts,
    principal: Principal,
    name: RepositoryName,
    action: Action,
    *,
    anonymous_pull: bool,
    now: int,
    sufficient: frozenset[Permission] | None = None,
) -> None:
    """Return if the caller may, else raise.  `sufficient` are the permissions of which one will do, where that is
    not what the action itself asks.

    Nobody signed in: `SignInNeeded`.  A token too narrow: `SignInNeeded` with `insufficient`.  A stranger gets
    the same answer whether the project exists or not.
    """
    held = standing(facts, principal, anonymous_pull=anonymous_pull, now=now).at(name.path)
    may = allows(held, action) if sufficient is None else not held.isdisjoint(sufficient)
    if may:
        if principal.limits(name.full, action):
            raise too_narrow(name, action)
        check_address(facts, principal, name.project)
        return
    if principal.anonymous:
        raise SignInNeeded(
            "authentication required",
            remedy="sign in, for example with docker login",
            scope=_wanted(name, action),
        )
    if action is Action.PULL or (action is Action.DELETE and not allows(held, Action.PULL)):
        raise RepositoryHidden(name)
    raise Denied(
        f"you may not {action} in project {name.project}",
        remedy="ask an owner of the project for access, or push to a project of your own",
        name=name.requested,
        action=str(action),
    )


def too_narrow(name: RepositoryName, action: Action) -> SignInNeeded:
    """The caller may, but the token was issued for less."""
    return SignInNeeded(
        f"the token does not cover {action} on {name.requested}",
        remedy="ask the token service for the scope in the challenge",
        scope=_wanted(name, action),
        insufficient=True,
    )


def _wanted(name: RepositoryName, action: Action) -> str:
    """The scope to put into a challenge: a pusher also reads."""
    return scope_of(name, Action.PULL) if action is Action.PULL else scope_of(name, Action.PULL, action)
