"""Charging a project for what it keeps, and giving back what it lets go, in the transaction that does it.

A project is charged once for every blob that some repository of it serves: while the row of `project_blobs` is
there.  It is charged for every manifest of every repository.  Nothing here touches the project's row of `quotas`:
each transaction adds a row to `quota_changes`, so no pusher waits for another.  `folding` sums them up.

    bill = Bill(conn, project_id, repository_id, hold=hold)
    bill.blob(blob_id, size)
    bill.manifest(len(payload))
    bill.settle()

In a project with a limit no transaction may add what was not reserved before it began: `settle` raises
`Unreserved`, nothing is done, and the caller reserves and begins again (`Reservations.charging`).

Whose project a repository is in may change while somebody pushes to it.  Whoever moves one locks its row, and the
rows that are added to it here hold that lock shared: what is charged is charged to the project that keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, insert, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import (
    Blob,
    Manifest,
    ProjectBlob,
    QuotaChange,
    QuotaHold,
    Repository,
    RepositoryBlob,
    Upload,
)
from roadstead.errors import Conflict, RoadsteadError
from roadstead.quota.limits import STORAGE_LIMIT, of_project

BLOBS = cast("Table", Blob.__table__)
CHANGES = cast("Table", QuotaChange.__table__)
HOLDS = cast("Table", QuotaHold.__table__)
LINKS = cast("Table", RepositoryBlob.__table__)
MANIFESTS = cast("Table", Manifest.__table__)
PROJECT_BLOBS = cast("Table", ProjectBlob.__table__)
REPOSITORIES = cast("Table", Repository.__table__)
UPLOADS = cast("Table", Upload.__table__)

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Hold:
    """Bytes that a project has been charged already, for the transaction that is about to come."""

    id: str
    project_id: int
    bytes: int


class Unreserved(RoadsteadError):
    """The project has a limit, and the transaction would add bytes that nobody has reserved.

    For `Reservations` alone, who reserve them and run the transaction again.
    """

    def __init__(self, project_id: int, size: int) -> None:
        super().__init__("bytes that the quota does not know of", remedy="try again")
        self.project_id = project_id
        self.bytes = size


class Moved(Conflict):
    def __init__(self) -> None:
        super().__init__("the repository was moved or removed just now", remedy="push again")


class HoldLost(Conflict):
    def __init__(self) -> None:
        super().__init__("what the quota had set aside for this push has expired", remedy="push again")


# ── charging ────────────────────────────────────────────────────────────────────────────────────────────

_HERE = (REPOSITORIES.c.id == bindparam("repository_id")) & (
    REPOSITORIES.c.project_id == bindparam("project_id")
)


def _linking(kind: type[postgresql.Insert | sqlite.Insert]) -> PreparedStatement:
    source = select(REPOSITORIES.c.project_id, bindparam("blob_id", type_=PROJECT_BLOBS.c.blob_id.type))
    statement = kind(PROJECT_BLOBS).from_select(["project_id", "blob_id"], source.where(_HERE))
    return PreparedStatement(statement.on_conflict_do_nothing().returning(PROJECT_BLOBS.c.blob_id))


_LINK = {"postgresql": _linking(postgresql.Insert), "sqlite": _linking(sqlite.Insert)}
# Whoever takes the last link away locks this row, and looks again: they wait for us, or we for them.
_KEEP = PreparedStatement(
    select(PROJECT_BLOBS.c.blob_id)
    .join(REPOSITORIES, REPOSITORIES.c.project_id == PROJECT_BLOBS.c.project_id)
    .where(_HERE, PROJECT_BLOBS.c.blob_id == bindparam("blob_id"))
    .with_for_update(of=PROJECT_BLOBS, key_share=True, read=True)
)


def _changing() -> ReturningInsert[int]:
    source = select(REPOSITORIES.c.project_id, bindparam("bytes", type_=CHANGES.c.bytes.type)).where(_HERE)
    limit = of_project(STORAGE_LIMIT, bindparam("project_id"))
    return insert(CHANGES).from_select(["project_id", "bytes"], source).returning(limit.label("limit"))


# And what the limit is.
_CHANGE = PreparedStatement(_changing())
_SPEND = PreparedStatement(delete(HOLDS).where(HOLDS.c.id == bindparam("hold_id")).returning(HOLDS.c.bytes))


def _linking_and_changing() -> ReturningInsert[int]:
    blob = bindparam("blob_id", type_=PROJECT_BLOBS.c.blob_id.type)
    linked = postgresql.insert(PROJECT_BLOBS).from_select(
        ["project_id", "blob_id"], select(REPOSITORIES.c.project_id, blob).where(_HERE)
    )
    kept = linked.on_conflict_do_nothing().returning(PROJECT_BLOBS.c.project_id).cte("kept")
    change = select(kept.c.project_id, bindparam("size", type_=CHANGES.c.bytes.type))
    limit = of_project(STORAGE_LIMIT, bindparam("project_id"))
    return insert(CHANGES).from_select(["project_id", "bytes"], change).returning(limit.label("limit"))


_LINK_AND_CHANGE = PreparedStatement(_linking_and_changing())


class Bill:
    """What one transaction adds to a project, in one of its repositories.

    Blobs come in order of their ids, so that two transactions never wait for each other in a ring.
    """

    def __init__(
        self,
        conn: Connection,
        project_id: int,
        repository_id: int,
        *,
        hold: Hold | None = None,
        reserved: int = 0,
    ) -> None:
        """`reserved` is what the upload had reserved that becomes the blob: its row is gone already."""
        self._conn = conn
        self._place = {"project_id": project_id, "repository_id": repository_id}
        self._hold = hold
        self._reserved = reserved
        self.bytes = 0

    def blob(self, blob_id: int, size: int) -> bool:
        """Let the project keep the blob, which the repository serves since just now; whether that is news."""
        values = {**self._place, "blob_id": blob_id}
        for _ in range(_TRIES):
            if _LINK[self._conn.dialect.name].first(self._conn, values) is not None:
                self.bytes += size
                return True
            if _KEEP.first(self._conn, values) is not None:
                return False
        raise Moved

    def manifest(self, size: int) -> None:
        """The manifest's row was inserted just now."""
        self.bytes += size

    def settle(self) -> None:
        """Write it down.  Raises `Unreserved` where there is a limit, and `Conflict`."""
        change = self.bytes - self._reserved
        if self._hold is not None:
            held = _SPEND.scalar(self._conn, {"hold_id": self._hold.id})
            if held is None:
                raise HoldLost
            change -= held
        if change == 0:
            return
        row = _CHANGE.first(self._conn, {**self._place, "bytes": change})
        if row is None:
            raise Moved
        if change > 0 and row[0] is not None and row[0] >= 0:
            raise Unreserved(self._place["project_id"], change)


