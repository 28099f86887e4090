"""Several processes at one database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from roadstead.db.database import Database
from roadstead.db.insert import insert_id
from roadstead.db.migrations import state
from roadstead.db.tables import Project
from roadstead.testing.postgres import PostgresServer

SCRIPT = Path(__file__).with_name("writers.py")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, SCRIPT, *arguments], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    return output


def finish_all(processes: list[subprocess.Popen[str]]) -> list[str]:
    return [finish(process) for process in processes]


@pytest.mark.anyio
async def test_two_processes_lose_no_update(database: Database, database_url: str) -> None:
    values = {"name": "library", "public": True, "owner_id": None, "created_at": 0}
    await database.write(lambda conn: insert_id(conn, Project, values))
    finish_all([start("write", database_url, "100") for _ in range(2)])
    assert await database.read(lambda conn: conn.scalar(select(Project.created_at))) == 200


def migrate_with_four(url: str) -> None:
    outputs = finish_all([start("migrate", url) for _ in range(4)])
    done = [output for output in outputs if output]
    assert len(done) == 1
    assert done[0].startswith("0001_create_tables")
    assert state(url).pending == ()


def test_four_processes_migrate_one_sqlite_file_once(tmp_path: Path) -> None:
    migrate_with_four(f"sqlite:///{tmp_path / 'roadstead.db'}")


@pytest.mark.postgres
def test_four_processes_migrate_one_postgresql_database_once(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    migrate_with_four(url)
    postgres_server.drop_database(url)
