"""`python -m benchmarks`: every line is done by every peer in turn, round after round."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import environment
from benchmarks.content import MIB
from benchmarks.lines import LINES, Effort, Line
from benchmarks.load import LoadFailed, cores, run_load
from benchmarks.peers import CHECKOUT, PEERS, ROADSTEAD, SCRATCH, Peer, PeerMissing, Server, start
from benchmarks.processes import busy_ticks, cpu_seconds, memory, reset_peak
from benchmarks.report import Measurement, Result, Row, write_into

_DOCS = CHECKOUT / "docs" / "reference" / "performance.md"
_COSTS = {"requests/s": ("µs", 1e6), "images/s": ("ms", 1e3), "MiB/s": ("s/GiB", 1024.0)}
_WARM_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    peers: Sequence[Peer]
    lines: Sequence[Line]
    rounds: int
    effort: Effort
    processes: int
    workers: int
    folder: Path
    quiet: float
    output: Path | None
    write_docs: bool


class _CpuMeter:
    """Called around the load: the server's CPU time between the two calls."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: list[float] = []

    def __call__(self) -> None:
        self._seen.append(cpu_seconds(self._pid))

    @property
    def seconds(self) -> float:
        return self._seen[-1] - self._seen[0]


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(line.name for line in LINES)
    parser.add_argument("--only", metavar="LINE,…", help=f"only these lines, or all that begin so: {names}")
    parser.add_argument("--peers", metavar="PEER,…", help=f"only these: {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is done (3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a line runs (5)")
    parser.add_argument("--connections", type=int, default=10, help="connections at once (10)")
    parser.add_argument("--big-mib", type=int, default=1024, help="MiB in the large blob (1024)")
    parser.add_argument("--processes", type=int, default=1, help="processes of the load generator (1)")
    parser.add_argument(
        "--workers", type=int, default=cores(), help="workers of Roadstead (one for each core)"
    )
    parser.add_argument(
        "--folder", type=Path, default=SCRATCH / "benchmarks", help="where the registries keep their data"
    )
    parser.add_argument(
        "--wait-quiet",
        type=float,
        default=0,
        help="before each turn, wait up to so many seconds for an idle machine",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of one second, and 128 MiB: does it work?"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON to this file")
    parser.add_argument(
        "--write-docs", action="store_true", help=f"put the tables into {_DOCS.relative_to(CHECKOUT)}"
    )
    given = parser.parse_args(arguments)
    effort = Effort(given.seconds, given.connections, given.big_mib * MIB)
    if given.quick:
        effort = replace(effort, seconds=1.0, big=128 * MIB)
    return Options(
        peers=_chosen_peers(parser, given.peers),
        lines=_chosen_lines(parser, given.only),
        rounds=1 if given.quick else given.rounds,
        effort=effort,
        processes=given.processes,
        workers=given.workers,
        folder=given.folder,
        quiet=given.wait_quiet,
        output=given.output,
        write_docs=given.write_docs,
    )


def _chosen_peers(parser: argparse.ArgumentParser, given: str | None) -> Sequence[Peer]:
    names = given.split(",") if given else list(PEERS)
    for name in names:
        if name not in PEERS:
            parser.error(f"there is no peer {name!r}: choose from {', '.join(PEERS)}")
    return [PEERS[name] for name in names]


def _chosen_lines(parser: argparse.ArgumentParser, given: str | None) -> Sequence[Line]:
    if not given:
        return LINES
    chosen = []
    for wanted in given.split(","):
        # The whole name wins over the beginning: `push-1` is not `push-10`.
        found = [line for line in LINES if line.name == wanted] or [
            line for line in LINES if line.name.startswith(wanted)
        ]
        if not found:
            parser.error(f"there is no line {wanted!r}: choose from {', '.join(line.name for line in LINES)}")
        chosen += found
    return chosen


def _wait_for_quiet(limit: float) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        idle_before, all_before = busy_ticks()
        time.sleep(1)
        idle, total = busy_ticks()
        if (idle - idle_before) >= 0.85 * (total - all_before):
            return


