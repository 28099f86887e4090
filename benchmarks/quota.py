"""`python -m benchmarks.quota`: does one busy project push as fast as fifty quiet ones, with a quota and without?

Roadstead runs as two replicas on PostgreSQL; distribution, which has no quotas, as one process.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import itertools
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import environment
from benchmarks.content import MANIFEST, MIB, Blob, BlobMaker, manifest
from benchmarks.load import LoadFailed, LoadResult, Operation, run_load
from benchmarks.peers import CHECKOUT, PEERS, PeerMissing, start
from benchmarks.wire import request
from roadstead.testing.postgres import PostgresServer, find_binaries
from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry

PUSHERS = 50
_LAYER_BYTES = 16 * 1024
_TIB = 1024 * 1024 * MIB
_BINARY = ("Content-Type", "application/octet-stream")
_CONFIG = b"{}".ljust(64)
_CONFIG_BLOB = Blob(f"sha256:{hashlib.sha256(_CONFIG).hexdigest()}", len(_CONFIG), [_CONFIG])
# With less, one busy project is in its own way.
AIM = 0.8


@dataclass(frozen=True, slots=True)
class Place:
    """Where one pusher pushes: each has a repository of their own."""

    address: tuple[str, int]
    repository: str
    authorization: str


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    places: Sequence[Place]


def _push(place: Place, layers: BlobMaker) -> Operation:
    """An image of a small layer that nobody has seen, and a config that everybody has."""
    host = f"{place.address[0]}:{place.address[1]}"
    headers = [("Authorization", place.authorization)] if place.authorization else []
    root = f"/v2/{place.repository}"
    layer = layers.blob()
    for blob in (layer, _CONFIG_BLOB):
        begun = yield request(
            "POST", f"{root}/blobs/uploads/", host=host, headers=headers, body=[], expect=202
        )
        location = begun.header("Location")
        path = location if location.startswith("/") else "/" + location.split("/", 3)[3]
        target = f"{path}{'&' if '?' in path else '?'}digest={blob.digest}"
        yield request("PUT", target, host=host, headers=[*headers, _BINARY], body=blob.pieces, expect=201)
    document = manifest(_CONFIG_BLOB, [layer])
    typed = [*headers, ("Content-Type", MANIFEST)]
    target = f"{root}/manifests/{os.urandom(8).hex()}"
    yield request("PUT", target, host=host, headers=typed, body=document.pieces, expect=201)


def _load(places: Sequence[Place], seconds: float) -> LoadResult:
    """All these pushers at one replica."""
    layers = BlobMaker(_LAYER_BYTES)

    def script(_part: int, _parts: int) -> Iterator[Operation]:
        return (_push(place, layers) for place in itertools.cycle(places))

    return run_load(places[0].address, script, connections=len(places), seconds=seconds)


def measure(scenario: Scenario, seconds: float) -> float:
    """Images a second, over all replicas."""
    by_address: dict[tuple[str, int], list[Place]] = {}
    for place in scenario.places:
        by_address.setdefault(place.address, []).append(place)
    with ThreadPoolExecutor(len(by_address)) as pool:
        results = list(pool.map(lambda places: _load(places, seconds), by_address.values()))
    return sum(result.rate for result in results)


# ── Roadstead ───────────────────────────────────────────────────────────────────────────────────────────


def _admin(replica: RunningRegistry, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    basic = base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(replica.host, replica.port, timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _token(replica: RunningRegistry, repository: str) -> str:
    query = urlencode({"service": "roadstead", "scope": f"repository:{repository}:pull,push"})
    status, body = _admin(replica, "GET", f"/service/token?{query}")
    if status != http.client.OK:
        raise RuntimeError(f"no token for {repository}: {status} {body[:300]!r}")
    return f"Bearer {json.loads(body)['token']}"


def _project(replica: RunningRegistry, name: str, storage: int) -> None:
    body = {"project_name": name, "storage_limit": storage}
    status, answer = _admin(replica, "POST", "/api/v2.0/projects", body)
    if status != http.client.CREATED:
        raise RuntimeError(f"no project {name}: {status} {answer[:300]!r}")


def _roadstead(replicas: Sequence[RunningRegistry], name: str, *, projects: int, storage: int) -> Scenario:
    slug = f"{projects}-{'limited' if storage > 0 else 'free'}"
    for number in range(projects):
        _project(replicas[0], f"{slug}-{number}", storage)
    places = []
    for number in range(PUSHERS):
        replica = replicas[number % len(replicas)]
        repository = f"{slug}-{number % projects}/app-{number}"
        places.append(Place((replica.host, replica.port), repository, _token(replica, repository)))
    return Scenario(name, places)


def _start_roadstead(stack: ExitStack, folder: Path) -> list[Scenario]:
    binaries = find_binaries()
    if binaries is None:
        raise PeerMissing("PostgreSQL is not installed: apt-get install postgresql")
    postgres = PostgresServer(binaries)
    stack.callback(postgres.remove)
    postgres.start()
    url = postgres.create_database()
    replicas = [
        stack.enter_context(
            RunningRegistry(
                folder / "data",
                database_url=url,
                log=folder / f"replica-{number}.log",
                environment={"ROADSTEAD_REGISTRY__MAX_UPLOADS_PER_USER": "10000000"},
            )
        )
        for number in (1, 2)
    ]
    return [
        _roadstead(replicas, "50 projects, no limit", projects=PUSHERS, storage=-1),
        _roadstead(replicas, "1 project, no limit", projects=1, storage=-1),
        _roadstead(replicas, "50 projects, limited", projects=PUSHERS, storage=_TIB),
        _roadstead(replicas, "1 project, limited", projects=1, storage=_TIB),
    ]


def _start_distribution(stack: ExitStack, folder: Path) -> list[Scenario]:
    peer = PEERS["distribution3"]
    server = start(peer, peer.find(), folder)
    stack.callback(server.stop)

    def places(projects: int) -> list[Place]:
        return [
            Place(server.address, f"{projects}-{number % projects}/app-{number}", "")
            for number in range(PUSHERS)
        ]

    return [
        Scenario("distribution 3, 50 projects", places(PUSHERS)),
        Scenario("distribution 3, 1 project", places(1)),
    ]


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────


def _table(rates: dict[str, float]) -> list[str]:
    """Rows in Markdown; the second of each pair is compared with the first."""
    lines = ["| pushers | images/s | of 50 projects |", "|---|--:|--:|"]
    names = list(rates)
    for many, one in zip(names[::2], names[1::2], strict=True):
        lines.append(f"| {many} | {rates[many]:.0f} | |")
        lines.append(f"| {one} | {rates[one]:.0f} | {rates[one] / rates[many]:.2f} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each; the median counts")
    parser.add_argument("--no-peers", action="store_true", help="leave distribution out")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rs-bench-quota-")))
        scenarios = _start_roadstead(stack, folder)
        if not chosen.no_peers:
            scenarios += _start_distribution(stack, folder)
        seen: dict[str, list[float]] = {scenario.name: [] for scenario in scenarios}
        for scenario in scenarios:
            measure(scenario, 1.0)
        for number in range(chosen.rounds):
            # Whoever comes first pays for what the one before left to do: each comes first in turn.
            for scenario in scenarios[number % 2 :] + scenarios[: number % 2]:
                seen[scenario.name].append(measure(scenario, chosen.seconds))
        rates = {name: statistics.median(each) for name, each in seen.items()}
        about = environment.describe(CHECKOUT, CHECKOUT, workers=1)
    print("; ".join(f"{name} {value}" for name, value in about.items()))
    print("\n".join(["", *_table(rates)]))
    ratios = [rates["1 project, no limit"] / rates["50 projects, no limit"]]
    ratios.append(rates["1 project, limited"] / rates["50 projects, limited"])
    return 0 if min(ratios) >= AIM else 1


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except (PeerMissing, LoadFailed) as error:
        raise SystemExit(str(error)) from error
