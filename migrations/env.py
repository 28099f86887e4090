"""Runs migrations on the connection that `roadstead.db.migrations` opened, inside its transaction.

There is no alembic.ini: nothing but that module runs this.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table=context.config.attributes["version_table"],
    # SQLite rebuilds a table to change it.
    render_as_batch=True,
    # SQLite's DDL is transactional when nobody commits in between, and here nobody does.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
