"""Taking bytes from a project's limit before they come: the only place that writes a busy row of `quotas`.

What is taken is added to `quotas.charged` at once, and written beside it where it belongs: in the upload's own row,
or in a row of `quota_holds`.  Both or neither: a crash loses nothing that does not come back by itself.

`take` is one statement and, on PostgreSQL, a transaction of its own that waits for no disk: fifty who push into one
project pass by one after the other in microseconds.  Changes that are not folded yet only ever give back, where
there is a limit, so `charged` alone is never too low, and may be too high.  While there are others, from before the
limit was set, `take` lets nobody pass.  Whoever it does not let pass asks `take_exactly`, which folds and decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)

from roadstead.db.statements import PreparedStatement
from roadstead.quota.folding import fold_locked, locked_quota
from roadstead.quota.ledger import CHANGES, HOLDS, REPOSITORIES, UPLOADS, Hold
from roadstead.quota.limits import NONE, PROJECTS, QUOTAS, STORAGE_LIMIT


@dataclass(frozen=True, slots=True)
class Taken:
    """What is charged to the project now, uploads under way included, and its limit."""

    charged: int
    limit: int
    warned: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no room."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is written who took the bytes: an upload, or a hold that is made with it."""

    upload_id: str = ""
    hold: Hold | None = None
    expires_at: int = 0


_BYTES = bindparam("wanted", type_=QUOTAS.c.charged.type)
_PROJECT = QUOTAS.c.project_id == bindparam("in_project")
_UNFOLDED_CHARGE = exists().where(CHANGES.c.project_id == bindparam("in_project"), CHANGES.c.bytes > 0)
_FITS = or_(
    literal_column(str(NONE)) == STORAGE_LIMIT,
    (QUOTAS.c.charged + _BYTES <= STORAGE_LIMIT) & ~_UNFOLDED_CHARGE,
)
_UPLOAD = UPLOADS.c.id == bindparam("upload_id")
# Whoever moves a repository to another project takes what its uploads have reserved along.
_HERE = (REPOSITORIES.c.id == select(UPLOADS.c.repository_id).where(_UPLOAD).scalar_subquery()) & (
    REPOSITORIES.c.project_id == bindparam("in_project")
)
_RESULT = (
    QUOTAS.c.charged.label("charged"),
    STORAGE_LIMIT.label("storage_limit"),
    QUOTAS.c.warned.label("warned"),
)
_TAKE = update(QUOTAS).where(_PROJECT).values(charged=QUOTAS.c.charged + _BYTES)
_GROW = update(UPLOADS).where(_UPLOAD).values(reserved=UPLOADS.c.reserved + _BYTES)
# Nobody is told "yes, for good": a crash that forgets this forgets the upload's share with it.
_HASTE = func.set_config("synchronous_commit", "off", literal_column("true"))


# A parameter named as a column would be taken for a value to set.
_HOLD_VALUES = {"id": "hold_id", "project_id": "in_project", "bytes": "wanted", "expires_at": "until"}


def _for_upload_at_once() -> PreparedStatement:
    here = select(REPOSITORIES.c.id).where(_HERE).with_for_update(key_share=True, read=True).cte("here")
    mine = select(UPLOADS.c.id).where(_UPLOAD, exists(select(here.c.id))).with_for_update().cte("mine")
    taken = _TAKE.where(exists(select(mine.c.id)), _FITS).returning(*_RESULT).cte("taken")
    grown = _GROW.where(exists(select(taken.c.charged))).returning(UPLOADS.c.id).cte("grown")
    return PreparedStatement(select(taken, _HASTE).add_cte(grown))


_PROJECT_HERE = select(PROJECTS.c.id).where(PROJECTS.c.id == bindparam("in_project"))


def _for_hold_at_once() -> PreparedStatement:
    # Before the quota, as whoever sets a limit does: the hold refers to the project.
    here = _PROJECT_HERE.with_for_update(key_share=True, read=True).cte("here")
    taken = _TAKE.where(exists(select(here.c.id)), _FITS).returning(*_RESULT).cte("taken")
    row = select(
        *(bindparam(name, type_=HOLDS.c[column].type) for column, name in _HOLD_VALUES.items())
    ).where(exists(select(taken.c.charged)))
    held = insert(HOLDS).from_select([*_HOLD_VALUES], row).returning(HOLDS.c.id).cte("held")
    return PreparedStatement(select(taken, _HASTE).add_cte(held))


_UPLOAD_AT_ONCE = _for_upload_at_once()
_HOLD_AT_ONCE = _for_hold_at_once()
# On SQLite, where nobody else writes meanwhile.
_TAKE_IF_IT_FITS = PreparedStatement(_TAKE.where(_FITS).returning(*_RESULT))
_TAKE_ANYWAY = PreparedStatement(_TAKE.returning(*_RESULT))
_GROW_UPLOAD = PreparedStatement(_GROW)
_INSERT_HOLD = PreparedStatement(
    insert(HOLDS).values({column: bindparam(name) for column, name in _HOLD_VALUES.items()}).inline()
)
_UPLOAD_HERE = PreparedStatement(
    select(REPOSITORIES.c.id).where(_HERE).with_for_update(key_share=True, read=True)
)
_KEEP_PROJECT = PreparedStatement(_PROJECT_HERE.with_for_update(key_share=True, read=True))
_UPLOAD_THERE = PreparedStatement(select(UPLOADS.c.id).where(_UPLOAD).with_for_update())


def take(conn: Connection, project_id: int, size: int, place: Place) -> Taken | None:
    """None: it may not fit, or the upload is gone.  For `Database.brief`."""
    values = {"in_project": project_id, "wanted": size, **_written(place)}
    if conn.dialect.name == "postgresql":
        statement = _UPLOAD_AT_ONCE if place.hold is None else _HOLD_AT_ONCE
        return _taken(statement.first(conn, values))
    if place.hold is None and not _is_here(conn, values):
        return None
    row = _TAKE_IF_IT_FITS.first(conn, values)
    if row is not None:
        _write(conn, values, place)
    return _taken(row)


def take_exactly(conn: Connection, project_id: int, size: int, place: Place) -> Taken | Refused | None:
    """The same with every change counted, for those whom `take` did not let pass.  None: the upload is gone."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SET LOCAL synchronous_commit = off"))
    values = {"in_project": project_id, "wanted": size, **_written(place)}
    # The upload first, as `take` does: nobody waits in a ring.
    if place.hold is None and not _is_here(conn, values):
        return None
    if place.hold is not None:
        _KEEP_PROJECT.first(conn, values)
    quota = locked_quota(conn, project_id)
    if quota is None:
        return None
    used, limit = fold_locked(conn, project_id), quota.storage_limit
    if 0 <= limit < used + size:
        return Refused(used, limit)
    row = _TAKE_ANYWAY.first(conn, values)
    _write(conn, values, place)
    return _taken(row)


def _is_here(conn: Connection, values: dict[str, Any]) -> bool:
    """Whether the upload is still there, in a repository of this project.  Both stay so."""
    found = _UPLOAD_HERE.first(conn, values) is not None
    return found and _UPLOAD_THERE.first(conn, values) is not None


def _written(place: Place) -> dict[str, object]:
    if place.hold is None:
        return {"upload_id": place.upload_id}
    return {"hold_id": place.hold.id, "until": place.expires_at}


def _write(conn: Connection, values: dict[str, Any], place: Place) -> None:
    (_GROW_UPLOAD if place.hold is None else _INSERT_HOLD).run(conn, values)


def _taken(row: Sequence[Any] | None) -> Taken | None:
    return None if row is None else Taken(row[0], row[1], bool(row[2]))
