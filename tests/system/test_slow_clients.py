"""Two hundred slow clients do not slow a fast one, and leave nothing behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.system.crowds import DEADLINES, LONGEST, Crowd, latencies, push_both
from tests.system.inside import Inside
from tests.system.machine import open_files, registry

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

SLOW = 200
# Generous: other things run on the machine.  A server that waits for one of them takes seconds, not more
# milliseconds.
RATIO = 10
FLOOR = 0.010


async def test_a_crowd_of_slow_clients_does_not_slow_a_fast_one(tmp_path: Path) -> None:
    with registry(tmp_path, workers=2, **DEADLINES) as server:
        inside = Inside(server.data)
        await push_both(server)
        quiet = await latencies(server)
        files_before, keys_before = open_files(server), inside.inventory().files
        crowd = Crowd(server)
        slow = asyncio.create_task(crowd.of(SLOW))
        await _until(lambda: crowd.connected == SLOW, 60)
        busy = await latencies(server, going_on=lambda: crowd.present > SLOW // 2)
        assert crowd.present, "they were gone before anything was measured"
        await slow
        told = f"quiet {quiet}, busy {busy}, {crowd.ends}"
        for before, during in zip(quiet, busy, strict=True):
            assert during < max(before, FLOOR) * RATIO, told
        # Told that they are late, or cut; nobody was served, and nobody stayed.
        assert set(crowd.ends) <= {"408", "cut"}, told
        assert max(crowd.lasted) < LONGEST + 30, crowd.lasted
        await _until(lambda: open_files(server) <= files_before + 4, 30)
    # What is left are unfinished uploads, and they expire.
    assert inside.broken_promises() == []
    assert set(inside.orphans()) == set()
    await asyncio.sleep(1.1)
    inside.make_due("expire-uploads")
    with registry(tmp_path, workers=1, registry__upload_expiry=1):
        await _until(lambda: not inside.uploads(), 60)
    assert inside.inventory().files == keys_before


async def _until(condition: object, seconds: float) -> None:
    assert callable(condition)
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come true in time"
        await asyncio.sleep(0.05)
