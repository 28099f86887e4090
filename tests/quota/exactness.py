"""What must hold after any test: every project is charged for exactly what it holds."""

from __future__ import annotations

from roadstead.db.database import Database
from roadstead.quota.check import differences


async def charges_are_exact(database: Database) -> None:
    assert await database.read(differences) == []
