"""The composition root: every object is built here, once, and the seams are listed in order.

`build` is for a running process, one for each event loop.  `prepare` is what the first start needs, before any
process serves.  `open_offline` is for commands that work on the data without a server.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection

from roadstead.api.services import Services
from roadstead.audit.forwarding import FORWARD, AuditForwarder
from roadstead.audit.notes import AuditNotes
from roadstead.audit.purge import PURGE, PurgeAuditLog
from roadstead.clients.outgoing import Outgoing
from roadstead.config.settings import Settings
from roadstead.db import migrations
from roadstead.db.database import Database
from roadstead.db.engine import open_database
from roadstead.db.tables.users import CHOSEN, FIRST_RUN
from roadstead.errors import Invalid, Unavailable
from roadstead.events.dispatch import Dispatcher, Listener
from roadstead.events.jobs import FORGET, ForgetHistory
from roadstead.identity.accounts.service import Accounts
from roadstead.identity.authentication import Authenticator
from roadstead.identity.federation.exchange import Exchange
from roadstead.identity.federation.issuers import IssuerKeys
from roadstead.identity.groups.service import Groups
from roadstead.identity.jobs import SWEEP, SweepIdentity
from roadstead.identity.keys import KeyRing, upload_secret
from roadstead.identity.lockouts import Lockouts
from roadstead.identity.passwords import PasswordHasher, generate_password, hash_password
from roadstead.identity.principals import OPERATOR
from roadstead.identity.queries import accounts_page
from roadstead.identity.rules import MIN_PASSWORD_CHARACTERS, PasswordUnfit, check_new_password
from roadstead.identity.service import UserExists, Users, create_account
from roadstead.identity.sessions.service import Sessions
from roadstead.identity.tokens import TokenIssuer
from roadstead.immutability.gate import ImmutableTags
from roadstead.immutability.service import ImmutableRules
from roadstead.jobs.runner import JobHandler, JobRunner
from roadstead.jobs.schedules import Every
from roadstead.projects.allowlists import Allowlists
from roadstead.projects.audit_logs import AuditLogs
from roadstead.projects.audit_purges import AuditPurges
from roadstead.projects.authority import Authority
from roadstead.projects.configuration_admin import ConfigurationAdmin
from roadstead.projects.configurations import Configurations
from roadstead.projects.creation import NewProject, ProjectCheck, create
from roadstead.projects.directory.changes import VisibilityCheck
from roadstead.projects.directory.service import Directory
from roadstead.projects.labels.service import Labels
from roadstead.projects.members.roles import Roles
from roadstead.projects.members.service import Members
from roadstead.projects.network_rules import NetworkRules, NetworksCheck
from roadstead.projects.robots.issuers import TrustedIssuers
from roadstead.projects.robots.service import Robots
from roadstead.projects.robots.trusts import Trusts
from roadstead.projects.service import Projects
from roadstead.quota.counts import check_networks, check_project, check_visibility
from roadstead.quota.jobs import FOLD, FoldQuotas
from roadstead.quota.reservations import Reservations
from roadstead.quota.service import Quotas
from roadstead.registry.artifacts.additions import Additions
from roadstead.registry.artifacts.copying import ArtifactCopies
from roadstead.registry.artifacts.describing import DescribePushed, Describer
from roadstead.registry.artifacts.service import Artifacts
from roadstead.registry.blobs.service import Blobs
from roadstead.registry.catalog.service import Catalog
from roadstead.registry.directory.changes import RepositoryChanges
from roadstead.registry.directory.service import RepositoryDirectory
from roadstead.registry.gates import DeletionSwitch, Gate
from roadstead.registry.manifests.listeners import PullStatistics
from roadstead.registry.manifests.pulls import PullCounter
from roadstead.registry.manifests.service import Manifests
from roadstead.registry.referrers.service import Referrers
from roadstead.registry.state import RegistryState
from roadstead.registry.tags.editing import TagEditor
from roadstead.registry.tags.jobs import FORGET_TAGS, ForgetTagHistory
from roadstead.registry.tags.service import Tags
from roadstead.registry.uploads.jobs import EXPIRE, ExpireUploads
from roadstead.registry.uploads.service import Uploads
from roadstead.storage.drivers import open_store
from roadstead.storage.protocol import BlobStore
from roadstead.telemetry.clock import now_ms

log = structlog.get_logger()

ADMIN = "admin"
PASSWORD_VARIABLE = "ROADSTEAD_ADMIN_PASSWORD"  # noqa: S105 - a variable's name


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What `prepare` found and did."""

    # The first administrator was made by this start.
    created: bool
    admin_username: str
    # Only when it was generated just now.
    admin_password: str | None


