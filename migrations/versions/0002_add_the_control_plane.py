"""Projects with members, robots, quotas, rules and an audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Frozen here: a migration says what was true when it was written, and imports nothing of the program.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _extend_users()
    _extend_projects()
    _extend_repositories()
    _extend_manifests()
    _extend_uploads()
    _extend_schedules()
    _create_user_groups()
    _create_user_group_members()
    _create_sessions()
    _create_sign_in_failures()
    _create_roles()
    _create_grants()
    _create_robots()
    _create_trusted_issuers()
    _create_robot_trusts()
    _create_quotas()
    _create_quota_changes()
    _create_quota_holds()
    _create_project_blobs()
    _create_labels()
    _create_artifact_labels()
    _create_immutable_rules()
    _create_tag_changes()
    _create_audit_log()
    _create_configurations()
    _name_roles()
    _make_owners_members()
    _begin_accounting()


def _extend_users() -> None:
    op.add_column("users", sa.Column("kind", TEXT, server_default=sa.text("'person'"), nullable=False))
    op.add_column("users", sa.Column("email", TEXT, server_default=sa.text("''"), nullable=False))
    op.add_column("users", sa.Column("realname", TEXT, server_default=sa.text("''"), nullable=False))
    op.add_column("users", sa.Column("comment", TEXT, server_default=sa.text("''"), nullable=False))
    op.add_column("users", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "users", sa.Column("password_state", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "users", sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index("ix_users_kind", "users", ["kind", "username"])


def _extend_projects() -> None:
    op.add_column(
        "projects", sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "projects", sa.Column("deletion_protected", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("projects", sa.Column("network_rules", TEXT, server_default=sa.text("''"), nullable=False))
    op.add_column(
        "projects", sa.Column("settings", sa.JSON(), server_default=sa.text("'{}'"), nullable=False)
    )
    op.add_column("projects", sa.Column("cve_allowlist", sa.JSON(), nullable=True))


def _extend_repositories() -> None:
    op.add_column(
        "repositories", sa.Column("description", TEXT, server_default=sa.text("''"), nullable=False)
    )
    op.add_column(
        "repositories", sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "repositories",
        sa.Column("deletion_protected", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "repositories", sa.Column("pull_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index("ix_repositories_made", "repositories", ["project_id", "created_at", "id"])
    op.create_index("ix_repositories_created_at", "repositories", ["created_at", "id"])
    op.execute(
        "UPDATE repositories SET pull_count = (SELECT coalesce(sum(m.pull_count), 0) FROM manifests m"
        " WHERE m.repository_id = repositories.id)"
    )


def _extend_manifests() -> None:
    op.add_column(
        "manifests", sa.Column("total_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("manifests", sa.Column("details", sa.JSON(), nullable=True))
    op.create_index("ix_manifests_pushed", "manifests", ["repository_id", "pushed_at", "id"])


def _extend_uploads() -> None:
    op.add_column(
        "uploads", sa.Column("reserved", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )


def _extend_schedules() -> None:
    op.add_column("schedules", sa.Column("cron", TEXT, nullable=True))


def _create_user_groups() -> None:
    op.create_table(
        "user_groups",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", sa.BigInteger(), nullable=False),
        sa.Column("ldap_dn", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_groups"),
        sa.UniqueConstraint("name", name="uq_user_groups_name"),
        sqlite_autoincrement=True,
    )


def _create_user_group_members() -> None:
    op.create_table(
        "user_group_members",
        sa.Column("user_id", ROW_ID, nullable=False),
        sa.Column("group_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["user_groups.id"],
            name="fk_user_group_members_group_id_user_groups",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_group_members_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "group_id", name="pk_user_group_members"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_group_members_group_id", "user_group_members", ["group_id"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("user_id", ROW_ID, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("user_agent", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])


def _create_sign_in_failures() -> None:
    op.create_table(
        "sign_in_failures",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_sign_in_failures"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_in_failures_locked_until", "sign_in_failures", ["locked_until"])


def _create_roles() -> None:
    op.create_table(
        "roles",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("permissions", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.UniqueConstraint("name", name="uq_roles_name"),
        sqlite_autoincrement=True,
    )


def _create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("place", TEXT, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("user_id", ROW_ID, nullable=True),
        sa.Column("group_id", ROW_ID, nullable=True),
        sa.Column("role_id", ROW_ID, nullable=True),
        sa.Column("permissions", TEXT, nullable=False),
        sa.Column("repositories", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["user_groups.id"], name="fk_grants_group_id_user_groups", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_grants_project_id_projects", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_grants_role_id_roles", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_grants_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_grants_group", "grants", ["group_id", "place", "project_id"])
    op.create_index("ix_grants_project_id", "grants", ["project_id"])
    op.create_index("ix_grants_role_id", "grants", ["role_id"])
    op.create_index("ix_grants_user", "grants", ["user_id", "place", "project_id"])


def _create_robots() -> None:
    op.create_table(
        "robots",
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("duration", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", ROW_ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["users.id"], name="fk_robots_account_id_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name="fk_robots_creator_id_users", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_robots_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name="pk_robots"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_robots_creator_id", "robots", ["creator_id"])
    op.create_index("ix_robots_project_id", "robots", ["project_id"])


def _create_trusted_issuers() -> None:
    op.create_table(
        "trusted_issuers",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("issuer", TEXT, nullable=False),
        sa.Column("audience", TEXT, nullable=False),
        sa.Column("jwks_uri", TEXT, nullable=True),
        sa.Column("jwks", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trusted_issuers"),
        sa.UniqueConstraint("issuer", name="uq_trusted_issuers_issuer"),
        sa.UniqueConstraint("name", name="uq_trusted_issuers_name"),
        sqlite_autoincrement=True,
    )


def _create_robot_trusts() -> None:
    op.create_table(
        "robot_trusts",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("robot_id", ROW_ID, nullable=False),
        sa.Column("issuer_id", ROW_ID, nullable=False),
        sa.Column("claims", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_id"],
            ["trusted_issuers.id"],
            name="fk_robot_trusts_issuer_id_trusted_issuers",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["robot_id"], ["robots.account_id"], name="fk_robot_trusts_robot_id_robots", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_robot_trusts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_robot_trusts_issuer_id", "robot_trusts", ["issuer_id"])
    op.create_index("ix_robot_trusts_robot_id", "robot_trusts", ["robot_id"])


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("reference", TEXT, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("user_id", ROW_ID, nullable=True),
        sa.Column("storage", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("repositories", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("tags_per_repository", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("network_rules", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("projects", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("public_repositories", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("private_repositories", sa.BigInteger(), server_default=sa.text("(-1)"), nullable=False),
        sa.Column("charged", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("warned", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_quotas_project_id_projects", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_quotas_user_id_users", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quotas"),
        sa.UniqueConstraint("project_id", name="uq_quotas_project_id"),
        sa.UniqueConstraint("user_id", name="uq_quotas_user_id"),
        sqlite_autoincrement=True,
    )


def _create_quota_changes() -> None:
    op.create_table(
        "quota_changes",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_quota_changes_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quota_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quota_changes_project_id", "quota_changes", ["project_id"])


def _create_quota_holds() -> None:
    op.create_table(
        "quota_holds",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_quota_holds_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quota_holds"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quota_holds_project_id", "quota_holds", ["project_id"])
    op.create_index("ix_quota_holds_expires_at", "quota_holds", ["expires_at"])


def _create_project_blobs() -> None:
    op.create_table(
        "project_blobs",
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("blob_id", ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["blob_id"], ["blobs.id"], name="fk_project_blobs_blob_id_blobs", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_project_blobs_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "blob_id", name="pk_project_blobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_project_blobs_blob_id", "project_blobs", ["blob_id"])


def _create_labels() -> None:
    op.create_table(
        "labels",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("color", TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_labels_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("project_id", "name", name="uq_labels_project_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_labels_global_name",
        "labels",
        ["name"],
        unique=True,
        sqlite_where=sa.text("project_id IS NULL"),
        postgresql_where=sa.text("project_id IS NULL"),
    )


def _create_artifact_labels() -> None:
    op.create_table(
        "artifact_labels",
        sa.Column("manifest_id", ROW_ID, nullable=False),
        sa.Column("label_id", ROW_ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["label_id"], ["labels.id"], name="fk_artifact_labels_label_id_labels", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["manifest_id"],
            ["manifests.id"],
            name="fk_artifact_labels_manifest_id_manifests",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("manifest_id", "label_id", name="pk_artifact_labels"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_artifact_labels_label_id", "artifact_labels", ["label_id"])


def _create_immutable_rules() -> None:
    op.create_table(
        "immutable_rules",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("selectors", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_immutable_rules_project_id_projects", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_immutable_rules"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_immutable_rules_project_id", "immutable_rules", ["project_id"])


def _create_tag_changes() -> None:
    op.create_table(
        "tag_changes",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("repository_id", ROW_ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("deed", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("previous", TEXT, nullable=True),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name="fk_tag_changes_repository_id_repositories",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tag_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tag_changes_at", "tag_changes", ["at"])
    op.create_index("ix_tag_changes_tag", "tag_changes", ["repository_id", "name", "id"])


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("resource_type", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("user_id", ROW_ID, nullable=True),
        sa.Column("username", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("door", TEXT, nullable=False),
        sa.Column("request_id", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("forwarded_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_index("ix_audit_log_project", "audit_log", ["project_id", "id"])
    op.create_index("ix_audit_log_resource_type", "audit_log", ["resource_type", "operation", "id"])
    op.create_index("ix_audit_log_username", "audit_log", ["username", "id"])
    waiting = sa.text("forwarded_at IS NULL")
    op.create_index(
        "ix_audit_log_waiting", "audit_log", ["id"], sqlite_where=waiting, postgresql_where=waiting
    )


def _create_configurations() -> None:
    op.create_table(
        "configurations",
        sa.Column("key", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_configurations"),
        sqlite_autoincrement=True,
    )


def _name_roles() -> None:
    """The roles that are built in, by Harbor's numbers."""
    roles = sa.table(
        "roles",
        *(
            sa.column(name)
            for name in ("id", "name", "description", "permissions", "created_at", "updated_at")
        ),
    )
    names = ("projectAdmin", "developer", "guest", "maintainer", "limitedGuest")
    blank = {"description": "", "permissions": "", "created_at": 0, "updated_at": 0}
    op.bulk_insert(roles, [{"id": n, "name": name, **blank} for n, name in enumerate(names, start=1)])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT setval(pg_get_serial_sequence('roles', 'id'), 99)")
    else:
        op.execute("UPDATE sqlite_sequence SET seq = 99 WHERE name = 'roles'")


