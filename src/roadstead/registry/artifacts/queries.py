"""The SQL of artifacts.  A page takes a fixed number of statements, however many artifacts are on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from roadstead.db.insert import insert_ignore
from roadstead.db.list_requests import Clause, ListRequest, take
from roadstead.db.listing import Field, matching, page_of
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import ArtifactLabel, Label
from roadstead.errors import RequestInvalid
from roadstead.oci.media_types import INDEXES
from roadstead.registry.artifacts.kinds import has_type
from roadstead.registry.blobs.queries import BLOBS, LINKS, MANIFESTS, REFERENCES
from roadstead.registry.repositories import REPOSITORIES
from roadstead.registry.tags.queries import TAGS

LABELS = cast("Table", Label.__table__)
ARTIFACT_LABELS = cast("Table", ArtifactLabel.__table__)
_PARENTS = MANIFESTS.alias("parents")
_SUBJECTS = MANIFESTS.alias("subjects")

# Tags on one page of artifacts; of more, the list of the artifact's own tags tells.
MOST_TAGS = 5_000
MOST_ACCESSORIES = 2_000

SHOWN = (
    MANIFESTS.c.id,
    MANIFESTS.c.repository_id,
    MANIFESTS.c.digest,
    MANIFESTS.c.media_type,
    MANIFESTS.c.artifact_type,
    MANIFESTS.c.subject_digest,
    MANIFESTS.c.size,
    MANIFESTS.c.total_size,
    MANIFESTS.c.pushed_at,
    MANIFESTS.c.pulled_at,
    MANIFESTS.c.details,
)
_FIELDS = {
    "id": Field(MANIFESTS.c.id, "number"),
    "digest": Field(MANIFESTS.c.digest),
    "manifest_media_type": Field(MANIFESTS.c.media_type),
    "artifact_type": Field(MANIFESTS.c.artifact_type),
    "size": Field(MANIFESTS.c.total_size, "number"),
    "push_time": Field(MANIFESTS.c.pushed_at, "time"),
    "pull_time": Field(MANIFESTS.c.pulled_at, "time"),
    "pull_count": Field(MANIFESTS.c.pull_count, "number"),
}
# The condition that a column names one of the repositories that a list is of.
Within = Callable[[ColumnElement[Any]], ColumnElement[bool]]
_NEWEST = (MANIFESTS.c.pushed_at.desc(), MANIFESTS.c.id.desc())
_TAGGED = exists().where(TAGS.c.manifest_id == MANIFESTS.c.id).correlate(MANIFESTS)


def listed(in_repository: Within) -> ColumnElement[bool]:
    """What lists show of manifests: those with a tag, or that are nobody's child; and never accessories.

    `in_repository(column)` is the condition that a manifest is in the repositories that the list is of.
    """
    children = (
        select(_PARENTS.c.repository_id, REFERENCES.c.digest)
        .join(REFERENCES, REFERENCES.c.manifest_id == _PARENTS.c.id)
        .where(
            in_repository(_PARENTS.c.repository_id),
            _PARENTS.c.media_type.in_(INDEXES),
            REFERENCES.c.kind == "manifest",
        )
    )
    is_accessory = (
        exists()
        .where(
            _SUBJECTS.c.repository_id == MANIFESTS.c.repository_id,
            _SUBJECTS.c.digest == MANIFESTS.c.subject_digest,
        )
        .correlate(MANIFESTS)
    )
    place = tuple_(MANIFESTS.c.repository_id, MANIFESTS.c.digest)
    return and_(
        or_(MANIFESTS.c.subject_digest.is_(None), ~is_accessory),
        or_(place.not_in(children), _TAGGED),
    )


def of_repository(repository_id: int) -> Within:
    return lambda column: column == repository_id


def of_project(project_id: int, repositories: Sequence[int] | None) -> Within:
    """All of the project's repositories, or only these of them."""
    inside = select(REPOSITORIES.c.id).where(REPOSITORIES.c.project_id == project_id)
    if repositories is not None:
        # Written out: there may be more of them than a statement has parameters.
        ids: BindParameter[Any] = bindparam(None, list(repositories), expanding=True, literal_execute=True)
        inside = inside.where(REPOSITORIES.c.id.in_(ids))
    return lambda column: column.in_(inside)


def artifacts_page(
    conn: Connection, within: Within, request: ListRequest, *, latest: bool = False
) -> tuple[list[RowMapping], int]:
    """The artifacts of some repositories, those pushed last first.  Raises `RequestInvalid`.

    `latest`: of those that the request asks for, the last in each repository.
    """
    statement, rest = _chosen(within, request)
    if latest:
        _check_one_kind(request)
        statement, rest = _latest(statement, rest), replace(rest, clauses=())
    return page_of(conn, statement, rest, _FIELDS, default=_NEWEST)