@dataclass(frozen=True, slots=True)
class Offline:
    """The data, without the server."""

    settings: Settings
    database: Database
    store: BlobStore
    users: Users


@dataclass(frozen=True, slots=True)
class Roadstead:
    """Everything a running process has."""

    settings: Settings
    database: Database
    store: BlobStore
    users: Users
    authenticator: Authenticator
    issuer: TokenIssuer
    exchange: Exchange
    projects: Projects
    blobs: Blobs
    uploads: Uploads
    manifests: Manifests
    tags: Tags
    referrers: Referrers
    catalog: Catalog
    pulls: PullCounter
    configurations: Configurations
    notes: AuditNotes
    forwarder: AuditForwarder
    runner: JobRunner
    dispatcher: Dispatcher
    # What the admin API asks.
    services: Services

    @asynccontextmanager
    async def background(self, *, jobs: bool) -> AsyncIterator[None]:
        """The loops that run beside the requests; with `jobs`, the queue's too."""
        loops = [self.pulls.run(), self.notes.run()]
        if jobs:
            loops += [self.runner.run(), self.dispatcher.run(), self.forwarder.run()]
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def kept_keys(settings: Settings) -> float:
    """How long a retired key goes on to verify, in seconds: as long as what it signed may be good."""
    return max(settings.auth.token_lifetime, settings.auth.refresh_token_lifetime)


def gates(settings: Settings) -> Sequence[Gate]:
    """Who may refuse, in the order in which they are asked."""
    switch: list[Gate] = [] if settings.registry.delete_enabled else [DeletionSwitch()]
    return [*switch, ImmutableTags()]


def project_checks() -> Sequence[ProjectCheck]:
    """Who may refuse a new project, in the order in which they are asked."""
    return [check_project]


def visibility_checks() -> Sequence[VisibilityCheck]:
    """Who may refuse that a project becomes public or private, in the order in which they are asked."""
    return [check_visibility]


def networks_checks() -> Sequence[NetworksCheck]:
    """Who may refuse a project's new network rules, in the order in which they are asked."""
    return [check_networks]


def listeners(database: Database, describer: Describer) -> Sequence[Listener]:
    """Who reacts to what happened."""
    return [PullStatistics(database), DescribePushed(database, describer)]


def handlers(
    database: Database,
    uploads: Uploads,
    dispatcher: Dispatcher,
    *,
    forwarder: AuditForwarder,
    sessions: Sessions,
    lockouts: Lockouts,
    tag_history: ForgetTagHistory,
) -> Mapping[str, JobHandler]:
    """Who does which kind of job."""
    return {
        **dispatcher.handlers,
        EXPIRE: ExpireUploads(uploads),
        FORGET: ForgetHistory(database),
        FOLD: FoldQuotas(database),
        FORGET_TAGS: tag_history,
        FORWARD: forwarder,
        SWEEP: SweepIdentity(sessions, lockouts),
        PURGE: PurgeAuditLog(database, forwarder.ships),
    }


