"""Is what projects are charged for what they hold?  Everything is added up again from links and manifests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from roadstead.db.database import Database
from roadstead.db.statements import PreparedStatement
from roadstead.quota.folding import locked_quota
from roadstead.quota.ledger import (
    BLOBS,
    CHANGES,
    HOLDS,
    LINKS,
    MANIFESTS,
    PROJECT_BLOBS,
    REPOSITORIES,
    UPLOADS,
)
from roadstead.quota.limits import PROJECTS, QUOTAS

# Projects that one statement adds up.
PAGE = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A project that is not charged for exactly what it holds."""

    project_id: int
    project: str
    # In bytes.
    charged: int
    held: int
    # Blobs that it serves and is not charged for, and the other way round.
    uncharged_blobs: int
    unserved_blobs: int


_ZERO: ColumnElement[int] = literal_column("0")


def _total(column: ColumnElement[int], *where: ColumnElement[bool]) -> ColumnElement[int]:
    found = select(func.sum(column)).where(*where).correlate(PROJECTS).scalar_subquery()
    return func.coalesce(found, _ZERO)


_SERVED = (
    select(LINKS.c.blob_id)
    .distinct()
    .join(REPOSITORIES, REPOSITORIES.c.id == LINKS.c.repository_id)
    .where(REPOSITORIES.c.project_id == PROJECTS.c.id)
    .correlate(PROJECTS)
)
_KEPT = select(PROJECT_BLOBS.c.blob_id).where(PROJECT_BLOBS.c.project_id == PROJECTS.c.id).correlate(PROJECTS)
_CHARGED = _total(QUOTAS.c.charged, QUOTAS.c.project_id == PROJECTS.c.id) + _total(
    CHANGES.c.bytes, CHANGES.c.project_id == PROJECTS.c.id
)
_HELD = (
    _total(BLOBS.c.size, BLOBS.c.id.in_(_SERVED))
    + _total(
        MANIFESTS.c.size,
        MANIFESTS.c.repository_id == REPOSITORIES.c.id,
        REPOSITORIES.c.project_id == PROJECTS.c.id,
    )
    + _total(
        UPLOADS.c.reserved,
        UPLOADS.c.repository_id == REPOSITORIES.c.id,
        REPOSITORIES.c.project_id == PROJECTS.c.id,
    )
    + _total(HOLDS.c.bytes, HOLDS.c.project_id == PROJECTS.c.id)
)
_UNCHARGED = (
    select(func.count())
    .select_from(BLOBS)
    .where(BLOBS.c.id.in_(_SERVED), BLOBS.c.id.not_in(_KEPT))
    .correlate(PROJECTS)
    .scalar_subquery()
)
_UNSERVED = (
    select(func.count())
    .select_from(PROJECT_BLOBS)
    .where(PROJECT_BLOBS.c.project_id == PROJECTS.c.id, PROJECT_BLOBS.c.blob_id.not_in(_SERVED))
    .correlate(PROJECTS)
    .scalar_subquery()
)
_SUMS = select(
    PROJECTS.c.id.label("id"),
    PROJECTS.c.name.label("name"),
    _CHARGED.label("charged"),
    _HELD.label("held"),
    _UNCHARGED.label("uncharged"),
    _UNSERVED.label("unserved"),
)
_PAGE = (
    _SUMS.where(PROJECTS.c.id > bindparam("after"), PROJECTS.c.id <= bindparam("last"))
    .order_by(PROJECTS.c.id)
    .subquery()
)
# One statement sees one moment: nothing of what goes on meanwhile is half in it.
_DIFFERENCES = PreparedStatement(
    select(_PAGE).where(or_(_PAGE.c.charged != _PAGE.c.held, _PAGE.c.uncharged != 0, _PAGE.c.unserved != 0))
)
_LAST_OF_PAGE = PreparedStatement(
    select(
        func.max(
            select(PROJECTS.c.id)
            .where(PROJECTS.c.id > bindparam("after"))
            .order_by(PROJECTS.c.id)
            .limit(PAGE)
            .subquery()
            .c.id
        )
    )
)
_ALL = 2**62

_LOCK_PROJECT = PreparedStatement(
    select(PROJECTS.c.id).where(PROJECTS.c.id == bindparam("project_id")).with_for_update()
)
_CLEAR_LINKS = PreparedStatement(
    delete(PROJECT_BLOBS).where(PROJECT_BLOBS.c.project_id == bindparam("project_id"))
)
_CLEAR_CHANGES = PreparedStatement(delete(CHANGES).where(CHANGES.c.project_id == bindparam("project_id")))
_LINK_AGAIN = PreparedStatement(
    insert(PROJECT_BLOBS).from_select(
        ["project_id", "blob_id"],
        select(REPOSITORIES.c.project_id, LINKS.c.blob_id)
        .distinct()
        .join(LINKS, LINKS.c.repository_id == REPOSITORIES.c.id)
        .where(REPOSITORIES.c.project_id == bindparam("project_id"))
        .order_by(LINKS.c.blob_id),
    )
)
_CHARGE_AGAIN = PreparedStatement(
    update(QUOTAS).where(QUOTAS.c.project_id == bindparam("of_project")).values(charged=bindparam("held"))
)
_HELD_BY = PreparedStatement(
    select(_HELD).select_from(PROJECTS).where(PROJECTS.c.id == bindparam("project_id"))
)


def differences(conn: Connection, *, after: int = 0, last: int = _ALL) -> list[Difference]:
    """The projects with ids beyond `after`, up to `last`, that are charged for anything but what they hold."""
    rows = _DIFFERENCES.all(conn, {"after": after, "last": last})
    return [Difference(row[0], row[1], *map(int, row[2:])) for row in rows]


def last_of_page(conn: Connection, *, after: int) -> int | None:
    found: int | None = _LAST_OF_PAGE.scalar(conn, {"after": after})
    return found


def repair(conn: Connection, project_id: int) -> None:
    """Charge the project for exactly what it holds.  Who pushes to it waits as long as that takes."""
    values = {"project_id": project_id}
    # Whoever adds a charge holds the project's key: nobody is in the middle of one now.
    _LOCK_PROJECT.first(conn, values)
    locked_quota(conn, project_id)
    _CLEAR_LINKS.run(conn, values)
    _LINK_AGAIN.run(conn, values)
    _CLEAR_CHANGES.run(conn, values)
    _CHARGE_AGAIN.run(conn, {"of_project": project_id, "held": _HELD_BY.scalar(conn, values)})


class QuotaCheck:
    """For the command line, and for a job of its own one day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differences(self) -> AsyncIterator[Difference]:
        """Every project that is not charged for what it holds; so many projects at a time."""
        after = 0
        while (last := await self._database.read(last_of_page, after=after)) is not None:
            for found in await self._database.read(differences, after=after, last=last):
                yield found
            after = last

    async def repair(self, project_id: int) -> None:
        await self._database.write(repair, project_id)
