"""Is what projects are charged for what they hold?  Everything is added up again from links and manifests."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, ScalarSelect, func, select

from roadstead.quota.ledger import (
    BLOBS,
    CHANGES,
    LINKS,
    PROJECT_BLOBS,
    REPOSITORIES,
)
from roadstead.quota.limits import PROJECTS, QUOTAS

# Projects that one statement adds up.
PAGE = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A project that is not charged for exactly what it holds.  In bytes, and in blobs."""

    project_id: int
    project: str
    charged: int
    held: int
    # Blobs that are served and not charged for, and the other way round.
    uncharged_blobs: int
    unserved_blobs: int


def _sum(column: ColumnElement[int], *where: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(_of_project(select(func.sum(column)).where(*where)), 0)


def _of_project(statement: object) -> ScalarSelect[int]:
    return statement.correlate(PROJECTS).scalar_subquery()  # type: ignore[attr-defined,no-any-return]  # a Select


_IN_REPOSITORY = REPOSITORIES.c.project_id == PROJECTS.c.id
_SERVED = (
    select(LINKS.c.blob_id, BLOBS.c.size)
    .distinct()
    .join(REPOSITORIES, REPOSITORIES.c.id == LINKS.c.repository_id)
    .join(BLOBS, BLOBS.c.id == LINKS.c.blob_id)
    .where(_IN_REPOSITORY)
    .correlate(PROJECTS)
)
_CHARGED = _sum(QUOTAS.c.charged, QUOTAS.c.project_id == PROJECTS.c.id) + _sum(
    CHANGES.c.bytes, CHANGES.c.project_id == PROJECTS.c.id
)
_KEPT = select(PROJECT_BLOBS.c.blob_id).where(PROJECT_BLOBS.c.project_id == PROJECTS.c.id).correlate(PROJECTS)
