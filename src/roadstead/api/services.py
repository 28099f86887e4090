"""What handlers ask: every service of the control plane, built once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from roadstead.audit.notes import AuditNotes
from roadstead.config.settings import Settings
from roadstead.db.database import Database
from roadstead.identity.accounts.service import Accounts
from roadstead.identity.authentication import Authenticator
from roadstead.identity.groups.service import Groups
from roadstead.identity.service import Users
from roadstead.identity.sessions.service import Sessions
from roadstead.immutability.service import ImmutableRules
from roadstead.projects.allowlists import Allowlists
from roadstead.projects.audit_logs import AuditLogs
from roadstead.projects.audit_purges import AuditPurges
from roadstead.projects.authority import Authority
from roadstead.projects.configuration_admin import ConfigurationAdmin
from roadstead.projects.configurations import Configurations
from roadstead.projects.directory.service import Directory
from roadstead.projects.labels.service import Labels
from roadstead.projects.members.roles import Roles
from roadstead.projects.members.service import Members
from roadstead.projects.network_rules import NetworkRules
from roadstead.projects.robots.issuers import TrustedIssuers
from roadstead.projects.robots.service import Robots
from roadstead.projects.robots.trusts import Trusts
from roadstead.projects.service import Projects
from roadstead.quota.service import Quotas
from roadstead.registry.artifacts.additions import Additions
from roadstead.registry.artifacts.copying import ArtifactCopies
from roadstead.registry.artifacts.service import Artifacts
from roadstead.registry.directory.service import RepositoryDirectory
from roadstead.registry.state import RegistryState
from roadstead.registry.tags.editing import TagEditor
from roadstead.storage.protocol import BlobStore


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    store: BlobStore
    authenticator: Authenticator
    authority: Authority
    projects: Projects
    directory: Directory
    allowlists: Allowlists
    members: Members
    roles: Roles
    labels: Labels
    network_rules: NetworkRules
    users: Users
    accounts: Accounts
    sessions: Sessions
    groups: Groups
    configurations: Configurations
    configuration_admin: ConfigurationAdmin
    notes: AuditNotes
    audit_logs: AuditLogs
    audit_purges: AuditPurges
    state: RegistryState
    robots: Robots
    issuers: TrustedIssuers
    trusts: Trusts
    immutable_rules: ImmutableRules
    quotas: Quotas
    repositories: RepositoryDirectory
    artifacts: Artifacts
    additions: Additions
    copies: ArtifactCopies
    tags: TagEditor


# Where the server puts them, in the scope of each request.
SERVICES = "roadstead.services"


def _services(request: Request) -> Services:
    found: Services = request.scope[SERVICES]
    return found


# A handler's parameter: `services: Asked`.
Asked = Annotated[Services, Depends(_services)]
