"""Every table, one file a noun.  Importing this package makes `Base.metadata` whole."""

from roadstead.db.tables.base import Base
from roadstead.db.tables.blobs import Blob, RepositoryBlob
from roadstead.db.tables.events import Event
from roadstead.db.tables.jobs import Job, Schedule
from roadstead.db.tables.manifests import Manifest, ManifestReference
from roadstead.db.tables.projects import Project, Repository
from roadstead.db.tables.secrets import Secret
from roadstead.db.tables.tags import Tag
from roadstead.db.tables.uploads import Upload
from roadstead.db.tables.users import User

__all__ = [
    "Base",
    "Blob",
    "Event",
    "Job",
    "Manifest",
    "ManifestReference",
    "Project",
    "Repository",
    "RepositoryBlob",
    "Schedule",
    "Secret",
    "Tag",
    "Upload",
    "User",
]
