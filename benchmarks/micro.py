"""`python -m benchmarks.micro`: the CPU time of single functions on the hot paths, in this process.

For whoever changes one of them: the numbers compare two versions of the same function on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, select

from benchmarks.content import MANIFEST, MIB, BlobMaker, manifest
from benchmarks.inprocess import Client, running
from roadstead.config.settings import AuthSettings
from roadstead.db.database import Database, PreparedQuery
from roadstead.db.engine import open_database
from roadstead.db.migrations import upgrade
from roadstead.db.tables import Project
from roadstead.identity.authentication import Authenticator
from roadstead.identity.keys import KeyRing
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.principals import Principal
from roadstead.identity.scopes import GrantedScope
from roadstead.identity.tokens import TokenIssuer
from roadstead.oci.digests import Digest
from roadstead.oci.manifests import parse_manifest
from roadstead.oci.media_types import is_acceptable
from roadstead.oci.names import RepositoryName, parse_reference
from roadstead.oci.ranges import parse_range
from roadstead.storage.hashing import RunningHash
from roadstead.wiring import PASSWORD_VARIABLE

# A batch this long is far above the clock's resolution.
_BATCH = 0.05
_BATCHES = 5
# Fewer than the uploads that one account may have open, in all batches.
_CALLS = 150


@dataclass(frozen=True, slots=True)
class Timing:
    """The best batch: everything else is somebody else's work.  `cpu` is of the whole process, in seconds."""

    name: str
    cpu: float
    wall: float


def measure(name: str, function: Callable[[int], object]) -> Timing:
    """`function` is given how often it shall do its work."""
    times = 1
    while _timed(function, times)[1] < _BATCH:
        times *= 2
    cpu, wall = min(_timed(function, times) for _ in range(_BATCHES))
    return Timing(name, cpu / times, wall / times)


def _timed(function: Callable[[int], object], times: int) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    function(times)
    return time.process_time() - cpu, time.perf_counter() - wall


def over(function: Callable[[str], object], texts: Sequence[str]) -> Callable[[int], object]:
    """The function called with one text after the other, round and round."""

    def work(times: int) -> None:
        whole, rest = divmod(times, len(texts))
        for _ in range(whole):
            for text in texts:
                function(text)
        for text in texts[:rest]:
            function(text)

    return work


def again(function: Callable[[], object]) -> Callable[[int], object]:
    def work(times: int) -> None:
        for _ in range(times):
            function()

    return work


def awaited(runner: asyncio.Runner, function: Callable[[], Awaitable[object]]) -> Callable[[int], object]:
    async def work(times: int) -> None:
        for _ in range(times):
            await function()

    return lambda times: runner.run(work(times))


def _digest_of(number: int) -> str:
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"


def _pure_cases() -> Mapping[str, Callable[[int], object]]:
    digests = [_digest_of(number) for number in range(20_000)]
    names = [f"team-{number}/service/api" for number in range(20_000)]
    config, layer = BlobMaker(2048).blob(), BlobMaker(1024).blob()
    payload = bytes(manifest(config, [layer] * 7).pieces[0])
    accept = [f"{MANIFEST}, application/vnd.oci.image.index.v1+json, */*"]
    mebibyte = bytes(MIB)

    def repository(text: str) -> object:
        return RepositoryName.parse(text, default_project="library")

    return {
        "Digest.parse, the same": over(Digest.parse, digests[:1]),
        "Digest.parse, always new": over(Digest.parse, digests),
        "RepositoryName.parse, the same": over(repository, names[:1]),
        "RepositoryName.parse, always new": over(repository, names),
        "parse_reference, a tag": over(parse_reference, ["v1.2.3"]),
        "parse_reference, a digest": over(parse_reference, digests[:1]),
        "is_acceptable": again(lambda: is_acceptable(accept, MANIFEST)),
        "parse_range": again(lambda: parse_range("bytes=0-1023", 4096)),
        "parse_manifest, 7 layers": again(lambda: parse_manifest(payload, MANIFEST)),
        "RunningHash.update, 1 MiB": again(lambda: RunningHash.new("sha256").update(mebibyte)),
    }


async def _authentication(database: Database) -> tuple[Authenticator, TokenIssuer, Principal]:
    settings = AuthSettings()
    ring = await KeyRing.open(database, keep=settings.token_lifetime)
    issuer = TokenIssuer(
        ring,
        service=settings.service,
        lifetime=settings.token_lifetime,
        refresh_lifetime=settings.refresh_token_lifetime,
    )
    hasher = PasswordHasher(concurrency=settings.max_concurrent_hashes)
    return Authenticator(database, issuer, hasher, settings), issuer, Principal(1, "admin", 1, None)


