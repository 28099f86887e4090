"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Frozen here: a migration says what was true when it was written, and imports nothing of the program.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _create_blobs()
    _create_events()
    _create_jobs()
    _create_schedules()
    _create_secrets()
    _create_users()
    _create_projects()
    _create_repositories()
    _create_manifests()
    _create_repository_blobs()
    _create_uploads()
    _create_manifest_references()
    _create_tags()


def _create_blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("storage_key", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("unreferenced_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_blobs"),
        sa.UniqueConstraint("digest", name="uq_blobs_digest"),
        sa.UniqueConstraint("storage_key", name="uq_blobs_storage_key"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_blobs_unreferenced_since",
        "blobs",
        ["unreferenced_since"],
        sqlite_where=sa.text("unreferenced_since IS NOT NULL"),
        postgresql_where=sa.text("unreferenced_since IS NOT NULL"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("dispatched", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_occurred_at", "events", ["occurred_at"])
    op.create_index(
        "ix_events_waiting",
        "events",
        ["id"],
        sqlite_where=sa.text("NOT dispatched"),
        postgresql_where=sa.text("NOT dispatched"),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("queue", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("unique_key", TEXT, nullable=True),
        sa.Column("lock", TEXT, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        ["queue", sa.text("priority DESC"), "run_at", "id"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    op.create_index(
        "ix_jobs_lease",
        "jobs",
        ["lease_until"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_jobs_lock",
        "jobs",
        ["lock"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_jobs_unique_key",
        "jobs",
        ["unique_key"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_schedules_next_at", "schedules", ["next_at"])


def _create_secrets() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_secrets"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_secrets_purpose", "secrets", ["purpose"])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("credential_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username", name="uq_users_username"),
        sqlite_autoincrement=True,
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("owner_id", ROW_ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_projects_owner_id_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_projects_owner_id", "projects", ["owner_id"])


def _create_repositories() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_repositories_project_id_projects", ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repositories"),
        sa.UniqueConstraint("project_id", "path", name="uq_repositories_project_id_path"),
        sqlite_autoincrement=True,
    )


def _create_manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("repository_id", ROW_ID, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("artifact_type", TEXT, nullable=True),
        sa.Column("subject_digest", TEXT, nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("pulled_at", sa.BigInteger(), nullable=True),
        sa.Column("pull_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name="fk_manifests_repository_id_repositories",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_manifests"),
        sa.UniqueConstraint("repository_id", "digest", name="uq_manifests_repository_id_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_manifests_subject",
        "manifests",
        ["repository_id", "subject_digest", "digest"],
        sqlite_where=sa.text("subject_digest IS NOT NULL"),
        postgresql_where=sa.text("subject_digest IS NOT NULL"),
    )


def _create_repository_blobs() -> None:
    op.create_table(
        "repository_blobs",
        sa.Column("repository_id", ROW_ID, nullable=False),
        sa.Column("blob_id", ROW_ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name="fk_repository_blobs_blob_id_blobs", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name="fk_repository_blobs_repository_id_repositories",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "blob_id", name="pk_repository_blobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_repository_blobs_blob_id", "repository_blobs", ["blob_id"])


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("repository_id", ROW_ID, nullable=False),
        sa.Column("user_id", ROW_ID, nullable=True),
        sa.Column("storage_key", TEXT, nullable=True),
        sa.Column("store_state", sa.JSON(), nullable=False),
        sa.Column("algorithm", TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hash_state", TEXT, nullable=True),
        sa.Column("claim", TEXT, nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name="fk_uploads_repository_id_repositories",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_uploads_user_id_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("storage_key", name="uq_uploads_storage_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_uploads_repository_id", "uploads", ["repository_id"])
    op.create_index("ix_uploads_updated_at", "uploads", ["updated_at"])
    op.create_index("ix_uploads_user_id", "uploads", ["user_id"])


def _create_manifest_references() -> None:
    op.create_table(
        "manifest_references",
        sa.Column("manifest_id", ROW_ID, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("blob_id", ROW_ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name="fk_manifest_references_blob_id_blobs", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifests.id"],
            name="fk_manifest_references_manifest_id_manifests",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("manifest_id", "digest", name="pk_manifest_references"),
    )
    op.create_index("ix_manifest_references_blob_id", "manifest_references", ["blob_id"])
    op.create_index("ix_manifest_references_digest", "manifest_references", ["digest"])


def _create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("repository_id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("manifest_id", ROW_ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["manifest_id"], ["manifests.id"], name="fk_tags_manifest_id_manifests", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name="fk_tags_repository_id_repositories",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "name", name="pk_tags"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tags_manifest_id", "tags", ["manifest_id"])
