"""What the operating system knows of a server: its workers, their memory and their open files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from roadstead.testing.running import RunningRegistry, children_of

MIB = 1024 * 1024
_ROOT = Path(__file__).resolve().parents[2]
# The first process writes the bytecode, and the others need not compile everything again.
BYTECODE = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(_ROOT / ".test" / "pycache")}
# A loaded machine takes its time to start four workers.
READY_WITHIN = 240.0


def registry(
    folder: Path,
    *,
    workers: int = 2,
    database_url: str = "",
    log: str = "server.log",
    data: Path | None = None,
    **settings: object,
) -> RunningRegistry:
    """A `roadstead serve`, not started yet, with `http__header_timeout=3` and so on for its settings."""
    environment = {f"ROADSTEAD_{name.upper()}": str(value) for name, value in settings.items()}
    return RunningRegistry(
        data or folder / "data",
        workers=workers,
        database_url=database_url,
        log=folder / log,
        environment=BYTECODE | environment,
        ready_within=READY_WITHIN,
    )


def workers_of(server: RunningRegistry) -> list[int]:
    """The processes that serve: the supervisor's, or the only one there is."""
    return [pid for pid in children_of(server.pid) if _serves(pid)] or [server.pid]


def _serves(pid: int) -> bool:
    try:
        # Python's own tracker of shared resources is a child too.
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def private_bytes(server: RunningRegistry) -> int:
    """Memory that the workers have for themselves, added up."""
    total = 0
    for pid in workers_of(server):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1]) * 1024
    return total


def open_files(server: RunningRegistry) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in workers_of(server))  # noqa: PTH208 - names are enough


@dataclass
class Memory:
    """The workers' private memory: when we began, and the most that was seen since."""

    before: int
    peak: int

    @property
    def growth(self) -> int:
        return self.peak - self.before


@asynccontextmanager
async def watched_memory(server: RunningRegistry, *, every: float = 0.1) -> AsyncIterator[Memory]:
    """Look at the server's memory all the time.  Reading it is slow, so a thread does."""
    before = await asyncio.to_thread(private_bytes, server)
    memory = Memory(before, before)

    async def watch() -> None:
        while True:
            memory.peak = max(memory.peak, await asyncio.to_thread(private_bytes, server))
            await asyncio.sleep(every)

    task = asyncio.create_task(watch())
    try:
        yield memory
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
