"""Making a project: the one way in, for the API, for pushes, for the command line and for the first start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.audit.trail import Actor
from roadstead.errors import Conflict
from roadstead.events.outbox import record
from roadstead.projects.queries import DEFAULT_LIMIT, create_project, project_id

CREATED = "project.created"


@dataclass(frozen=True, slots=True)
class NewProject:
    name: str
    public: bool = False
    # Becomes its administrator.
    owner_id: int | None = None
    # In bytes, as in `quotas.storage`.
    storage: int = DEFAULT_LIMIT
    deletion_protected: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    cve_allowlist: Mapping[str, object] | None = None


# Refuses a project by raising, before it is there, in the transaction that makes it.
ProjectCheck = Callable[[Connection, NewProject], None]


class ProjectExists(Conflict):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a project {name} already", remedy="choose another name", project=name)


def create(
    conn: Connection, actor: Actor, new: NewProject, *, checks: Sequence[ProjectCheck] = (), now: int
) -> int | None:
    """The new project's id; None if there is one of that name."""
    if project_id(conn, new.name) is not None:
        return None
    for check in checks:
        check(conn, new)
    created = create_project(
        conn,
        new.name,
        public=new.public,
        owner_id=new.owner_id,
        storage=new.storage,
        deletion_protected=new.deletion_protected,
        settings=new.settings,
        cve_allowlist=new.cve_allowlist,
        now=now,
    )
    if created is None:
        return None
    record(
        conn, CREATED, project_id=created, now=now, project=new.name, public=new.public, user=actor.username
    )
    payload = {"public": new.public, "storage": new.storage, "settings": dict(new.settings)}
    trail.record(conn, actor, "create", "project", new.name, now=now, project_id=created, payload=payload)
    return created
