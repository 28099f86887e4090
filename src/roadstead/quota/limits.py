"""The limits that hold, as SQL: a project's own, or the default from the configuration."""

from __future__ import annotations

from typing import cast

from sqlalchemy import BigInteger, ColumnElement, Table, case, func, literal_column, select
from sqlalchemy import cast as sql_cast

from roadstead.db.tables import Configuration, Project, Quota, Tag, User

QUOTAS = cast("Table", Quota.__table__)
PROJECTS = cast("Table", Project.__table__)
CONFIGURATIONS = cast("Table", Configuration.__table__)
TAGS = cast("Table", Tag.__table__)
USERS = cast("Table", User.__table__)

NONE = -1
DEFAULT = -2

STORAGE_KEY = "storage_per_project"
TAGS_KEY = "count_quota_tags"
NETWORK_RULES_KEY = "count_quota_network_rules"
PROJECTS_KEY = "count_quota_projects"
PROJECTS_OF_USER_KEY = "count_quota_projects_per_user"


def repositories_key(*, public: bool, of: str) -> str:
    """`of` is "project" or "user"."""
    return f"count_quota_repositories_{'public' if public else 'private'}_per_{of}"


def configured(key: str) -> ColumnElement[int]:
    """The default for a kind of limit: -1 where nobody has set one.  `key` is one of ours, never a client's."""
    value = (
        select(sql_cast(CONFIGURATIONS.c.value, BigInteger))
        .where(CONFIGURATIONS.c.key == literal_column(f"'{key}'"))
        .scalar_subquery()
    )
    return func.coalesce(value, literal_column(str(NONE)))


def effective(limit: ColumnElement[int], key: str) -> ColumnElement[int]:
    """What a column of `quotas` amounts to."""
    return case((limit == literal_column(str(DEFAULT)), configured(key)), else_=limit)


# Of the row of `quotas` at hand.
STORAGE_LIMIT = effective(QUOTAS.c.storage, STORAGE_KEY)
TAGS_LIMIT = effective(QUOTAS.c.tags_per_repository, TAGS_KEY)


def of_project(limit: ColumnElement[int], project_id: ColumnElement[int]) -> ColumnElement[int]:
    """One of the above, as a column of any statement that knows the project; NULL without one."""
    return select(limit).where(QUOTAS.c.project_id == project_id).correlate_except(QUOTAS).scalar_subquery()