def schedules() -> Sequence[Every]:
    """What the clock puts into the queue."""
    return [
        Every("expire-uploads", EXPIRE, seconds=900),
        Every("fold-quotas", FOLD, seconds=30),
        Every("forget-history", FORGET, seconds=6 * 3600),
        Every("forget-tag-history", FORGET_TAGS, seconds=6 * 3600),
        Every("sweep-identity", SWEEP, seconds=900),
    ]


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[Roadstead]:
    """Open everything, and close it again at the end."""
    async with AsyncExitStack() as stack:
        offline = await stack.enter_async_context(open_offline(settings))
        database, store = offline.database, offline.store
        hasher = PasswordHasher(concurrency=settings.auth.max_concurrent_hashes)
        stack.callback(hasher.close)
        ring = await KeyRing.open(database, keep=kept_keys(settings))
        issuer = TokenIssuer(
            ring,
            service=settings.auth.service,
            lifetime=settings.auth.token_lifetime,
            refresh_lifetime=settings.auth.refresh_token_lifetime,
        )
        configurations = Configurations(database, settings)
        notes = AuditNotes(database)
        forwarder = AuditForwarder(
            database,
            configurations.audit_destinations,
            lambda: configurations.flag("skip_audit_log_database"),
            ca=settings.audit.forward_ca,
        )
        projects = Projects(
            database,
            settings.registry,
            configurations,
            anonymous_pull=settings.auth.anonymous_pull,
            checks=project_checks(),
        )
        asked = gates(settings)
        pulls = PullCounter(database)
        reservations = Reservations(database)
        uploads = Uploads(
            database,
            store,
            projects,
            asked,
            settings.registry,
            reservations=reservations,
            seal_key=await upload_secret(database),
        )
        authenticator = Authenticator(database, issuer, hasher, settings.auth, notes=notes)
        stack.push_async_callback(authenticator.close)
        describer = Describer(database, store)
        dispatcher = Dispatcher(database, listeners(database, describer))
        authority = Authority(database, projects)
        sessions = Sessions(
            database,
            authority,
            idle=lambda: _seconds(configurations.number("session_timeout")),
            lifetime=settings.auth.session_lifetime,
        )
        robots = Robots(database, authority, hasher)
        outgoing = Outgoing(settings.outgoing)
        stack.push_async_callback(outgoing.close)
        manifests = Manifests(
            database,
            projects,
            asked,
            pulls,
            reservations=reservations,
            validation=settings.registry.validate_references,
        )
        repositories = RepositoryDirectory(
            database, store, projects, authority, RepositoryChanges(asked), reservations=reservations
        )
        tag_history = ForgetTagHistory(database, kept=settings.registry.tag_history_kept)
        yield Roadstead(
            settings=settings,
            database=database,
            store=store,
            users=offline.users,
            authenticator=authenticator,
            issuer=issuer,
            exchange=Exchange(
                database,
                IssuerKeys(outgoing),
                lifetime=settings.auth.federated_token_lifetime,
                notes=notes,
            ),
            projects=projects,
            blobs=Blobs(database, store, projects, asked, reservations=reservations),
            uploads=uploads,
            manifests=manifests,
            tags=Tags(database, projects),
            referrers=Referrers(database, projects),
            catalog=Catalog(database, projects),
            pulls=pulls,
            configurations=configurations,
            notes=notes,
            forwarder=forwarder,
            runner=JobRunner(
                database,
                handlers(
                    database,
                    uploads,
                    dispatcher,
                    forwarder=forwarder,
                    sessions=sessions,
                    lockouts=Lockouts(database, settings.auth),
                    tag_history=tag_history,
                ),
                owner=f"{socket.gethostname()}:{os.getpid()}",
                concurrency=settings.jobs.concurrency,
                lease=settings.jobs.lease,
                schedules=schedules(),
            ),
            dispatcher=dispatcher,
            services=Services(
                settings=settings,
                database=database,
                store=store,
                authenticator=authenticator,
                authority=authority,
                projects=projects,
                directory=Directory(database, projects, authority, checks=visibility_checks()),
                allowlists=Allowlists(database, authority),
                members=Members(database, authority),
                roles=Roles(database, authority),
                labels=Labels(database, authority),
                network_rules=NetworkRules(database, authority, checks=networks_checks()),
                users=offline.users,
                accounts=Accounts(
                    database,
                    hasher,
                    authenticator,
                    authority,
                    self_registration=lambda: configurations.flag("self_registration"),
                ),
                sessions=sessions,
                groups=Groups(database, authority),
                configurations=configurations,
                configuration_admin=ConfigurationAdmin(authority, configurations),
                notes=notes,
                audit_logs=AuditLogs(database, authority),
                audit_purges=AuditPurges(database, authority),
                state=RegistryState(
                    database,
                    store,
                    authority,
                    folder=settings.blobs_folder if settings.storage.driver == "filesystem" else None,
                ),
                immutable_rules=ImmutableRules(database, authority),
                quotas=Quotas(database, authority),
                repositories=repositories,
                artifacts=Artifacts(database, repositories, manifests, describer, ImmutableTags()),
                additions=Additions(database, store, repositories),
                copies=ArtifactCopies(database, projects, authority, asked, reservations=reservations),
                tags=TagEditor(
                    database,
                    repositories,
                    manifests,
                    asked,
                    ImmutableTags(),
                    grace=settings.registry.tag_restore_grace,
                ),
                robots=robots,
                issuers=TrustedIssuers(database, authority),
                trusts=Trusts(database, robots),
            ),
        )


