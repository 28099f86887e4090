"""State machines against a registry: how they are run, and what a database is between two of them."""

from __future__ import annotations

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from psycopg import sql

from roadstead.db.tables import Base


def empty(url: str) -> None:
    """Leave nothing in a PostgreSQL database but what came with the schema: the roles that are built in."""
    with psycopg.connect(url, autocommit=True) as connection:
        # No foreign keys to mind.
        connection.execute("SET session_replication_role = replica")
        for table in Base.metadata.tables:
            kept = sql.SQL(" WHERE id >= 100" if table == "roles" else "")
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)) + kept)


def run_machine(machine: type[RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
