"""How the registry is: what it is made of and whether that works, how much there is, and how much room."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import structlog
from sqlalchemy import BigInteger, Table, func, literal, select, text
from sqlalchemy import cast as cast_sql

from roadstead.db.database import Database, PreparedQuery
from roadstead.db.tables import Job, Quota, QuotaChange, Repository
from roadstead.errors import NotFound, RoadsteadError
from roadstead.identity.principals import Principal
from roadstead.jobs.schedules import every_one
from roadstead.projects.access import PROJECTS
from roadstead.projects.authority import Authority
from roadstead.projects.networks import admits
from roadstead.projects.visibility import PULLS_ALL, VISIBLE
from roadstead.storage.protocol import BlobStore
from roadstead.telemetry.clock import Clock, now_ms

# An answer about health is that old at most, in milliseconds.
KEPT_MS = 10_000
# A check that takes longer has failed, in seconds.
PATIENCE = 5.0
# A job that nobody took for that long means that nobody works, in milliseconds.
LONGEST_QUEUE_MS = 300_000

_log = structlog.get_logger(__name__)

_REPOSITORIES = cast("Table", Repository.__table__)
_JOBS = cast("Table", Job.__table__)
_QUOTAS = cast("Table", Quota.__table__)
_CHANGES = cast("Table", QuotaChange.__table__)
_ALIVE = PreparedQuery(select(literal(1)))
_OLDEST_JOB = PreparedQuery(select(func.min(_JOBS.c.run_at)).where(text("jobs.state = 'queued'")))
_PROJECTS_BY_PUBLIC = PreparedQuery(
    select(PROJECTS.c.public, PROJECTS.c.network_rules, func.count())
    .where(VISIBLE)
    .group_by(PROJECTS.c.public, PROJECTS.c.network_rules)
)
_REPOSITORIES_BY_PUBLIC = PreparedQuery(
    select(PROJECTS.c.public, PROJECTS.c.network_rules, func.count())
    .select_from(PROJECTS.join(_REPOSITORIES, _REPOSITORIES.c.project_id == PROJECTS.c.id))
    .where(PULLS_ALL)
    .group_by(PROJECTS.c.public, PROJECTS.c.network_rules)
)
_CHARGED = PreparedQuery(
    select(cast_sql(func.coalesce(func.sum(_QUOTAS.c.charged), 0), BigInteger)).where(
        _QUOTAS.c.project_id.is_not(None)
    )
)
_PENDING = PreparedQuery(select(cast_sql(func.coalesce(func.sum(_CHANGES.c.bytes), 0), BigInteger)))


@dataclass(frozen=True, slots=True)
class Component:
    name: str
    # Why it is not healthy; empty when it is.
    error: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the caller may know of.  The totals and the bytes are for administrators."""

    private_projects: int
    public_projects: int
    private_repositories: int
    public_repositories: int
    total_projects: int
    total_repositories: int
    storage: int


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes of the filesystem that the blobs are on."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Scheduled:
    name: str
    # None: every so many seconds.
    cron: str | None
    seconds: int
    next_at: int


class NoVolume(NotFound):
    def __init__(self) -> None:
        super().__init__("the blobs are on no volume of a known size", remedy="ask the store they are in")


class RegistryState:
    def __init__(
        self,
        database: Database,
        store: BlobStore,
        authority: Authority,
        *,
        folder: Path | None,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._store = store
        self._authority = authority
        # Of the blobs, where they are files.
        self._folder = folder
        self._clock = clock
        self._checks: Mapping[str, Callable[[], Awaitable[None]]] = {
            "database": self._check_database,
            "jobservice": self._check_jobs,
            "storage": store.probe,
        }
        self._found: Sequence[Component] = ()
        self._until = 0
        self._asking = asyncio.Lock()

    async def health(self) -> Sequence[Component]:
        """Every part, by name.  Whoever asks, the parts themselves are asked once in `KEPT_MS`."""
        async with self._asking:
            now = self._clock()
            if not self._found or not 0 <= self._until - now <= KEPT_MS:
                checked = await asyncio.gather(*(self._checked(*check) for check in self._checks.items()))
                # They answer as long as this does.
                here = (Component("core"), Component("registry"))
                self._found = sorted((*checked, *here), key=lambda part: part.name)
                self._until = now + KEPT_MS
            return self._found

    async def statistics(self, principal: Principal) -> Statistics:
        """Four statements, however much there is."""
        await self._authority.signed_in(principal)
        admin = await self._authority.administrator(principal)
        parameters = {"user_id": principal.user_id, "admin": admin}
        projects = await self._by_public(_PROJECTS_BY_PUBLIC, principal, parameters)
        repositories = await self._by_public(_REPOSITORIES_BY_PUBLIC, principal, parameters)
        storage = 0
        if admin:
            for query in (_CHARGED, _PENDING):
                row = await self._database.first(query, {})
                storage += int(row[0]) if row else 0
        return Statistics(
            private_projects=projects[False],
            public_projects=projects[True],
            private_repositories=repositories[False],
            public_repositories=repositories[True],
            total_projects=sum(projects.values()) if admin else 0,
            total_repositories=sum(repositories.values()) if admin else 0,
            storage=storage,
        )

    async def volume(self, principal: Principal) -> Volume:
        """Raises `NoVolume` where the blobs are no files."""
        await self._authority.system(principal, "system-volumes:read")
        if self._folder is None:
            raise NoVolume
        return await asyncio.to_thread(_volume, self._folder)

    async def schedules(self, principal: Principal) -> Sequence[Scheduled]:
        """What the clock asks for, by name."""
        await self._authority.system(principal, "jobservice-monitor:list")
        return [
            Scheduled(row["name"], row["cron"], row["every_seconds"], row["next_at"])
            for row in await self._database.read(every_one)
        ]

    async def _by_public(
        self, query: PreparedQuery, principal: Principal, parameters: Mapping[str, object]
    ) -> dict[bool, int]:
        """How many there are; projects that lists leave out, because of the caller's address, do not count."""
        found = {False: 0, True: 0}
        for public, rules, count in await self._database.all(query, parameters):
            if parameters["admin"] or not rules or admits(rules, principal.door, principal.address):
                found[bool(public)] += int(count)
        return found

    async def _checked(self, name: str, check: Callable[[], Awaitable[None]]) -> Component:
        try:
            async with asyncio.timeout(PATIENCE):
                await check()
        except (RoadsteadError, OSError, TimeoutError) as error:
            # Anybody may ask: the reason is for the log.
            _log.warning("health.unhealthy", component=name, error=f"{type(error).__name__}: {error}")
            return Component(name, "it does not work: the server's log says why")
        return Component(name)

    async def _check_database(self) -> None:
        await self._database.first(_ALIVE, {})

    async def _check_jobs(self) -> None:
        row = await self._database.first(_OLDEST_JOB, {})
        if row and row[0] is not None and row[0] < self._clock() - LONGEST_QUEUE_MS:
            raise TimeoutError("jobs wait, and nobody takes them: run roadstead worker, or set jobs.embedded")


def _volume(folder: Path) -> Volume:
    # Nothing was pushed yet: the folder will be made on the volume of the one above it.
    found = next(there for there in (folder, *folder.parents) if there.exists())
    usage = shutil.disk_usage(found)
    return Volume(usage.total, usage.free)
