"""The SQL of immutable tag rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import (
    Connection,
    RowMapping,
    Table,
    Text,
    bindparam,
    delete,
    false,
    func,
    select,
    update,
)
from sqlalchemy import cast as as_type

from roadstead.db.insert import insert_id
from roadstead.db.list_requests import ListRequest
from roadstead.db.listing import Field, page_of
from roadstead.db.statements import PreparedStatement, batches, numbered, slots
from roadstead.db.tables import ImmutableRule
from roadstead.registry.blobs.queries import MANIFESTS, REFERENCES
from roadstead.registry.repositories import REPOSITORIES
from roadstead.registry.tags.queries import TAGS

RULES = cast("Table", ImmutableRule.__table__)
_FIELDS = {
    "id": Field(RULES.c.id, "number"),
    "priority": Field(RULES.c.priority, "number"),
    "disabled": Field(RULES.c.disabled, "flag"),
}
_SHOWN = select(RULES.c.id, RULES.c.disabled, RULES.c.priority, RULES.c.selectors).where(
    RULES.c.project_id == bindparam("project_id")
)
# One statement on the way of every tagged push: nothing where the project has no rules.
_ACTIVE = PreparedStatement(
    select(REPOSITORIES.c.path, as_type(RULES.c.selectors, Text))
    .join(REPOSITORIES, REPOSITORIES.c.id == bindparam("repository_id"))
    .where(RULES.c.project_id == bindparam("project_id"), RULES.c.disabled == false())
)
_OF_PROJECT = PreparedStatement(
    select(as_type(RULES.c.selectors, Text)).where(
        RULES.c.project_id == bindparam("project_id"), RULES.c.disabled == false()
    )
)
_LOCK = (
    select(REPOSITORIES.c.id)
    .where(REPOSITORIES.c.id == bindparam("repository_id"))
    .with_for_update(key_share=True)
)
_TAGS_OF_PARENTS = (
    select(TAGS.c.name)
    .join(MANIFESTS, MANIFESTS.c.id == TAGS.c.manifest_id)
    .join(REFERENCES, REFERENCES.c.manifest_id == MANIFESTS.c.id)
    .where(
        MANIFESTS.c.repository_id == bindparam("repository_id"), REFERENCES.c.digest == bindparam("digest")
    )
)
_TAGS_AFTER = PreparedStatement(
    select(TAGS.c.name)
    .where(TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name > bindparam("after"))
    .order_by(TAGS.c.name)
    .limit(bindparam("limit"))
)


def active_rules(conn: Connection, project_id: int, repository_id: int) -> Sequence[tuple[str, str]]:
    """The repository's path, and a rule of the project as JSON, for each that is not disabled."""
    rows = _ACTIVE.all(conn, {"project_id": project_id, "repository_id": repository_id})
    return [(path, selectors) for path, selectors in rows]


def rules_of(conn: Connection, project_id: int) -> Sequence[str]:
    """The rules of the project as JSON that are not disabled."""
    return [selectors for (selectors,) in _OF_PROJECT.all(conn, {"project_id": project_id})]


def lock_repository(conn: Connection, repository_id: int) -> None:
    """Wait for whoever else is about to make a tag there that a rule covers."""
    conn.execute(_LOCK, {"repository_id": repository_id})


def tags_elsewhere(conn: Connection, repository_id: int, names: Sequence[str], digest: str) -> list[str]:
    """Those of `names` that are tags of another manifest than `digest`."""
    found: list[str] = []
    for some in batches(names):
        statement = (
            select(TAGS.c.name)
            .join(MANIFESTS, MANIFESTS.c.id == TAGS.c.manifest_id)
            .where(
                TAGS.c.repository_id == bindparam("repository_id"),
                TAGS.c.name.in_(slots(len(some))),
                MANIFESTS.c.digest != bindparam("digest"),
            )
        )
        values = {"repository_id": repository_id, "digest": digest, **numbered(some)}
        found += conn.execute(statement, values).scalars()
    return found


def tags_of_parents(conn: Connection, repository_id: int, digest: str) -> list[str]:
    """The tags of indexes in the repository that name the manifest."""
    values = {"repository_id": repository_id, "digest": digest}
    return list(conn.execute(_TAGS_OF_PARENTS, values).scalars())


def tags_after(conn: Connection, repository_id: int, after: str, *, limit: int) -> list[str]:
    values = {"repository_id": repository_id, "after": after, "limit": limit}
    return [name for (name,) in _TAGS_AFTER.all(conn, values)]


def rules_page(conn: Connection, project_id: int, request: ListRequest) -> tuple[list[RowMapping], int]:
    statement = _SHOWN.params(project_id=project_id)
    return page_of(conn, statement, request, _FIELDS, default=[RULES.c.id])


def rule(conn: Connection, project_id: int, rule_id: int) -> RowMapping | None:
    """The rule, if it is this project's."""
    statement = _SHOWN.where(RULES.c.id == rule_id)
    return conn.execute(statement, {"project_id": project_id}).mappings().one_or_none()


def count_rules(conn: Connection, project_id: int) -> int:
    statement = select(func.count()).select_from(RULES).where(RULES.c.project_id == project_id)
    return conn.scalar(statement) or 0


def same_rule(conn: Connection, project_id: int, selectors: dict[str, object]) -> int | None:
    """Another rule of the project with the same selectors."""
    rows = conn.execute(_SHOWN, {"project_id": project_id}).mappings()
    return next((row["id"] for row in rows if row["selectors"] == selectors), None)


def insert_rule(conn: Connection, values: dict[str, Any]) -> int:
    return insert_id(conn, ImmutableRule, values)


def update_rule(conn: Connection, rule_id: int, values: dict[str, Any]) -> None:
    conn.execute(update(RULES).where(RULES.c.id == rule_id).values(values))


def delete_rule(conn: Connection, rule_id: int) -> None:
    conn.execute(delete(RULES).where(RULES.c.id == rule_id))