def _measure(line: Line, server: Server, options: Options, number: int) -> Measurement:
    plan = line.plan(server, options.effort)
    if plan.warm is not None:
        run_load(
            server.address,
            plan.warm,
            connections=plan.connections,
            processes=options.processes,
            seconds=None if plan.seconds is None else min(_WARM_SECONDS, plan.seconds),
        )
    # What an earlier turn left to be written would be written during this one.
    os.sync()
    _wait_for_quiet(options.quiet)
    reset_peak(server.pid)
    meter = _CpuMeter(server.pid)
    done = run_load(
        server.address,
        plan.script,
        connections=plan.connections,
        processes=options.processes,
        seconds=plan.seconds,
        around=meter,
    )
    held = memory(server.pid)
    return Measurement(
        line=line.name,
        peer=server.peer.name,
        round=number,
        amount=done.operations * (options.effort.big / MIB if line.moves_big else 1),
        elapsed=done.elapsed,
        server_cpu=meter.seconds,
        client_cpu=done.client_cpu,
        median_latency=done.percentile(0.5),
        high_latency=done.percentile(0.99),
        peak_memory=held.peak,
        resident_memory=held.resident,
        proportional_memory=held.proportional,
    )


def _tell(line: Line, server: Server, one: Measurement) -> None:
    unit, scale = _COSTS[line.unit]
    client = 100 * one.client_cpu / one.elapsed
    print(
        f"  {one.round + 1}  {line.name:20} {server.peer.title:17} {one.rate:10.1f} {line.unit:11}"
        f" {one.cost * scale:9.2f} {unit:6} peak {one.peak_memory / MIB:5.0f} MiB  client {client:.0f} %",
        file=sys.stderr,
        flush=True,
    )


def _round(number: int, programs: Sequence[tuple[Peer, Path]], options: Options, into: Result) -> Result:
    measurements, failures = list(into.measurements), list(into.failures)
    with ExitStack() as stack:
        servers = []
        for peer, program in programs:
            environment_ = {"ROADSTEAD_WORKERS": str(options.workers)} if peer is ROADSTEAD else {}
            try:
                server = start(peer, program, options.folder, environment=environment_)
            except (RuntimeError, OSError) as error:
                failures.append(f"{peer.title} did not start: {error}")
                print(f"FAILED: {failures[-1]}", file=sys.stderr, flush=True)
                continue
            stack.callback(server.stop)
            servers.append(server)
        for position, line in enumerate(options.lines):
            # Nobody is always the first, or always behind the same one.
            turn = (number + position) % max(1, len(servers))
            for server in servers[turn:] + servers[:turn]:
                try:
                    one = _measure(line, server, options, number)
                except (LoadFailed, RuntimeError, OSError) as error:
                    failures.append(f"{line.name} with {server.peer.title}: {error}")
                    print(f"FAILED: {failures[-1]}", file=sys.stderr, flush=True)
                else:
                    measurements.append(one)
                    _tell(line, server, one)
    return replace(into, measurements=measurements, failures=failures)


def _find(peers: Sequence[Peer]) -> tuple[list[tuple[Peer, Path]], list[str]]:
    found, left_out = [], []
    for peer in peers:
        try:
            found.append((peer, peer.find()))
        except PeerMissing as error:
            left_out.append(f"{peer.title}: {error}")
            print(f"LEFT OUT: {peer.title}: {error}", file=sys.stderr, flush=True)
    return found, left_out


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    programs, left_out = _find(options.peers)
    if not programs:
        print("none of the registries can be had", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=options.folder))
    options = replace(options, folder=folder)
    result = Result(
        environment=environment.describe(folder, CHECKOUT, workers=options.workers),
        command=shlex.join(
            ["python", "-m", "benchmarks", *(arguments if arguments is not None else sys.argv[1:])]
        ),
        versions={peer.name: peer.version(program) for peer, program in programs},
        titles={peer.name: peer.title for peer, _ in programs},
        rows=[_row(line, options.effort) for line in options.lines],
        measurements=[],
        failures=[],
        left_out=left_out,
    )
    try:
        for number in range(options.rounds):
            result = _round(number, programs, options, result)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _publish(result, options)
    return 1 if result.failures else 0


def _row(line: Line, effort: Effort) -> Row:
    big = effort.big // MIB
    size = f"{big // 1024} GiB" if big % 1024 == 0 else f"{big} MiB"
    unit, scale = _COSTS[line.unit]
    return Row(line.name, line.title.format(big=size), line.unit, unit, scale)


def _publish(result: Result, options: Options) -> None:
    print(result.markdown())
    if options.output is not None:
        options.output.write_text(json.dumps(result.document(), indent=2) + "\n")
    if options.write_docs:
        write_into(_DOCS, result.markdown())


if __name__ == "__main__":
    sys.exit(main())
