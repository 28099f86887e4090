"""Every table, one file a noun.  Importing this package makes `Base.metadata` whole."""

from roadstead.db.tables.audit import AuditEntry
from roadstead.db.tables.base import Base
from roadstead.db.tables.blobs import Blob, RepositoryBlob
from roadstead.db.tables.configurations import Configuration
from roadstead.db.tables.events import Event
from roadstead.db.tables.grants import GrantRow, RoleRow
from roadstead.db.tables.jobs import Job, Schedule
from roadstead.db.tables.manifests import Manifest, ManifestReference
from roadstead.db.tables.projects import ArtifactLabel, ImmutableRule, Label, Project, Repository
from roadstead.db.tables.quotas import ProjectBlob, Quota, QuotaChange, QuotaHold
from roadstead.db.tables.robots import Robot, RobotTrust, TrustedIssuer
from roadstead.db.tables.secrets import Secret
from roadstead.db.tables.tags import Tag, TagChange
from roadstead.db.tables.uploads import Upload
from roadstead.db.tables.users import Session, SignInFailure, User, UserGroup, UserGroupMember

__all__ = [
    "ArtifactLabel",
    "AuditEntry",
    "Base",
    "Blob",
    "Configuration",
    "Event",
    "GrantRow",
    "ImmutableRule",
    "Job",
    "Label",
    "Manifest",
    "ManifestReference",
    "Project",
    "ProjectBlob",
    "Quota",
    "QuotaChange",
    "QuotaHold",
    "Repository",
    "RepositoryBlob",
    "Robot",
    "RobotTrust",
    "RoleRow",
    "Schedule",
    "Secret",
    "Session",
    "SignInFailure",
    "Tag",
    "TagChange",
    "TrustedIssuer",
    "Upload",
    "User",
    "UserGroup",
    "UserGroupMember",
]