def _check_one_kind(request: ListRequest) -> None:
    if len([clause for clause in request.clauses if clause.key in {"media_type", "artifact_type"}]) != 1:
        raise RequestInvalid(
            "latest_in_repository needs either media_type or artifact_type in q",
            remedy="write q=media_type=application/…, or leave latest_in_repository out",
        )


def _latest(statement: Select[*tuple[Any, ...]], request: ListRequest) -> Select[*tuple[Any, ...]]:
    number = func.row_number().over(partition_by=MANIFESTS.c.repository_id, order_by=_NEWEST)
    numbered = (
        matching(statement, request, _FIELDS)
        .with_only_columns(MANIFESTS.c.id, number.label("number"))
        .subquery("numbered")
    )
    return select(*SHOWN).where(MANIFESTS.c.id.in_(select(numbered.c.id).where(numbered.c.number == 1)))


def _chosen(within: Within, request: ListRequest) -> tuple[Select[*tuple[Any, ...]], ListRequest]:
    rest, taken = take(request, "tags", "labels", "base", "type", "media_type")
    statement: Select[*tuple[Any, ...]] = select(*SHOWN).where(within(MANIFESTS.c.repository_id))
    if "base" not in taken:
        statement = statement.where(listed(within))
    elif taken["base"].values != ("*",):
        raise RequestInvalid("base is good for '*' only", remedy="write base=*, or leave it out")
    if "tags" in taken:
        statement = statement.where(_with_tag(taken["tags"]))
    if "labels" in taken:
        statement = statement.where(*_with_labels(taken["labels"]))
    if "type" in taken:
        statement = statement.where(or_(*(has_type(value) for value in taken["type"].values)))
    if "media_type" in taken:
        statement = statement.where(_with_media_type(taken["media_type"]))
    return statement, rest


def _with_tag(clause: Clause) -> ColumnElement[bool]:
    mine = exists().where(TAGS.c.manifest_id == MANIFESTS.c.id).correlate(MANIFESTS)
    if clause.op == "range":
        raise RequestInvalid("tags have no range", remedy="write tags=v1, tags=~v, tags=* or tags=nil")
    if clause.op == "fuzzy":
        return mine.where(TAGS.c.name.contains(clause.values[0], autoescape=True))
    if clause.values == ("*",):
        return _TAGGED
    if clause.values == ("nil",):
        return ~_TAGGED
    if clause.op == "all":
        return and_(*(mine.where(TAGS.c.name == name) for name in clause.values))
    return mine.where(TAGS.c.name.in_(clause.values))


def _with_labels(clause: Clause) -> list[ColumnElement[bool]]:
    if clause.op not in {"exact", "all", "any"} or not all(
        value.isdecimal() and value.isascii() and int(value) < 2**63 for value in clause.values
    ):
        raise RequestInvalid("labels are numbers", remedy="write labels=(1 2)")
    mine = exists().where(ARTIFACT_LABELS.c.manifest_id == MANIFESTS.c.id).correlate(MANIFESTS)
    each = [mine.where(ARTIFACT_LABELS.c.label_id == int(value)) for value in clause.values]
    return [or_(*each)] if clause.op == "any" else [*each]


def _with_media_type(clause: Clause) -> ColumnElement[bool]:
    if clause.op not in {"exact", "any"}:
        raise RequestInvalid("media types are compared whole", remedy="write media_type=application/…")
    of_config = MANIFESTS.c.details["media_type"].as_string()
    before = and_(MANIFESTS.c.details.is_(None), MANIFESTS.c.artifact_type.in_(clause.values))
    return or_(of_config.in_(clause.values), before)


_ONE = select(*SHOWN).where(MANIFESTS.c.repository_id == bindparam("repository_id"))
_BY_DIGEST = _ONE.where(MANIFESTS.c.digest == bindparam("reference"))
_BY_TAG = _ONE.join(TAGS, TAGS.c.manifest_id == MANIFESTS.c.id).where(
    TAGS.c.repository_id == bindparam("repository_id"), TAGS.c.name == bindparam("reference")
)


def artifact(conn: Connection, repository_id: int, reference: str, *, digest: bool) -> RowMapping | None:
    values = {"repository_id": repository_id, "reference": reference}
    return conn.execute(_BY_DIGEST if digest else _BY_TAG, values).mappings().one_or_none()


# ── what belongs to the artifacts of a page ─────────────────────────────────────────────────────────────

