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
from roadstead.identity.service import Users
from roadstead.immutability.service import ImmutableRules
from roadstead.projects.allowlists import Allowlists
from roadstead.projects.audit_logs import AuditLogs
from roadstead.projects.authority import Authority
from roadstead.projects.configuration_admin import ConfigurationAdmin
from roadstead.projects.configurations import Configurations
from roadstead.projects.directory.service import Directory
from roadstead.projects.labels.service import Labels
from roadstead.projects.members.roles import Roles
from roadstead.projects.members.service import Members
from roadstead.projects.network_rules import NetworkRules
from roadstead.projects.robots.service import Robots
from roadstead.projects.service import Projects
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
    configurations: Configurations
    configuration_admin: ConfigurationAdmin
    notes: AuditNotes
    audit_logs: AuditLogs
    robots: Robots
    immutable_rules: ImmutableRules


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


# A handler's parameter: `services: Asked`.
Asked = Annotated[Services, Depends(_services)]
