"""The SQL of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, select, update

from roadstead.db.insert import insert_id
from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import Label
from roadstead.projects.labels.rules import LabelDraft

_LABELS = cast("Table", Label.__table__)
FIELDS: Fields = {
    "id": Field(_LABELS.c.id, "number"),
    "name": Field(_LABELS.c.name),
    "description": Field(_LABELS.c.description),
    "color": Field(_LABELS.c.color),
    "creation_time": Field(_LABELS.c.created_at, "time"),
    "update_time": Field(_LABELS.c.updated_at, "time"),
}


@dataclass(frozen=True, slots=True)
class StoredLabel:
    id: int
    # None is the registry's own.
    project_id: int | None
    name: str
    description: str
    color: str
    created_at: int
    updated_at: int


def _label(row: RowMapping) -> StoredLabel:
    return StoredLabel(**row)


def _of(project: int | None) -> ColumnElement[bool]:
    return _LABELS.c.project_id.is_(None) if project is None else _LABELS.c.project_id == project


def labels_page(
    conn: Connection, project: int | None, name: str, request: ListRequest
) -> tuple[list[StoredLabel], int]:
    """The labels of a project, or of the registry, whose names hold `name`."""
    found = select(_LABELS).where(_of(project))
    if name:
        found = found.where(_LABELS.c.name.icontains(name, autoescape=True))
    rows, total = page_of(conn, found, request, FIELDS, default=(_LABELS.c.id.asc(),))
    return list(map(_label, rows)), total


def label(conn: Connection, label_id: int) -> StoredLabel | None:
    row = conn.execute(select(_LABELS).where(_LABELS.c.id == label_id)).mappings().first()
    return None if row is None else _label(row)


def name_taken(conn: Connection, project: int | None, name: str) -> bool:
    found = select(_LABELS.c.id).where(_of(project), _LABELS.c.name == name)
    return conn.execute(found).first() is not None


def add_label(conn: Connection, project: int | None, draft: LabelDraft, *, now: int) -> int:
    values = {
        "project_id": project,
        "name": draft.name,
        "description": draft.description,
        "color": draft.color,
        "created_at": now,
        "updated_at": now,
    }
    return insert_id(conn, Label, values)


def change_label(conn: Connection, label_id: int, draft: LabelDraft, *, now: int) -> None:
    values = {"name": draft.name, "description": draft.description, "color": draft.color, "updated_at": now}
    conn.execute(update(_LABELS).where(_LABELS.c.id == label_id).values(**values))


def delete_label(conn: Connection, label_id: int) -> None:
    """It goes from every artifact that has it."""
    conn.execute(delete(_LABELS).where(_LABELS.c.id == label_id))
