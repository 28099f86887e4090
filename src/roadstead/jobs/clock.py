"""Whose time leases are measured in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.sql import func

from roadstead.db.database import Database
from roadstead.telemetry.clock import Clock, now_ms

_TIME = select((func.extract("epoch", func.clock_timestamp()) * 1000).cast(BigInteger))


async def database_offset(database: Database, clock: Clock) -> int:
    """What to add to `clock` to have the time that all nodes share, in milliseconds.

    That is PostgreSQL's own, so that a node whose clock is wrong does not take living jobs from the others.
    All users of an SQLite file share one machine and its clock.  A clock that a test made is right by
    definition.
    """
    if database.dialect == "sqlite" or clock is not now_ms:
        return 0
    before = clock()
    theirs = await database.read(_database_time)
    return theirs - (before + clock()) // 2


def _database_time(conn: Connection) -> int:
    return conn.execute(_TIME).scalar_one()
