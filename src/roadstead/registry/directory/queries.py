"""The SQL of repository lists, and of changes to a repository as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    union,
    update,
)

from roadstead.db.list_requests import ListRequest
from roadstead.db.listing import Field, Fields, apply, matching, page_of
from roadstead.db.tables import Upload
from roadstead.projects.access import PROJECTS
from roadstead.registry.artifacts.queries import ARTIFACT_LABELS, LABELS, listed
from roadstead.registry.blobs.queries import LINKS, MANIFESTS, REFERENCES
from roadstead.registry.repositories import REPOSITORIES

UPLOADS = Upload.__table__
_NAME: ColumnElement[str] = PROJECTS.c.name + literal("/") + REPOSITORIES.c.path
_SHOWN = select(
    REPOSITORIES.c.id,
    REPOSITORIES.c.project_id,
    PROJECTS.c.name.label("project"),
    PROJECTS.c.public,
    REPOSITORIES.c.path,
    REPOSITORIES.c.description,
    REPOSITORIES.c.pull_count,
    REPOSITORIES.c.deletion_protected,
    REPOSITORIES.c.created_at,
    REPOSITORIES.c.updated_at,
).join(PROJECTS, PROJECTS.c.id == REPOSITORIES.c.project_id)
_FIELDS: Fields = {
    "repository_id": Field(REPOSITORIES.c.id, "number"),
    "id": Field(REPOSITORIES.c.id, "number"),
    "project_id": Field(REPOSITORIES.c.project_id, "number"),
    "name": Field(_NAME),
    "description": Field(REPOSITORIES.c.description),
    "pull_count": Field(REPOSITORIES.c.pull_count, "number"),
    "creation_time": Field(REPOSITORIES.c.created_at, "time"),
    "update_time": Field(REPOSITORIES.c.updated_at, "time"),
    "deletion_protected": Field(REPOSITORIES.c.deletion_protected, "flag"),
    # The two parts of a name, in the order of an index.
    "project": Field(PROJECTS.c.name),
    "path": Field(REPOSITORIES.c.path),
}
_NEWEST = [REPOSITORIES.c.created_at.desc(), REPOSITORIES.c.id.desc()]
# Whose repositories the caller sees, where that is not all of the registry.
Condition = ColumnElement[bool]


def repositories_page(
    conn: Connection, request: ListRequest, *conditions: Condition, values: Mapping[str, object]
) -> tuple[list[RowMapping], int]:
    """Those for which the conditions hold, the newest first."""
    statement = _SHOWN.where(*conditions).params(**values)
    return page_of(conn, statement, _by_parts(request), _FIELDS, default=_NEWEST)


def matching_page(
    conn: Connection,
    request: ListRequest,
    *conditions: Condition,
    shown: Callable[[RowMapping], bool],
    values: Mapping[str, object],
) -> tuple[list[RowMapping], int]:
    """The same of those that are also `shown`: patterns are not SQL's business."""
    request = _by_parts(request)
    statement = matching(_SHOWN.where(*conditions).params(**values), request, _FIELDS)
    ordered = apply(statement, replace(request, clauses=()), _FIELDS, default=_NEWEST)
    rows = conn.execute(ordered.limit(None).offset(None)).mappings()
    found, total = [], 0
    for row in rows:
        if shown(row):
            if request.offset <= total < request.offset + request.page_size:
                found.append(row)
            total += 1
    return found, total


def _by_parts(request: ListRequest) -> ListRequest:
    parts = (
        (("project", down), ("path", down)) if key == "name" else ((key, down),) for key, down in request.sort
    )
    return replace(request, sort=tuple(part for each in parts for part in each))


def repository(conn: Connection, project_id: int, path: str) -> RowMapping | None:
    statement = _SHOWN.where(REPOSITORIES.c.project_id == project_id, REPOSITORIES.c.path == path)
    return conn.execute(statement).mappings().one_or_none()


def beginning_with(prefixes: Sequence[str]) -> Condition:
    """The path begins with one of these; an empty one is every path.  By index."""
    column = REPOSITORIES.c.path
    each = [(column >= prefix) & (column < prefix + "\U0010ffff") for prefix in prefixes if prefix]
    return or_(*each) if all(prefixes) and each else literal(True)


def paths_beginning_with(conn: Connection, project_id: int, prefixes: Sequence[str]) -> list[tuple[int, str]]:
    """`(id, path)` of the project's repositories whose paths begin with one of these."""
    statement = select(REPOSITORIES.c.id, REPOSITORIES.c.path).where(
        REPOSITORIES.c.project_id == project_id, beginning_with(prefixes)
    )
    return [(row.id, row.path) for row in conn.execute(statement)]


def artifact_counts(conn: Connection, repositories: Sequence[int]) -> Mapping[int, int]:
    """How many artifacts each of these has, as a list of them would show."""
    ids = list(repositories)
    statement = (
        select(MANIFESTS.c.repository_id, func.count())
        .where(MANIFESTS.c.repository_id.in_(ids), listed(lambda column: column.in_(ids)))
        .group_by(MANIFESTS.c.repository_id)
    )
    return {row[0]: row[1] for row in conn.execute(statement)}


def update_repository(conn: Connection, repository_id: int, values: Mapping[str, Any]) -> None:
    conn.execute(update(REPOSITORIES).where(REPOSITORIES.c.id == repository_id).values(**values))


def lock_repository(conn: Connection, repository_id: int) -> RowMapping | None:
    """The row, which nobody else changes until this transaction ends."""
    statement = select(REPOSITORIES).where(REPOSITORIES.c.id == repository_id).with_for_update()
    return conn.execute(statement).mappings().one_or_none()


def uploads_of(conn: Connection, repository_id: int) -> list[tuple[str, Mapping[str, object]]]:
    """`(storage key, the store's notes)` of bytes on their way into the repository."""
    statement = select(UPLOADS.c.storage_key, UPLOADS.c.store_state).where(
        UPLOADS.c.repository_id == repository_id, UPLOADS.c.storage_key.is_not(None)
    )
    return [(row.storage_key, row.store_state) for row in conn.execute(statement)]


def blobs_of(conn: Connection, repository_id: int) -> list[int]:
    """Every blob that the repository serves or that its manifests keep."""
    held: Select[*tuple[Any, ...]] = (
        select(REFERENCES.c.blob_id)
        .join(MANIFESTS, MANIFESTS.c.id == REFERENCES.c.manifest_id)
        .where(MANIFESTS.c.repository_id == bindparam("repository_id"), REFERENCES.c.blob_id.is_not(None))
    )
    served = select(LINKS.c.blob_id).where(LINKS.c.repository_id == bindparam("repository_id"))
    return list(conn.execute(union(held, served), {"repository_id": repository_id}).scalars())


def delete_repository(conn: Connection, repository_id: int) -> None:
    """With all that is in it."""
    conn.execute(delete(REPOSITORIES).where(REPOSITORIES.c.id == repository_id))


def drop_foreign_labels(conn: Connection, repository_id: int, project_id: int) -> None:
    """Take the labels off the repository's artifacts that belong to another project than this."""
    foreign = select(LABELS.c.id).where(LABELS.c.project_id != project_id)
    here = select(MANIFESTS.c.id).where(MANIFESTS.c.repository_id == repository_id)
    conn.execute(
        delete(ARTIFACT_LABELS).where(
            ARTIFACT_LABELS.c.manifest_id.in_(here), ARTIFACT_LABELS.c.label_id.in_(foreign)
        )
    )
