"""The SQL of tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from roadstead.db.database import PreparedQuery
from roadstead.db.insert import insert_ignore, upsert
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Manifest, Tag, TagChange
from roadstead.errors import Conflict
from roadstead.projects.access import with_access
from roadstead.quota.counts import check_tags
from roadstead.registry.repositories import REPOSITORIES, repository_source

TAGS: Table = Tag.__table__  # type: ignore[assignment]  # declared as FromClause
CHANGES: Table = TagChange.__table__  # type: ignore[assignment]  # declared as FromClause
_MANIFESTS: Table = Manifest.__table__  # type: ignore[assignment]  # declared as FromClause

_KEYS = ("repository_id", "name")
CREATED, MOVED, REMOVED, RESTORED = "created", "moved", "deleted", "restored"

# Access facts, then the repository's id.
REPOSITORY = PreparedQuery(with_access(REPOSITORIES.c.id, source=repository_source()))
_NAMES = (
    select(TAGS.c.name)
    .where(TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name > bindparam("after"))
    .order_by(TAGS.c.name)
    .limit(bindparam("limit"))
    .subquery()
)
# A page of names in one value, commas between them: a row for each would cost more than all the rest.
SEPARATOR = ","
# A bound separator would be written into the text at each use; a literal is there from the start.
_JOINED = func.aggregate_strings(_NAMES.c.name, literal_column(f"'{SEPARATOR}'"))  # type: ignore[arg-type]  # takes either
PAGE = PreparedQuery(select(_JOINED))

_TAG = (
    select(TAGS.c.manifest_id)
    .where(TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name == bindparam("name"))
    .with_for_update()
)
_DELETE = PreparedStatement(
    delete(TAGS).where(TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name == bindparam("name"))
)


def _change(*columns: ColumnElement[Any], source: Select[*tuple[Any, ...]]) -> PreparedStatement:
    """An entry of the history, written from what is there: `name, deed, digest, previous` and who and when."""
    whole = source.with_only_columns(
        bindparam("repository_id", type_=BigInteger()),
        *columns,
        bindparam("username", type_=Text()),
        bindparam("at", type_=BigInteger()),
    )
    names = ["repository_id", "name", "deed", "digest", "previous", "username", "at"]
    return PreparedStatement(insert(CHANGES).from_select(names, whole).inline())


_ONE = select(literal(1).label("one")).subquery("one")
_HERE = (TAGS.c.repository_id == bindparam("repository_id")) & (TAGS.c.name == bindparam("name"))
# Before the tag is put there; a push that changes nothing writes nothing.
_RECORD_PUT = _change(
    bindparam("name", type_=Text()),
    func.coalesce(
        bindparam("deed", type_=Text()), case((TAGS.c.manifest_id.is_(None), CREATED), else_=MOVED)
    ),
    bindparam("digest", type_=Text()),
    _MANIFESTS.c.digest,
    source=select(literal(1))
    .select_from(_ONE.outerjoin(TAGS, _HERE).outerjoin(_MANIFESTS, _MANIFESTS.c.id == TAGS.c.manifest_id))
    .where(or_(TAGS.c.manifest_id.is_(None), TAGS.c.manifest_id != bindparam("manifest_id"))),
)
_GONE = select(literal(1)).select_from(TAGS.join(_MANIFESTS, _MANIFESTS.c.id == TAGS.c.manifest_id))
_RECORD_DELETED = _change(
    TAGS.c.name, literal(REMOVED), _MANIFESTS.c.digest, null(), source=_GONE.where(_HERE)
)
_RECORD_ALL_DELETED = _change(
    TAGS.c.name,
    literal(REMOVED),
    _MANIFESTS.c.digest,
    null(),
    source=_GONE.where(
        TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.manifest_id == bindparam("manifest_id")
    ),
)


class TagExists(Conflict):
    """The name is taken in the repository."""

    def __init__(self, tag: str) -> None:
        super().__init__(
            f"the tag {tag} already exists in the repository",
            remedy="choose another name, or move the tag with PUT",
            tag=tag,
        )


def put_tags(
    conn: Connection,
    repository_id: int,
    names: Iterable[str],
    manifest: int,
    *,
    digest: str,
    username: str,
    now: int,
    deed: str | None = None,
    counted: bool = True,
    moves: bool = True,
) -> None:
    """Point each tag at the manifest of that digest, whatever it pointed at before, and remember who did.

    Raises `CountExceeded` where the quota allows no more tags; not `counted`, the caller knows of no limit.
    Unless it `moves` them, raises `TagExists` for a tag that is there.

    In order, so that two pushes never deadlock.  `deed` is what the history calls it, where that is neither
    making nor moving.
    """
    names = sorted(names)
    if counted:
        check_tags(conn, repository_id, names)
    for name in names:
        change = {"repository_id": repository_id, "name": name, "manifest_id": manifest, "deed": deed}
        _RECORD_PUT.run(conn, {**change, "digest": digest, "username": username, "at": now})
        values = {
            "repository_id": repository_id,
            "name": name,
            "manifest_id": manifest,
            "created_at": now,
            "updated_at": now,
        }
        if moves:
            upsert(conn, Tag, values, keys=_KEYS, update=("manifest_id", "updated_at"))
        elif not insert_ignore(conn, Tag, values, keys=_KEYS):
            raise TagExists(name)


def tagged_manifest(conn: Connection, repository_id: int, name: str) -> Row[int] | None:
    """What the tag points at.  Nobody else moves or deletes it until this transaction ends."""
    return conn.execute(_TAG, {"repository_id": repository_id, "name": name}).one_or_none()


def delete_tag(conn: Connection, repository_id: int, name: str, *, username: str, now: int) -> bool:
    here = {"repository_id": repository_id, "name": name}
    _RECORD_DELETED.run(conn, {**here, "username": username, "at": now})
    return _DELETE.run(conn, here) > 0


def record_tags_deleted(
    conn: Connection, repository_id: int, manifest: int, *, username: str, now: int
) -> None:
    """Remember every tag of a manifest, which is about to go with them."""
    values = {"repository_id": repository_id, "manifest_id": manifest, "username": username, "at": now}
    _RECORD_ALL_DELETED.run(conn, values)