async def _seconds(minutes: Awaitable[int]) -> float:
    return 60.0 * await minutes


@asynccontextmanager
async def open_offline(settings: Settings) -> AsyncIterator[Offline]:
    """The database and the store, for a command that needs no server.  The schema is the caller's care."""
    database = open_database(
        settings.database_url,
        pool_size=settings.database.pool_size,
        pool_timeout=settings.database.pool_timeout,
    )
    store = open_store(settings)
    hasher = PasswordHasher(concurrency=1)
    try:
        yield Offline(settings, database, store, Users(database, hasher))
    finally:
        hasher.close()
        await store.close()
        await database.close()


def prepare(settings: Settings) -> FirstRun:
    """Make the data folder, bring the schema up to date, and see to a default project and an administrator.

    Safe to run by any number of replicas at once.  Raises what an operator can mend.
    """
    _make_folder(settings.data)
    if settings.database.auto_migrate:
        migrations.upgrade(settings.database_url)
    else:
        migrations.require_current(settings.database_url)
    return asyncio.run(_first_run(settings))


async def _first_run(settings: Settings) -> FirstRun:
    given = _given_password()
    async with open_offline(settings) as offline:
        await offline.store.probe()
        library = NewProject(settings.registry.default_project, public=True)
        await offline.database.write(create, OPERATOR, library, now=now_ms())
        if await offline.database.read(accounts_page, after="", limit=1):
            return FirstRun(created=False, admin_username=ADMIN, admin_password=None)
        password = given or generate_password()
        encoded = _encoded(password)
        # Another replica may be doing the same: its password is then the one.
        with suppress(UserExists):
            state = CHOSEN if given else FIRST_RUN
            await offline.database.write(_first_administrator, encoded, state, now=now_ms())
            return FirstRun(True, ADMIN, None if given else password)
        return FirstRun(created=False, admin_username=ADMIN, admin_password=None)


def _first_administrator(conn: Connection, encoded: str, state: int, *, now: int) -> None:
    create_account(conn, ADMIN, encoded, admin=True, now=now, password_state=state)


def _given_password() -> str | None:
    """The administrator's password from the environment, or from the file that it names."""
    password = os.environ.get(PASSWORD_VARIABLE)
    file = os.environ.get(f"{PASSWORD_VARIABLE}_FILE")
    if not password and file:
        try:
            password = Path(file).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise Invalid(
                f"{PASSWORD_VARIABLE}_FILE names a file that cannot be read: {reason}",
                remedy="name a readable file, or set no password to have one generated",
            ) from None
    return password or None


def _encoded(password: str) -> str:
    """The hash of the administrator's password.  One too long to be compared would let nobody in.

    A short one is the operator's own choice here, and is said aloud.
    """
    padded = password.ljust(MIN_PASSWORD_CHARACTERS, "-")
    try:
        check_new_password(padded)
    except PasswordUnfit as error:
        raise PasswordUnfit(f"{PASSWORD_VARIABLE}: {error.message}", remedy=error.remedy) from None
    if padded != password:
        log.warning("admin.password_short", characters=len(password), advised=MIN_PASSWORD_CHARACTERS)
    return hash_password(password.encode())


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"the data folder {data} cannot be made: {error.strerror}",
            remedy="choose another with --data, or give this account the right to make it",
        ) from None