def charge_blob(
    conn: Connection,
    project_id: int,
    repository_id: int,
    blob_id: int,
    size: int,
    *,
    hold: Hold | None = None,
    reserved: int = 0,
) -> None:
    """A `Bill` of one blob.  Where nothing was reserved, PostgreSQL needs a single statement for it, mostly."""
    if conn.dialect.name == "postgresql" and hold is None and not reserved:
        place = {"project_id": project_id, "repository_id": repository_id, "blob_id": blob_id}
        row = _LINK_AND_CHANGE.first(conn, {**place, "size": size})
        if row is not None:
            if size and row[0] is not None and row[0] >= 0:
                raise Unreserved(project_id, size)
            return
    bill = Bill(conn, project_id, repository_id, hold=hold, reserved=reserved)
    bill.blob(blob_id, size)
    bill.settle()


# ── giving back ─────────────────────────────────────────────────────────────────────────────────────────

_PROJECT = PreparedStatement(
    select(REPOSITORIES.c.project_id)
    .where(REPOSITORIES.c.id == bindparam("repository_id"))
    .with_for_update(key_share=True, read=True)
)
_LOCK_REPOSITORY = PreparedStatement(
    select(REPOSITORIES.c.id).where(REPOSITORIES.c.id == bindparam("repository_id")).with_for_update()
)
_CREDIT = PreparedStatement(
    insert(CHANGES).values(project_id=bindparam("project_id"), bytes=bindparam("bytes")).inline()
)
_LOCK_BLOB = PreparedStatement(
    select(PROJECT_BLOBS.c.blob_id)
    .where(
        PROJECT_BLOBS.c.project_id == bindparam("project_id"),
        PROJECT_BLOBS.c.blob_id == bindparam("blob_id"),
    )
    .with_for_update()
)
_UNSERVED = ~exists().where(
    LINKS.c.blob_id == PROJECT_BLOBS.c.blob_id,
    REPOSITORIES.c.id == LINKS.c.repository_id,
    REPOSITORIES.c.project_id == PROJECT_BLOBS.c.project_id,
    REPOSITORIES.c.id != bindparam("but_for", type_=REPOSITORIES.c.id.type),
).correlate(PROJECT_BLOBS)
_UNLINK = PreparedStatement(
    delete(PROJECT_BLOBS)
    .where(
        PROJECT_BLOBS.c.project_id == bindparam("project_id"),
        PROJECT_BLOBS.c.blob_id == bindparam("blob_id"),
        _UNSERVED,
    )
    .returning(PROJECT_BLOBS.c.blob_id)
)
_OF_REPOSITORY = select(LINKS.c.blob_id).where(LINKS.c.repository_id == bindparam("repository_id"))
_OF_PLACE = (
    PROJECT_BLOBS.c.project_id == bindparam("project_id"),
    PROJECT_BLOBS.c.blob_id.in_(_OF_REPOSITORY),
)
_LOCK_BLOBS = PreparedStatement(
    select(PROJECT_BLOBS.c.blob_id).where(*_OF_PLACE).order_by(PROJECT_BLOBS.c.blob_id).with_for_update()
)
_GOING = (*_OF_PLACE, _UNSERVED)
_SIZE_OF_GOING = PreparedStatement(
    select(func.coalesce(func.sum(BLOBS.c.size), 0))
    .select_from(PROJECT_BLOBS)
    .join(BLOBS, BLOBS.c.id == PROJECT_BLOBS.c.blob_id)
    .where(*_GOING)
)
_UNLINK_ALL = PreparedStatement(delete(PROJECT_BLOBS).where(*_GOING))
_SIZE_OF_MANIFESTS = PreparedStatement(
    select(func.coalesce(func.sum(MANIFESTS.c.size), 0)).where(
        MANIFESTS.c.repository_id == bindparam("repository_id")
    )
)
_LOCK_UPLOADS = PreparedStatement(
    select(UPLOADS.c.reserved)
    .where(UPLOADS.c.repository_id == bindparam("repository_id"))
    .order_by(UPLOADS.c.id)
    .with_for_update()
)