def _make_owners_members() -> None:
    """Owning a project gave every right in it; from now on a grant does."""
    op.execute(
        "INSERT INTO grants (place, project_id, user_id, role_id, permissions, repositories, created_at)"
        " SELECT 'project', id, owner_id, 1, '', '', created_at FROM projects WHERE owner_id IS NOT NULL"
    )


def _begin_accounting() -> None:
    """Charge every project for what it holds."""
    op.execute(
        "INSERT INTO project_blobs (project_id, blob_id)"
        " SELECT DISTINCT r.project_id, l.blob_id FROM repository_blobs l"
        " JOIN repositories r ON r.id = l.repository_id"
    )
    op.execute(
        "INSERT INTO quotas (reference, project_id, storage, repositories, tags_per_repository, network_rules,"
        " charged, created_at, updated_at)"
        " SELECT 'project', p.id, -2, -2, -2, -2,"
        " coalesce((SELECT sum(b.size) FROM project_blobs l JOIN blobs b ON b.id = l.blob_id"
        " WHERE l.project_id = p.id), 0)"
        " + coalesce((SELECT sum(m.size) FROM manifests m JOIN repositories r ON r.id = m.repository_id"
        " WHERE r.project_id = p.id), 0),"
        " p.created_at, p.created_at FROM projects p"
    )
