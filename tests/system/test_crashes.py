"""`kill -9` at any moment, and every promise holds."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.system.crashes import Crashes, Kind

# A busy machine starts eight Python processes slowly.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture
async def crashes(anyio_backend: str, tmp_path: Path, fresh_database: str) -> AsyncIterator[Crashes]:
    # Another storm each time; the number is in the failure.
    begun = Crashes(tmp_path, database_url=fresh_database, seed=int.from_bytes(os.urandom(3), "big"))
    try:
        yield begun
    finally:
        begun.stop()


async def test_nothing_promised_is_lost_whoever_is_killed(crashes: Crashes, fresh_database: str) -> None:
    # One kind of round for each database; `make soak` gives all of them to both.
    kind = Kind.SILENCE if fresh_database else Kind.WORKERS
    result = await crashes.round(kind, pushes=200, kills=3, most=256 * 1024)
    assert not result.violations, crashes.told(result)
    assert result.kills > 0
    assert result.power_cuts == 1
    if kind is Kind.WORKERS:
        assert result.ledger.pushed + result.ledger.walked_away == result.pushes, str(result)
