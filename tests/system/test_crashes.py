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


async def test_nothing_promised_is_lost_while_workers_are_killed(crashes: Crashes) -> None:
    result = await crashes.round(Kind.WORKERS, pushes=200, kills=3, most=256 * 1024)
    assert not result.violations, crashes.told(result)
    assert result.kills > 0
    assert result.ledger.pushed + result.ledger.walked_away == result.pushes, str(result)
    # A power cut in the midst of the next ones, on the same data; nobody comes back.
    result = await crashes.round(Kind.SILENCE, pushes=60, kills=0, most=256 * 1024)
    assert not result.violations, crashes.told(result)
    assert result.power_cuts == 1
