"""Which projects a caller may know of, as a condition of SQL, for lists and searches.

It binds `:user_id` and `:admin`.  What a list then shows of a project where the caller's grants name only some
repositories is decided row by row, with `Standing.at`.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, true

from roadstead.db.database import Database, PreparedQuery
from roadstead.db.tables.grants import IN_ALL_PROJECTS, IN_PROJECT
from roadstead.identity.principals import Principal
from roadstead.projects.access import GRANTS, GROUP_MEMBERS, PROJECTS, ROLES
from roadstead.projects.networks import admits
from roadstead.projects.roles import PULL, PUSH, Permission

# Roles from this number on were made by people.
FIRST_CUSTOM_ROLE = 100
_IS_ADMIN = bindparam("admin", type_=PROJECTS.c.public.type) == true()


def _holds(*permissions: Permission) -> ColumnElement[bool]:
    """Whether the grant has one of these, which every built-in role has."""
    listed = [
        column.contains(permission, autoescape=True)
        for column in (ROLES.c.permissions, GRANTS.c.permissions)
        for permission in permissions
    ]
    return or_(GRANTS.c.role_id < FIRST_CUSTOM_ROLE, *listed)


def granted(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the user has a grant in the project, their own or a group's, for which the conditions hold."""
    user = bindparam("user_id", type_=GRANTS.c.user_id.type)
    here = and_(GRANTS.c.place == IN_PROJECT, GRANTS.c.project_id == PROJECTS.c.id)
    source = GRANTS.outerjoin(ROLES, ROLES.c.id == GRANTS.c.role_id)
    groups = select(GROUP_MEMBERS.c.group_id).where(GROUP_MEMBERS.c.user_id == user)
    own = exists().select_from(source).where(GRANTS.c.user_id == user, here, *conditions)
    everywhere = (
        exists()
        .select_from(source)
        .where(GRANTS.c.user_id == user, GRANTS.c.place == IN_ALL_PROJECTS, *conditions)
    )
    theirs = exists().select_from(source).where(GRANTS.c.group_id.in_(groups), here, *conditions)
    return or_(own.correlate(PROJECTS), everywhere.correlate(PROJECTS), theirs.correlate(PROJECTS))


# They may know that the project is there.
VISIBLE = or_(
    _IS_ADMIN,
    PROJECTS.c.public == true(),
    granted(or_(_holds("project:read"), GRANTS.c.repositories != "")),
)
# They may pull from every repository of the project.
PULLS_ALL = or_(
    _IS_ADMIN,
    PROJECTS.c.public == true(),
    granted(_holds(PULL, PUSH), GRANTS.c.repositories == ""),
)
# They may pull from some repository of the project, at least.
PULLS_SOME = or_(_IS_ADMIN, PROJECTS.c.public == true(), granted(_holds(PULL, PUSH)))
# They see every repository of the project in lists; some of them, at least.
LISTS_ALL = or_(
    _IS_ADMIN,
    PROJECTS.c.public == true(),
    granted(_holds("repository:list"), GRANTS.c.repositories == ""),
)
LISTS_SOME = or_(_IS_ADMIN, PROJECTS.c.public == true(), granted(_holds("repository:list")))


_RULES = PreparedQuery(select(PROJECTS.c.network_rules).distinct().where(PROJECTS.c.network_rules != ""))


async def closed_to(database: Database, principal: Principal) -> list[str]:
    """The `network_rules` of projects, as stored, that do not let the caller's address in."""
    if principal.operator:
        return []
    return [
        rules
        for (rules,) in await database.all(_RULES, {})
        if not admits(rules, principal.door, principal.address)
    ]