def _cases_with_a_database(
    runner: asyncio.Runner, database: Database
) -> Mapping[str, Callable[[int], object]]:
    authenticator, issuer, principal = runner.run(_authentication(database))
    granted = [GrantedScope("repository", "bench/app", frozenset({"pull", "push"}))]
    token = issuer.access_token(principal, granted).text
    header = f"Bearer {token}"
    query = PreparedQuery(select(Project.id).where(Project.name == bindparam("name")))
    return {
        "authenticate, a token seen before": awaited(
            runner, lambda: authenticator.authenticate(header, client="127.0.0.1")
        ),
        "verify_access, a new token": awaited(runner, lambda: issuer.verify_access(token)),
        "access_token, signed": again(lambda: issuer.access_token(principal, granted)),
        "Database.first, by an index": awaited(runner, lambda: database.first(query, {"name": "library"})),
    }


async def _calls(client: Client) -> Mapping[str, Callable[[], Awaitable[object]]]:
    config, layer = BlobMaker(2048).blob(), BlobMaker(1024).blob()
    made = manifest(config, [layer])
    payload = bytes(made.pieces[0])
    here = "/v2/bench/app"
    await client.sign_in("bench/app")
    for blob in (config, layer):
        await client.push_blob("bench/app", blob)
    for number in range(100):
        await client.call("PUT", f"{here}/manifests/v{number}", payload, content_type=MANIFEST)()

    async def put() -> None:
        mark = os.urandom(8).hex()
        fresh = bytes(manifest(config, [layer], build=mark).pieces[0])
        await client.call("PUT", f"{here}/manifests/{mark}", fresh, content_type=MANIFEST)()

    return {
        "app: manifest GET by tag": client.call("GET", f"{here}/manifests/v1", accept=MANIFEST),
        "app: manifest GET by digest": client.call("GET", f"{here}/manifests/{made.digest}", accept=MANIFEST),
        "app: manifest HEAD by tag": client.call("HEAD", f"{here}/manifests/v1", accept=MANIFEST),
        "app: blob HEAD": client.call("HEAD", f"{here}/blobs/{layer.digest}"),
        "app: blob GET, 2 KiB": client.call("GET", f"{here}/blobs/{config.digest}"),
        "app: tag list, 100 tags": client.call("GET", f"{here}/tags/list"),
        "app: upload start": client.call("POST", f"{here}/blobs/uploads/"),
        "app: manifest PUT": put,
    }


async def _time_calls(folder: Path, only: str) -> list[Timing]:
    """Whole requests, without the server around them."""
    password = secrets.token_urlsafe(18)
    os.environ[PASSWORD_VARIABLE] = password
    timings = []
    async with running(folder, password) as client:
        for name, call in (await _calls(client)).items():
            if only in name:
                timings.append(await _measure_call(name, call))
    return timings


async def _measure_call(name: str, call: Callable[[], Awaitable[object]]) -> Timing:
    await call()
    batches = []
    for _ in range(_BATCHES):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(_CALLS):
            await call()
        batches.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = min(batches)
    return Timing(name, cpu / _CALLS, wall / _CALLS)


def report(timings: Sequence[Timing]) -> str:
    width = max(len(timing.name) for timing in timings)
    lines = [f"{'function':{width}}  {'CPU µs':>9}  {'wall µs':>9}"]
    lines += [f"{one.name:{width}}  {one.cpu * 1e6:9.2f}  {one.wall * 1e6:9.2f}" for one in timings]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro", description=__doc__)
    parser.add_argument("--only", default="", help="only functions with this in their name")
    given = parser.parse_args(arguments)
    timings: list[Timing] = []

    def run(cases: Mapping[str, Callable[[int], object]]) -> None:
        timings.extend(measure(name, work) for name, work in cases.items() if given.only in name)

    run(_pure_cases())
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        url = f"sqlite:///{Path(folder) / 'micro.db'}"
        upgrade(url)
        database = open_database(url, pool_size=1, pool_timeout=5)
        try:
            run(_cases_with_a_database(runner, database))
        finally:
            runner.run(database.close())
        timings += runner.run(_time_calls(Path(folder) / "data", given.only))
    if not timings:
        print(f"no function has {given.only!r} in its name", file=sys.stderr)
        return 2
    print(report(timings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