_TAGS_OF = (
    select(TAGS.c.manifest_id, TAGS.c.repository_id, TAGS.c.name, TAGS.c.created_at, TAGS.c.updated_at)
    .where(TAGS.c.manifest_id.in_(bindparam("ids", expanding=True)))
    .order_by(TAGS.c.updated_at.desc(), TAGS.c.name)
    .limit(MOST_TAGS)
)
_LABELS_OF = (
    select(ARTIFACT_LABELS.c.manifest_id, *LABELS.c)
    .join(LABELS, LABELS.c.id == ARTIFACT_LABELS.c.label_id)
    .where(ARTIFACT_LABELS.c.manifest_id.in_(bindparam("ids", expanding=True)))
    .order_by(LABELS.c.id)
)
_ACCESSORIES_OF = (
    select(
        _SUBJECTS.c.id.label("subject_id"),
        MANIFESTS.c.id,
        MANIFESTS.c.digest,
        MANIFESTS.c.artifact_type,
        MANIFESTS.c.subject_digest,
        MANIFESTS.c.size,
        MANIFESTS.c.total_size,
        MANIFESTS.c.pushed_at,
        MANIFESTS.c.details,
    )
    .join(
        _SUBJECTS,
        (_SUBJECTS.c.repository_id == MANIFESTS.c.repository_id)
        & (_SUBJECTS.c.digest == MANIFESTS.c.subject_digest),
    )
    .where(_SUBJECTS.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(MANIFESTS.c.id)
    .limit(MOST_ACCESSORIES)
)
_CHILDREN_OF = (
    select(REFERENCES.c.manifest_id, MANIFESTS.c.id, MANIFESTS.c.digest)
    .join(_PARENTS, _PARENTS.c.id == REFERENCES.c.manifest_id)
    .join(
        MANIFESTS,
        (MANIFESTS.c.digest == REFERENCES.c.digest) & (MANIFESTS.c.repository_id == _PARENTS.c.repository_id),
    )
    .where(REFERENCES.c.manifest_id.in_(bindparam("ids", expanding=True)), REFERENCES.c.kind == "manifest")
)
_PATHS_OF = select(REPOSITORIES.c.id, REPOSITORIES.c.path).where(
    REPOSITORIES.c.id.in_(bindparam("ids", expanding=True))
)


def tags_of(conn: Connection, manifests: Sequence[int]) -> Sequence[RowMapping]:
    """The tags of these manifests, the newest first."""
    return conn.execute(_TAGS_OF, {"ids": list(manifests)}).mappings().all()


def labels_of(conn: Connection, manifests: Sequence[int]) -> Sequence[RowMapping]:
    return conn.execute(_LABELS_OF, {"ids": list(manifests)}).mappings().all()


def accessories_of(conn: Connection, manifests: Sequence[int]) -> Sequence[RowMapping]:
    """What refers to these manifests, each in its own repository."""
    return conn.execute(_ACCESSORIES_OF, {"ids": list(manifests)}).mappings().all()


def children_of(conn: Connection, manifests: Sequence[int]) -> Sequence[RowMapping]:
    """`(manifest_id, id, digest)` of the children of these indexes that are in the repositories of theirs."""
    return conn.execute(_CHILDREN_OF, {"ids": list(manifests)}).mappings().all()


def paths_of(conn: Connection, repositories: Sequence[int]) -> Mapping[int, str]:
    rows = conn.execute(_PATHS_OF, {"ids": list(repositories)})
    return {row.id: row.path for row in rows}


_ACCESSORY_FIELDS = {
    "id": Field(MANIFESTS.c.id, "number"),
    "digest": Field(MANIFESTS.c.digest),
    "creation_time": Field(MANIFESTS.c.pushed_at, "time"),
    "size": Field(MANIFESTS.c.total_size, "number"),
}


def accessories_page(
    conn: Connection, repository_id: int, subject: str, request: ListRequest
) -> tuple[list[RowMapping], int]:
    statement = select(*SHOWN).where(
        MANIFESTS.c.repository_id == repository_id, MANIFESTS.c.subject_digest == subject
    )
    return page_of(conn, statement, request, _ACCESSORY_FIELDS, default=[MANIFESTS.c.id])


# ── details ─────────────────────────────────────────────────────────────────────────────────────────────

_UNDESCRIBED = select(
    MANIFESTS.c.id,
    MANIFESTS.c.repository_id,
    MANIFESTS.c.media_type,
    MANIFESTS.c.artifact_type,
    MANIFESTS.c.total_size,
    MANIFESTS.c.payload,
)
_BY_IDS = _UNDESCRIBED.where(MANIFESTS.c.id.in_(bindparam("ids", expanding=True)))
_SET_DETAILS = (
    update(MANIFESTS)
    .where(MANIFESTS.c.id == bindparam("of_manifest"))
    .values(details=bindparam("what", type_=JSON()), total_size=bindparam("all_bytes"))
)
_STORED = (
    select(LINKS.c.repository_id, BLOBS.c.digest, BLOBS.c.size, BLOBS.c.storage_key)
    .join(LINKS, LINKS.c.blob_id == BLOBS.c.id)
    .where(
        LINKS.c.repository_id.in_(bindparam("repositories", expanding=True)),
        BLOBS.c.digest.in_(bindparam("digests", expanding=True)),
    )
)
_CHILD_SIZES = (
    select(REFERENCES.c.manifest_id, MANIFESTS.c.id, MANIFESTS.c.size, MANIFESTS.c.total_size)
    .join(_PARENTS, _PARENTS.c.id == REFERENCES.c.manifest_id)
    .join(
        MANIFESTS,
        (MANIFESTS.c.digest == REFERENCES.c.digest) & (MANIFESTS.c.repository_id == _PARENTS.c.repository_id),
    )
    .where(REFERENCES.c.manifest_id.in_(bindparam("ids", expanding=True)), REFERENCES.c.kind == "manifest")
)
_UNDESCRIBED_ID = PreparedStatement(
    select(MANIFESTS.c.id, MANIFESTS.c.size).where(
        MANIFESTS.c.repository_id == bindparam("repository_id"),
        MANIFESTS.c.digest == bindparam("digest"),
        MANIFESTS.c.details.is_(None),
    )
)


def undescribed(conn: Connection, manifests: Sequence[int]) -> Sequence[RowMapping]:
    return conn.execute(_BY_IDS, {"ids": list(manifests)}).mappings().all()


def undescribed_id(conn: Connection, repository_id: int, digest: str) -> tuple[int, int] | None:
    """`(id, bytes)` of the manifest, if it is there and nobody has looked into it."""
    row = _UNDESCRIBED_ID.first(conn, {"repository_id": repository_id, "digest": digest})
    return None if row is None else (row[0], row[1])


def stored_blobs(
    conn: Connection, repositories: Sequence[int], digests: Sequence[str]
) -> Mapping[tuple[int, str], tuple[int, str]]:
    """`(size, storage key)` of blobs that the repositories may serve, by repository and digest."""
    values = {"repositories": list(repositories), "digests": list(digests)}
    rows = conn.execute(_STORED, values)
    return {(row.repository_id, row.digest): (row.size, row.storage_key) for row in rows}


def child_sizes(conn: Connection, manifests: Sequence[int]) -> Mapping[int, int]:
    """What the children of these indexes amount to."""
    found: dict[int, int] = {}
    for parent, _, _, size in conn.execute(_CHILD_SIZES, {"ids": list(manifests)}):
        found[parent] = found.get(parent, 0) + size
    return found


def unsized_children(conn: Connection, manifests: Sequence[int]) -> list[tuple[int, int]]:
    """`(id, bytes)` of the children of these indexes whose size with all they name is not known."""
    rows = conn.execute(_CHILD_SIZES, {"ids": list(manifests)})
    return list({child: size for _, child, size, total in rows if total == 0}.items())


def set_details(conn: Connection, rows: Sequence[tuple[int, Mapping[str, object], int]]) -> None:
    """`(manifest, details, total size)`."""
    if rows:
        conn.execute(
            _SET_DETAILS,
            [
                {"of_manifest": each, "what": dict(what), "all_bytes": size}
                for each, what, size in sorted(rows, key=_id)
            ],
        )


def _id(row: tuple[int, Mapping[str, object], int]) -> int:
    return row[0]


# ── labels ──────────────────────────────────────────────────────────────────────────────────────────────


def label(conn: Connection, label_id: int, project_id: int) -> RowMapping | None:
    """The label, if it is this project's or the whole registry's."""
    statement = select(*LABELS.c).where(
        LABELS.c.id == label_id, or_(LABELS.c.project_id.is_(None), LABELS.c.project_id == project_id)
    )
    return conn.execute(statement).mappings().one_or_none()


def add_label(conn: Connection, manifest: int, label_id: int, *, now: int) -> bool:
    """Whether it was not there yet."""
    values = {"manifest_id": manifest, "label_id": label_id, "created_at": now}
    return insert_ignore(conn, ArtifactLabel, values, keys=("manifest_id", "label_id"))


def remove_label(conn: Connection, manifest: int, label_id: int) -> bool:
    statement = delete(ARTIFACT_LABELS).where(
        ARTIFACT_LABELS.c.manifest_id == manifest, ARTIFACT_LABELS.c.label_id == label_id
    )
    return conn.execute(statement).rowcount > 0


# ── deletion ────────────────────────────────────────────────────────────────────────────────────────────


def is_child(conn: Connection, repository_id: int, digest: str) -> bool:
    """Whether an index of the repository names the manifest."""
    statement = (
        select(_PARENTS.c.id)
        .join(REFERENCES, REFERENCES.c.manifest_id == _PARENTS.c.id)
        .where(_PARENTS.c.repository_id == repository_id, REFERENCES.c.digest == digest)
        .limit(1)
    )
    return conn.execute(statement).first() is not None
