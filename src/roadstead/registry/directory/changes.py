"""What changes a repository as a whole, each in one transaction with its event and its audit entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from roadstead.audit import trail
from roadstead.errors import Conflict, Precondition
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.names import RepositoryName
from roadstead.quota.counts import check_arrival
from roadstead.quota.ledger import Hold, forget_repository, move_repository
from roadstead.registry.blobs.queries import lock_blobs, release_unused
from roadstead.registry.directory import queries
from roadstead.registry.gates import Attempt, Deed, Gate, check_all
from roadstead.registry.repositories import repository_id
from roadstead.telemetry.clock import Clock, now_ms

UPDATED, DELETED, TRANSFERRED = "repository.updated", "repository.deleted", "repository.transferred"


class RepositoryProtected(Precondition):
    """Somebody has protected it from deletion."""

    def __init__(self, name: RepositoryName) -> None:
        super().__init__(
            f"the repository {name.full} is protected from deletion",
            remedy="have somebody who may delete it take the protection away first",
            name=name.full,
        )


class RepositoryTaken(Conflict):
    def __init__(self, name: RepositoryName) -> None:
        super().__init__(
            f"there is a repository {name.full} already", remedy="choose another name", name=name.full
        )


class RepositoryGone(Conflict):
    def __init__(self) -> None:
        super().__init__("the repository was removed or moved just now", remedy="look again")


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """None leaves what there is."""

    description: str | None = None
    deletion_protected: bool | None = None

    @property
    def values(self) -> dict[str, str | bool]:
        found = {"description": self.description, "deletion_protected": self.deletion_protected}
        return {name: value for name, value in found.items() if value is not None}


class RepositoryChanges:
    def __init__(self, gates: Sequence[Gate], *, clock: Clock = now_ms) -> None:
        self._gates = gates
        self._clock = clock

    def update(
        self,
        conn: Connection,
        principal: Principal,
        project_id: int,
        repository: int,
        name: RepositoryName,
        *,
        change: RepositoryChange,
    ) -> None:
        now = self._clock()
        if not change.values:
            return
        queries.update_repository(conn, repository, {**change.values, "updated_at": now})
        record(
            conn,
            UPDATED,
            project_id=project_id,
            now=now,
            repository=name.path,
            fields=[*change.values],
            user=principal.username,
        )
        trail.record(
            conn,
            principal,
            "update",
            "repository",
            name.full,
            now=now,
            project_id=project_id,
            payload=change.values,
        )

    def delete(
        self,
        conn: Connection,
        principal: Principal,
        project_id: int,
        repository: int,
        name: RepositoryName,
    ) -> Sequence[tuple[str, Mapping[str, object]]]:
        """Where the store keeps bytes of uploads that end with the repository: `(key, notes)`."""
        now = self._clock()
        self._lock(conn, project_id, repository, name)
        check_all(self._gates, conn, Attempt(Deed.DELETE_REPOSITORY, project_id, repository, ""))
        blobs = queries.blobs_of(conn, repository)
        # In the order of those who push them elsewhere: the blob, then what the project is charged for it.
        lock_blobs(conn, blobs)
        forget_repository(conn, project_id, repository)
        # No request adds bytes to them any more: the row that would name those is locked.
        leftovers = queries.uploads_of(conn, repository)
        queries.delete_repository(conn, repository)
        release_unused(conn, blobs, now=now)
        record(conn, DELETED, project_id=project_id, now=now, repository=name.path, user=principal.username)
        trail.record(conn, principal, "delete", "repository", name.full, now=now, project_id=project_id)
        return leftovers

    def transfer(
        self,
        conn: Connection,
        hold: Hold | None,
        principal: Principal,
        repository: int,
        name: RepositoryName,
        *,
        source: int,
        target: int,
        new: RepositoryName,
    ) -> None:
        now = self._clock()
        self._lock(conn, source, repository, name)
        if repository_id(conn, target, new.path) is not None:
            raise RepositoryTaken(new)
        if source != target:
            check_all(self._gates, conn, Attempt(Deed.TRANSFER_REPOSITORY, source, repository, ""))
        try:
            with conn.begin_nested():
                queries.update_repository(
                    conn, repository, {"project_id": target, "path": new.path, "updated_at": now}
                )
        except IntegrityError:
            raise RepositoryTaken(new) from None
        if source != target:
            check_arrival(conn, target)
            move_repository(conn, repository, source, target, hold=hold)
            queries.drop_foreign_labels(conn, repository, target)
        for project in dict.fromkeys((source, target)):
            record(
                conn,
                TRANSFERRED,
                project_id=project,
                now=now,
                old=name.full,
                repository=new.full,
                user=principal.username,
            )
            trail.record(
                conn,
                principal,
                "update",
                "repository",
                new.full,
                now=now,
                project_id=project,
                description=f"transferred from {name.full}",
                payload={"old": name.full, "new": new.full},
            )

    def _lock(self, conn: Connection, project_id: int, repository: int, name: RepositoryName) -> None:
        row = queries.lock_repository(conn, repository)
        if row is None or row["project_id"] != project_id:
            raise RepositoryGone
        if row["deletion_protected"]:
            raise RepositoryProtected(name)
