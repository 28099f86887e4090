"""What the kernel knows of a server's processes: CPU time and memory, summed over the tree."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")
# proc(5): writing 5 makes the peak of the resident set start again.
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, summed over the processes of a server."""

    peak: int  # VmHWM: pages shared by workers count once for each of them
    resident: int
    proportional: int  # PSS: shared pages count once


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    found = [root]
    for pid in found:
        for task in (_PROC / str(pid) / "task").glob("*"):
            with suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def parse_stat(text: str) -> int:
    """Ticks of CPU in a line of /proc/PID/stat: the process and the children that it has waited for."""
    # The name may hold spaces and parentheses: fields are counted behind the last one.
    fields = text.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, the dead included once their parent has noticed."""
    ticks = 0
    for pid in tree(root):
        with suppress(OSError):
            ticks += parse_stat((_PROC / str(pid) / "stat").read_text())
    return ticks / _TICK


def parse_kib(text: str, name: str) -> int:
    """The bytes that a `Name:   123 kB` line tells; 0 without such a line."""
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def memory(root: int) -> Memory:
    peak = resident = proportional = 0
    for pid in tree(root):
        with suppress(OSError):
            status = (_PROC / str(pid) / "status").read_text()
            peak += parse_kib(status, "VmHWM")
            resident += parse_kib(status, "VmRSS")
            proportional += parse_kib((_PROC / str(pid) / "smaps_rollup").read_text(), "Pss")
    return Memory(peak, resident, proportional)


def reset_peak(root: int) -> None:
    for pid in tree(root):
        with suppress(OSError):
            (_PROC / str(pid) / "clear_refs").write_text(_RESET_PEAK)


def parse_busy(text: str) -> tuple[int, int]:
    """Ticks of all processors that were idle, and ticks in all, from /proc/stat."""
    fields = [int(field) for field in text.splitlines()[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def busy_ticks() -> tuple[int, int]:
    return parse_busy((_PROC / "stat").read_text())
