"""Started by tests: processes that write or migrate at the same time."""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import Connection, select, update

from roadstead.db.engine import open_database
from roadstead.db.migrations import upgrade
from roadstead.db.tables import Project


def count_up(conn: Connection) -> None:
    old = conn.execute(select(Project.created_at).with_for_update()).scalar_one()
    conn.execute(update(Project).values(created_at=old + 1))


async def write(url: str, times: int) -> None:
    database = open_database(url, pool_size=6, pool_timeout=60)
    await asyncio.gather(*(database.write(count_up) for _ in range(times)))
    await database.close()


if __name__ == "__main__":
    if sys.argv[1] == "write":
        asyncio.run(write(sys.argv[2], int(sys.argv[3])))
    else:
        sys.stdout.write(" ".join(upgrade(sys.argv[2]).applied))
