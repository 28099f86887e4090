"""What changes a project, each in one transaction with its event and its audit entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from roadstead.audit import trail
from roadstead.errors import Conflict, NameInvalid, Precondition
from roadstead.events.outbox import JsonValue, record
from roadstead.identity.principals import Principal
from roadstead.identity.rules import MAX_USERNAME
from roadstead.projects.allowlists import Allowlist
from roadstead.projects.authority import ProjectHidden
from roadstead.projects.creation import ProjectExists
from roadstead.projects.directory import queries
from roadstead.projects.directory.rules import PROTECTED, PUBLIC
from roadstead.projects.queries import project_id

UPDATED = "project.updated"
RENAMED = "project.renamed"
DELETED = "project.deleted"

# Refuses that a project, by its id, becomes public (or private), by raising, in the transaction that changes it.
VisibilityCheck = Callable[[Connection, int, bool], None]


class ProjectProtected(Precondition):
    """It is protected from deletion."""


class ProjectNotEmpty(Precondition):
    """There are repositories in it."""


def locked(conn: Connection, project: int) -> RowMapping:
    row = queries.lock_project(conn, project)
    if row is None:
        raise ProjectHidden(project)
    return row


def update(
    conn: Connection,
    principal: Principal,
    project: int,
    metadata: Mapping[str, str | None],
    allowlist: Allowlist | None,
    *,
    checks: Sequence[VisibilityCheck] = (),
    now: int,
) -> None:
    """Set these keys, or with None unset them, and replace the allow list unless there is none."""
    row = locked(conn, project)
    values: dict[str, object] = {}
    settings = dict(row["settings"] or {})
    for key, value in metadata.items():
        if key == PUBLIC:
            values["public"] = value == "true"
        elif key == PROTECTED:
            values["deletion_protected"] = value == "true"
        elif value is None:
            settings.pop(key, None)
        else:
            settings[key] = value
    if settings != (row["settings"] or {}):
        values["settings"] = settings
    if values.get("public", row["public"]) != row["public"]:
        for check in checks:
            check(conn, project, bool(values["public"]))
    if allowlist is not None:
        values["cve_allowlist"] = allowlist.document()
    queries.set_columns(conn, project, values, now=now)
    told: dict[str, JsonValue] = dict(metadata)
    if allowlist is not None:
        told["cve_allowlist"] = len(allowlist.cves)
    name = row["name"]
    record(conn, UPDATED, project_id=project, now=now, project=name, keys=[*told], user=principal.username)
    trail.record(conn, principal, "update", "project", name, now=now, project_id=project, payload=told)


class MetadataExists(Conflict):
    """The key has a value."""


def add_metadata(
    conn: Connection,
    principal: Principal,
    project: int,
    values: Mapping[str, str],
    *,
    checks: Sequence[VisibilityCheck] = (),
    now: int,
) -> None:
    held = queries.metadata_of(locked(conn, project))
    taken = sorted(held.keys() & values.keys())
    if taken:
        raise MetadataExists(f"the project has a value for {taken[0]}", remedy="change it with PUT")
    update(conn, principal, project, dict(values), None, checks=checks, now=now)


def rename(conn: Connection, principal: Principal, project: int, name: str, *, now: int) -> None:
    row = locked(conn, project)
    old = row["name"]
    if name == old:
        return
    if project_id(conn, name) is not None:
        raise ProjectExists(name)
    try:
        with conn.begin_nested():
            queries.set_columns(conn, project, {"name": name}, now=now)
    except IntegrityError:
        raise ProjectExists(name) from None
    robots = queries.rename_robots(conn, project, old, name)
    if max(map(len, robots), default=0) > MAX_USERNAME:
        raise NameInvalid(
            f"with this name of the project, its robots' names would be longer than {MAX_USERNAME} characters, and"
            " could not sign in",
            remedy="choose a shorter name",
            limit=MAX_USERNAME,
        )
    record(conn, RENAMED, project_id=project, now=now, old=old, project=name, user=principal.username)
    payload = {"old": old, "new": name, "robots": len(robots)}
    description = f"renamed from {old}"
    trail.record(
        conn,
        principal,
        "update",
        "project",
        name,
        now=now,
        project_id=project,
        description=description,
        payload=payload,
    )


def why_not_deletable(conn: Connection, row: RowMapping) -> Precondition | None:
    if row["deletion_protected"]:
        return ProjectProtected(
            f"the project {row['name']} is protected from deletion",
            remedy=f"set its metadata {PROTECTED} to false first",
        )
    if queries.has_repositories(conn, row["id"]):
        return ProjectNotEmpty(
            f"the project {row['name']} contains repositories, and cannot be deleted",
            remedy="delete its repositories first",
        )
    return None


def delete(conn: Connection, principal: Principal, project: int, *, now: int) -> None:
    row = locked(conn, project)
    reason = why_not_deletable(conn, row)
    if reason is not None:
        raise reason
    queries.delete_project(conn, project)
    record(conn, DELETED, project_id=project, now=now, project=row["name"], user=principal.username)
    trail.record(conn, principal, "delete", "project", row["name"], now=now, project_id=project)
