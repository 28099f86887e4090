"""Pages of the admin API's lists in a large registry: `python -m benchmarks.listing`.

A hundred tags in every repository; the same pages are asked for in a small registry and in a large one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine, text

from benchmarks.inprocess import Client, running
from roadstead.testing.postgres import PostgresServer, find_binaries

PASSWORD = "a benchmark's password 1"
TAGS = 100
MANIFESTS = 20
ROUNDS = 7
_SERIES = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT {0} UNION ALL SELECT n + 1 FROM s WHERE n < {1}) SELECT n FROM s) {2}",
    "postgresql": "(SELECT generate_series({0}, {1}) AS n) {2}",
}
_HEX = {"sqlite": "printf('%064d', {0})", "postgresql": "lpad(({0})::text, 64, '0')"}
_BYTES = {"sqlite": "CAST('{}' AS BLOB)", "postgresql": "convert_to('{}', 'UTF8')"}
_IMAGE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds for one page: the median of some rounds, on the clock and of this process's CPU."""

    wall: float
    cpu: float


def fill(url: str, repositories: int) -> None:
    """So many repositories in one project, by SQL: pushing them would take an hour."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as conn:
        _fill(conn, engine.dialect.name, repositories)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("ANALYZE"))
    engine.dispose()


def _fill(conn: Connection, dialect: str, repositories: int) -> None:
    def series(first: object, last: object, name: str) -> str:
        return _SERIES[dialect].format(first, last, name)

    project = conn.execute(text("SELECT id FROM projects WHERE name = 'library'")).scalar_one()
    conn.execute(
        text(
            "INSERT INTO repositories (id, project_id, path, created_at)"
            f" SELECT r.n, {project}, 'team-' || (r.n % 97) || '/app-' || r.n, 1700000000000 + r.n"
            f" FROM {series(1, repositories, 'r')}"
        )
    )
    number = f"(r.n * {MANIFESTS} + m.n)"
    conn.execute(
        text(
            "INSERT INTO manifests (id, repository_id, digest, media_type, artifact_type, size, payload, pushed_at,"
            " pull_count, total_size, details)"
            f" SELECT {number}, r.n, 'sha256:' || {_HEX[dialect].format(number)}, '{_IMAGE}',"
            f" 'application/vnd.oci.image.config.v1+json', 2, {_BYTES[dialect]},"
            " 1700000000000 + m.n, 0, 1000, '{\"extra_attrs\": {}}'"
            f" FROM {series(1, repositories, 'r')} CROSS JOIN {series(0, MANIFESTS - 1, 'm')}"
        )
    )
    conn.execute(
        text(
            "INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at)"
            f" SELECT r.n, 'v' || t.n, r.n * {MANIFESTS} + t.n % {MANIFESTS}, 1, 1700000000000 + t.n"
            f" FROM {series(1, repositories, 'r')} CROSS JOIN {series(1, TAGS, 't')}"
        )
    )


def pages(repositories: int) -> Sequence[tuple[str, str]]:
    """What is asked for, and its address."""
    listing = "/api/v2.0/projects/library/repositories?page_size=10&page={}"
    number = repositories // 2
    one = f"/api/v2.0/projects/library/repositories/team-{number % 97}%252Fapp-{number}/artifacts"
    flags = "with_tag=true&with_label=true&with_accessory=true&with_immutable_status=true"
    return [
        ("repositories, first page", listing.format(1)),
        ("repositories, middle page", listing.format(repositories // 20)),
        ("repositories, last page", listing.format(repositories // 10)),
        ("repositories of all projects", "/api/v2.0/repositories?page_size=10"),
        ("artifacts, every flag", f"{one}?page_size=10&{flags}"),
        ("tags of an artifact", f"{one}/v1/tags?page_size=10"),
        ("/v2 tag list", f"/v2/library/team-{number % 97}/app-{number}/tags/list?n=50"),
    ]


async def measure(folder: Path, url: str, repositories: int) -> dict[str, Timing]:
    async with running(folder, PASSWORD, database_url=url) as client:
        await asyncio.to_thread(fill, url, repositories)
        return {name: await _time(client, target) for name, target in pages(repositories)}


async def _time(client: Client, target: str) -> Timing:
    call = client.call("GET", target)
    await call()
    walls, cpus = [], []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        await call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Timing(sorted(walls)[ROUNDS // 2] * 1000, sorted(cpus)[ROUNDS // 2] * 1000)


def table(found: Sequence[tuple[str, int, dict[str, Timing]]]) -> str:
    """The figures as Markdown: milliseconds on the clock, and of CPU in brackets."""
    heads = [f"{database}, {count * TAGS:,} tags" for database, count, _ in found]
    lines = [f"| page | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for name in found[0][2]:
        cells = [f"{timings[name].wall:.1f} ({timings[name].cpu:.1f})" for _, _, timings in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@contextmanager
def databases(folder: Path) -> Iterator[list[tuple[str, str]]]:
    """`(name, url)`, two empty databases of each kind that can be had here."""
    urls = [("SQLite", f"sqlite:///{folder / f'{name}.db'}") for name in ("small", "large")]
    binaries = find_binaries()
    if binaries is None:
        yield urls
        return
    server = PostgresServer(binaries)
    server.start()
    try:
        yield urls + [("PostgreSQL", server.create_database()) for _ in range(2)]
    finally:
        server.stop()
        server.remove()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listing", description=__doc__)
    parser.add_argument("--repositories", type=int, default=10_000, help="in the large registry")
    parser.add_argument("--small", type=int, default=100, help="repositories in the small registry")
    chosen = parser.parse_args(arguments)
    os.environ["ROADSTEAD_ADMIN_PASSWORD"] = PASSWORD
    found = []
    with tempfile.TemporaryDirectory() as name, databases(Path(name)) as urls:
        for number, (database, url) in enumerate(urls):
            count = chosen.repositories if number % 2 else chosen.small
            folder = Path(name) / f"data-{number}"
            found.append((database, count, asyncio.run(measure(folder, url, count))))
    print(table(found))


if __name__ == "__main__":
    main()
