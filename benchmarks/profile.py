"""`python -m benchmarks.profile LINE`: where Roadstead's CPU time goes in one line of the benchmarks."""
# ruff: noqa: A005 - imported as `benchmarks.profile` only

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.content import MIB
from benchmarks.lines import LINES, Effort
from benchmarks.load import run_load
from benchmarks.peers import ROADSTEAD, SCRATCH, start
from benchmarks.processes import cpu_seconds, tree

SAMPLER = Path(__file__).parent / "sampler"
_PATIENCE = 5.0
# The part of a path that says nothing: where packages, our own code and the standard library lie.
_COMMON = re.compile(r"^.*/(site-packages|src|lib/python3\.\d+)/")

Stacks = Counter[tuple[str, ...]]


def read_samples(lines: Iterable[str]) -> Stacks:
    """Nanoseconds by stack, outermost call first."""
    stacks: Stacks = Counter()
    for line in lines:
        spent, _, stack = line.rstrip("\n").partition(" ")
        stacks[tuple(stack.split(";"))] += int(spent)
    return stacks


def own_time(stacks: Stacks) -> Counter[str]:
    """Nanoseconds in a function itself and in the C code that it called."""
    own: Counter[str] = Counter()
    for stack, spent in stacks.items():
        own[stack[-1]] += spent
    return own


def total_time(stacks: Stacks) -> Counter[str]:
    """Nanoseconds in a function and all that it called; recursion counts once."""
    total: Counter[str] = Counter()
    for stack, spent in stacks.items():
        for name in set(stack):
            total[name] += spent
    return total


def short(name: str) -> str:
    """`…/site-packages/starlette/routing.py:12:f` as `starlette/routing.py:12 f`."""
    file, line, function = name.rsplit(":", 2)
    return f"{_COMMON.sub('', file)}:{line} {function}"


def _table(title: str, times: Counter[str], whole: int, operations: float, top: int) -> str:
    lines = [title, f"{'share':>7} {'µs each':>9}  function"]
    for name, spent in times.most_common(top):
        lines.append(f"{100 * spent / whole:6.1f} % {spent / 1000 / operations:8.2f}  {short(name)}")
    return "\n".join(lines)


def _tell_all(pid: int, number: signal.Signals) -> None:
    for each in tree(pid):
        with suppress(ProcessLookupError):
            os.kill(each, number)


def wait_for_samples(folder: Path, pids: Sequence[int]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if all((folder / f"{pid}.samples").exists() for pid in pids):
            return
        time.sleep(0.05)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("line", choices=[line.name for line in LINES])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--big-mib", type=int, default=512)
    parser.add_argument("--top", type=int, default=40, help="functions to print")
    parser.add_argument(
        "--samples", type=Path, help="keep the stacks in this file, as flame graph tools read them"
    )
    given = parser.parse_args(arguments)
    line = next(line for line in LINES if line.name == given.line)
    SCRATCH.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="profile-", dir=SCRATCH))
    environment = {
        "ROADSTEAD_WORKERS": "1",
        "PYTHONPATH": str(SAMPLER),
        "BENCHMARKS_SAMPLES": str(folder),
    }
    try:
        server = start(ROADSTEAD, ROADSTEAD.find(), folder, environment=environment)
        try:
            plan = line.plan(server, Effort(given.seconds, given.connections, given.big_mib * MIB))
            if plan.warm is not None:
                seconds = None if plan.seconds is None else 0.5
                run_load(server.address, plan.warm, connections=plan.connections, seconds=seconds)
            _tell_all(server.pid, signal.SIGUSR2)
            before = cpu_seconds(server.pid)
            done = run_load(server.address, plan.script, connections=plan.connections, seconds=plan.seconds)
            used = cpu_seconds(server.pid) - before
            _tell_all(server.pid, signal.SIGUSR2)
            wait_for_samples(folder, tree(server.pid))
        finally:
            server.stop()
        stacks = read_samples(
            text for file in folder.glob("*.samples") for text in file.open(encoding="utf-8")
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not stacks:
        print("no samples were written: is something else on SIGUSR2?", file=sys.stderr)
        return 1
    if given.samples is not None:
        given.samples.write_text(
            "".join(f"{';'.join(map(short, stack))} {ns}\n" for stack, ns in stacks.items())
        )
    whole = sum(stacks.values())
    each = 1e6 * used / done.operations
    print(f"{line.name}: {done.operations} done, {done.rate:,.1f}/s, {each:,.1f} µs of CPU each\n")
    print(_table("Own time", own_time(stacks), whole, done.operations, given.top), "\n")
    print(_table("With what it calls", total_time(stacks), whole, done.operations, given.top))
    return 0


if __name__ == "__main__":
    sys.exit(main())