def _linking_all(kind: type[postgresql.Insert | sqlite.Insert]) -> PreparedStatement:
    source = (
        select(REPOSITORIES.c.project_id, LINKS.c.blob_id)
        .join(LINKS, LINKS.c.repository_id == REPOSITORIES.c.id)
        .where(_HERE)
        .order_by(LINKS.c.blob_id)
    )
    # A literal: a RETURNING has no FROM that SQLAlchemy would correlate with.
    inserted = literal_column("project_blobs.blob_id", PROJECT_BLOBS.c.blob_id.type)
    size = select(BLOBS.c.size).where(BLOBS.c.id == inserted).scalar_subquery()
    statement = kind(PROJECT_BLOBS).from_select(["project_id", "blob_id"], source)
    return PreparedStatement(statement.on_conflict_do_nothing().returning(size.label("size")))


_LINK_ALL = {"postgresql": _linking_all(postgresql.Insert), "sqlite": _linking_all(sqlite.Insert)}
_KEEP_ALL = PreparedStatement(
    select(PROJECT_BLOBS.c.blob_id)
    .where(*_OF_PLACE)
    .order_by(PROJECT_BLOBS.c.blob_id)
    .with_for_update(key_share=True, read=True)
)
_LINKS_OF = PreparedStatement(
    select(func.count()).select_from(LINKS).where(LINKS.c.repository_id == bindparam("repository_id"))
)


