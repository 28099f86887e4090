"""Artifacts as values: what a list shows of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, RowMapping

from roadstead.oci.names import RepositoryName
from roadstead.registry.artifacts import kinds, queries
from roadstead.registry.artifacts.details import Document

Row = Mapping[str, Any]


class Immutability(Protocol):
    def covers(self, conn: Connection, project_id: int) -> Callable[[str], Callable[[str], bool]]:
        """By the path of a repository of the project, which of its tags are immutable."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look up beside the artifacts themselves."""

    tags: bool = True
    labels: bool = False
    accessories: bool = False
    immutable: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Whose repository."""

    project_id: int
    repository_id: int
    name: RepositoryName


@dataclass(slots=True)
class ArtifactView:
    """One artifact.  None: nobody asked."""

    row: Row
    place: Place
    details: Document = field(default_factory=dict)
    size: int = 0
    tags: list[Row] | None = None
    labels: list[Row] | None = None
    accessories: list[Row] | None = None
    children: dict[str, int] = field(default_factory=dict)
    immutable: Callable[[str], bool] | None = None

    @property
    def type(self) -> str:
        return kinds.type_of(self.row["media_type"], self.row["artifact_type"])

    @property
    def additions(self) -> Sequence[str]:
        """What can be read out of it."""
        if self.type == kinds.CHART:
            return ["values.yaml", "readme.md", "dependencies"]
        if self.type == kinds.MODEL:
            return ["readme.md", "license", "files"]
        return ["build_history"] if self.type == kinds.IMAGE and "references" not in self.details else []


def assemble(
    conn: Connection,
    project_id: int,
    names: Mapping[int, RepositoryName],
    rows: Sequence[RowMapping],
    wanted: Wanted,
    *,
    immutability: Immutability,
) -> list[ArtifactView]:
    """The views of one page; always so many statements, whatever is on it.

    `names` are those of the repositories, by their ids.
    """
    places = {each: Place(project_id, each, name) for each, name in names.items()}
    views = {
        row["id"]: ArtifactView(
            dict(row), places[row["repository_id"]], dict(row["details"] or {}), row["total_size"]
        )
        for row in rows
    }
    ids = list(views)
    for child in queries.children_of(conn, ids):
        views[child["manifest_id"]].children[child["digest"]] = child["id"]
    if wanted.tags:
        _add_tags(conn, views, ids)
        if wanted.immutable:
            covers = immutability.covers(conn, project_id)
            of_place = {each: covers(name.path) for each, name in names.items()}
            for view in views.values():
                view.immutable = of_place[view.place.repository_id]
    if wanted.labels:
        for view in views.values():
            view.labels = []
        for label in queries.labels_of(conn, ids):
            _of(views[label["manifest_id"]].labels).append(dict(label))
    if wanted.accessories:
        _add_accessories(conn, views, ids)
    return list(views.values())


def _add_tags(conn: Connection, views: Mapping[int, ArtifactView], ids: Sequence[int]) -> None:
    for view in views.values():
        view.tags = []
    for tag in queries.tags_of(conn, ids):
        _of(views[tag["manifest_id"]].tags).append(dict(tag))


def _add_accessories(conn: Connection, views: Mapping[int, ArtifactView], ids: Sequence[int]) -> None:
    for view in views.values():
        view.accessories = []
    for row in queries.accessories_of(conn, ids):
        subject = row["subject_id"]
        _of(views[subject].accessories).append(accessory(row, subject))


def accessory(row: RowMapping, subject_id: int) -> Row:
    nydus = bool((row["details"] or {}).get("nydus"))
    return {
        **row,
        "subject_id": subject_id,
        "type": kinds.accessory_type(row["artifact_type"], nydus=nydus),
    }


def _of(rows: list[Row] | None) -> list[Row]:
    assert rows is not None  # noqa: S101 - set before anything is added
    return rows
