"""May this caller do that, here and now?

A token or a cached password only says who is asking.  What they may do is read from the database with every
request, in the same statement as the content, so that a removed account, a changed password or a closed
project takes effect with the next request on every worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table, bindparam, literal, select

from roadstead.db.tables import Project, User
from roadstead.errors import Denied, NameUnknown, Unauthenticated
from roadstead.identity.principals import Principal
from roadstead.oci.names import RepositoryName
from roadstead.projects.roles import NOTHING, PERMISSIONS, Action, Role


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


class AccessFacts(NamedTuple):
    """What the database says of a project and of the caller, at one moment.

    A truth value may be 0 or 1, and None where there is no such project or account.
    """

    project_id: int | None
    public: bool
    owner_id: int | None
    # None when the caller is anonymous, or the account is gone.
    epoch: int | None
    admin: bool
    disabled: bool

    @classmethod
    def of(cls, row: Sequence[object]) -> AccessFacts:
        """From the first columns of a row of `with_access(…)`."""
        return cls._make(row[:WIDTH])


PROJECTS: Table = Project.__table__  # type: ignore[assignment]  # declared as FromClause
USERS: Table = User.__table__  # type: ignore[assignment]  # declared as FromClause
_ONE = select(literal(1).label("one")).subquery("one")
_COLUMNS: tuple[ColumnElement[object], ...] = (
    PROJECTS.c.id,
    PROJECTS.c.public,
    PROJECTS.c.owner_id,
    USERS.c.credential_epoch,
    USERS.c.admin,
    USERS.c.disabled,
)
# Columns of a row that belong to `AccessFacts`; the query's own follow them.
WIDTH = len(_COLUMNS)


def access_source() -> FromClause:
    """Always one row: the project `:project` and the user `:user_id`, each where it exists.  Join on to it."""
    return _ONE.outerjoin(USERS, USERS.c.id == bindparam("user_id")).outerjoin(
        PROJECTS, PROJECTS.c.name == bindparam("project")
    )


def with_access(
    *columns: ColumnElement[object], source: FromClause | None = None
) -> Select[*tuple[Any, ...]]:
    """A statement whose rows begin with the access facts."""
    return select(*_COLUMNS, *columns).select_from(access_source() if source is None else source)


def check_account(facts: AccessFacts, principal: Principal) -> None:
    """Refuse a proof that has been overtaken: the account is gone, disabled, or has a new password."""
    if principal.anonymous:
        return
    if facts.epoch is None or facts.disabled or facts.epoch != principal.epoch:
        raise Overtaken


def role_of(facts: AccessFacts, principal: Principal, *, anonymous_pull: bool) -> Role | None:
    """The caller's role in the project; None is a stranger."""
    check_account(facts, principal)
    if facts.admin:
        return Role.SYSTEM_ADMIN
    if facts.project_id is None:
        return None
    if facts.owner_id is not None and facts.owner_id == principal.user_id:
        return Role.PROJECT_ADMIN
    if facts.public and (anonymous_pull or not principal.anonymous):
        return Role.READER
    return None


def permitted(facts: AccessFacts, principal: Principal, *, anonymous_pull: bool) -> frozenset[Action]:
    """What the caller may do in the project, by their standing there.  A token may narrow it further."""
    role = role_of(facts, principal, anonymous_pull=anonymous_pull)
    return NOTHING if role is None else PERMISSIONS[role]


def scope_of(name: RepositoryName, *actions: Action) -> str:
    return f"repository:{name.requested}:{','.join(actions)}"


def authorize(
    facts: AccessFacts, principal: Principal, name: RepositoryName, action: Action, *, anonymous_pull: bool
) -> None:
    """Return if the caller may, else raise.

    Nobody signed in: `SignInNeeded`.  A token too narrow: `SignInNeeded` with `insufficient`.  A stranger gets
    the same answer whether the project exists or not.
    """
    actions = permitted(facts, principal, anonymous_pull=anonymous_pull)
    if action in actions:
        if principal.limits(name.full, action):
            raise too_narrow(name, action)
        return
    if principal.anonymous:
        raise SignInNeeded(
            "authentication required",
            remedy="sign in, for example with docker login",
            scope=_wanted(name, action),
        )
    if action is Action.PULL:
        raise RepositoryHidden(name)
    if action is Action.DELETE and Action.PULL not in actions:
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
