"""The long versions of the tests in `tests/system`: rounds of crashes for as long as you like, and a huge blob.

Prints a line for each round, and a summary; the exit code is 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.big import Way, carry
from tests.system.content import Content
from tests.system.crashes import Crashes, Kind, Round
from tests.system.machine import MIB, registry

from roadstead.testing.postgres import PostgresServer, find_binaries

# After so many rounds on one data folder, a new one: checking what is there takes longer with each.
ROUNDS_PER_FOLDER = 6
MOST_MEMORY = 100 * MIB


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long to crash (60)")
    parser.add_argument("--rounds", type=int, default=10**9, help="no more rounds than this")
    parser.add_argument("--pushes", type=int, default=200, help="clients in each round (200)")
    parser.add_argument("--kills", type=int, default=4, help="workers killed in each round, at most (4)")
    parser.add_argument("--size", type=float, default=10, help="GiB of the huge blob; 0 carries none (10)")
    ways = [way.name.lower() for way in Way]
    parser.add_argument("--ways", nargs="+", choices=ways, default=ways, help="how it goes up (all)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000, help="of everything random")
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--folder", type=Path, help="where the data goes (a temporary folder)")
    return parser.parse_args()


class Total:
    """All rounds together."""

    def __init__(self) -> None:
        self.rounds = self.kills = self.cuts = self.pushes = self.answers = self.lost = self.resumed = 0
        self.blobs = self.manifests = self.uploads = self.orphans = self.orphan_bytes = self.violations = 0

    def add(self, result: Round, orphans: int, orphan_bytes: int) -> None:
        self.rounds += 1
        self.kills += result.kills
        self.cuts += result.power_cuts
        self.pushes += result.ledger.pushed
        self.answers += result.ledger.answers
        self.lost += result.ledger.lost
        self.resumed += result.ledger.resumed
        self.blobs += result.blobs_checked
        self.manifests += result.manifests_checked
        self.uploads += result.uploads_resumed
        self.orphans += orphans
        self.orphan_bytes += orphan_bytes
        self.violations += len(result.violations)

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds: {self.kills} workers killed, {self.cuts} power cuts; {self.pushes} images"
            f" pushed with {self.answers} answers, {self.lost} answers lost, {self.resumed} times resumed;"
            f" afterwards {self.blobs} blobs and {self.manifests} manifests pulled, {self.uploads} uploads"
            f" finished; {self.orphans} orphans of {self.orphan_bytes / MIB:.1f} MiB;"
            f" {self.violations} broken promises"
        )


@contextmanager
def databases(wanted: str) -> Iterator[list[PostgresServer | None]]:
    """What to run on, in turns; None is SQLite."""
    binaries = None if wanted == "sqlite" else find_binaries()
    if binaries is None:
        if wanted == "postgresql":
            sys.exit("Error: there is no PostgreSQL server here")
        yield [None]
        return
    server = PostgresServer(binaries)
    server.start()
    try:
        yield [server] if wanted == "postgresql" else [None, server]
    finally:
        server.remove()


async def crash(arguments: argparse.Namespace, folder: Path) -> Total:
    total = Total()
    ends = time.monotonic() + arguments.minutes * 60
    with databases(arguments.database) as kinds:
        series = 0
        while time.monotonic() < ends and total.rounds < arguments.rounds:
            postgres = kinds[series % len(kinds)]
            await crash_series(arguments, folder / f"series-{series}", postgres, total, ends)
            series += 1
    return total


async def crash_series(
    arguments: argparse.Namespace, folder: Path, postgres: PostgresServer | None, total: Total, ends: float
) -> None:
    """Rounds on one data folder."""
    url = postgres.create_database() if postgres else ""
    crashes = Crashes(folder, database_url=url, seed=arguments.seed + total.rounds)
    known = known_bytes = 0
    kinds = list(Kind)
    try:
        for number in range(ROUNDS_PER_FOLDER):
            if number and (time.monotonic() > ends or total.rounds >= arguments.rounds):
                return
            kind = kinds[number % len(kinds)]
            result = await crashes.round(kind, pushes=arguments.pushes, kills=arguments.kills)
            total.add(result, result.orphans - known, result.orphan_bytes - known_bytes)
            known, known_bytes = result.orphans, result.orphan_bytes
            print(f"[{'postgresql' if postgres else 'sqlite'}] {result}", flush=True)
            if result.violations:
                print(crashes.told(result), flush=True)
    finally:
        crashes.stop()
        shutil.rmtree(folder, ignore_errors=True)
        if postgres:
            postgres.drop_database(url)


async def huge(arguments: argparse.Namespace, folder: Path) -> bool:
    """Whether the blob passed in every way, within the memory allowed."""
    good = True
    for number, way in enumerate(Way[name.upper()] for name in arguments.ways):
        place = folder / f"huge-{number}"
        place.mkdir()
        with registry(place, workers=2) as server:
            result = await carry(server, way, Content(number, int(arguments.size * 1024) * MIB + 7))
        shutil.rmtree(place)
        print(result, flush=True)
        good = good and result.right and max(result.up_growth, result.down_growth) < MOST_MEMORY
    return good


async def main() -> int:
    arguments = options()
    folder = Path(tempfile.mkdtemp(prefix="roadstead-soak-", dir=arguments.folder))
    print(f"seed {arguments.seed}, {os.cpu_count()} cores, in {folder}", flush=True)
    try:
        total = await crash(arguments, folder) if arguments.minutes > 0 else Total()
        if total.rounds:
            print(total, flush=True)
        good = await huge(arguments, folder) if arguments.size > 0 else True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good and not total.violations else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