def give_back(conn: Connection, project_id: int, size: int) -> None:
    """The project no longer holds so many bytes."""
    if size:
        _CREDIT.run(conn, {"project_id": project_id, "bytes": -size})


def project_of(conn: Connection, repository_id: int) -> int | None:
    """Where the repository is, until this transaction ends."""
    found: int | None = _PROJECT.scalar(conn, {"repository_id": repository_id})
    return found


def credit_blob(conn: Connection, repository_id: int, blob_id: int, size: int) -> None:
    """The repository serves the blob no more: its row of `repository_blobs` is gone."""
    project_id = project_of(conn, repository_id)
    if project_id is None:
        return
    values = {"project_id": project_id, "blob_id": blob_id}
    # First the lock, then the look: whoever links it elsewhere in the project has committed, or waits for us.
    _LOCK_BLOB.first(conn, values)
    if _UNLINK.first(conn, {**values, "but_for": 0}) is not None:
        give_back(conn, project_id, size)


def credit_manifest(conn: Connection, repository_id: int, size: int) -> None:
    """A manifest's row is gone."""
    project_id = project_of(conn, repository_id)
    if project_id is not None:
        give_back(conn, project_id, size)


def credit_upload(conn: Connection, repository_id: int, reserved: int) -> None:
    """An upload's row is gone, with what it had reserved."""
    if reserved:
        credit_manifest(conn, repository_id, reserved)


def forget_repository(conn: Connection, project_id: int, repository_id: int) -> None:
    """Give back all that the project is charged for this repository.  Call it before its rows are deleted."""
    place = {"project_id": project_id, "repository_id": repository_id}
    _LOCK_REPOSITORY.first(conn, place)
    give_back(conn, project_id, _unlinked(conn, place) + _manifests_and_uploads(conn, repository_id))


def move_repository(
    conn: Connection, repository_id: int, from_project: int, to_project: int, *, hold: Hold | None = None
) -> None:
    """Let another project be charged for this repository.  Call it when its row says so already.

    Raises `Unreserved` where the other project has a limit (`hold` is one of that project), and `Conflict`.
    """
    other = _manifests_and_uploads(conn, repository_id)
    gone = _unlinked(conn, {"project_id": from_project, "repository_id": repository_id})
    give_back(conn, from_project, gone + other)
    place = {"project_id": to_project, "repository_id": repository_id}
    bill = Bill(conn, to_project, repository_id, hold=hold)
    bill.manifest(other + sum(row[0] for row in _LINK_ALL[conn.dialect.name].all(conn, place)))
    if len(_KEEP_ALL.all(conn, place)) != _LINKS_OF.scalar(conn, place):
        raise Moved
    bill.settle()


def _unlinked(conn: Connection, place: dict[str, int]) -> int:
    """The bytes of the blobs that no other repository of the project serves; the project keeps them no more."""
    values = {**place, "but_for": place["repository_id"]}
    _LOCK_BLOBS.all(conn, place)
    size: int = _SIZE_OF_GOING.scalar(conn, values)
    _UNLINK_ALL.run(conn, values)
    return int(size)


def _manifests_and_uploads(conn: Connection, repository_id: int) -> int:
    values = {"repository_id": repository_id}
    reserved = sum(row[0] for row in _LOCK_UPLOADS.all(conn, values))
    return int(_SIZE_OF_MANIFESTS.scalar(conn, values)) + int(reserved)
