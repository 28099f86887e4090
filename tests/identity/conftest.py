"""A database with the tables, a clock that stands still, and one worker's identity."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.identity.building import FakeClock, Identity

from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def identity(database: Database, clock: FakeClock) -> AsyncIterator[Identity]:
    built = await Identity.build(database, clock, AuthSettings())
    yield built
    await built.close()
