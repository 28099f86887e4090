"""The official OCI conformance suite against a real `roadstead serve`: every test passes, none is skipped.

The suite is the Go program of `github.com/opencontainers/distribution-spec/conformance`.  It is taken from
$OCI_CONFORMANCE, else `oci-conformance` on the PATH, else installed through the Go module proxy into .test/bin.
Where none of these works this says why and fails, unless ROADSTEAD_CONFORMANCE_OPTIONAL=1 lets it pass.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from roadstead.testing.postgres import PostgresServer, find_binaries
from roadstead.testing.running import ADMIN, PASSWORD, NotRunning, RunningRegistry

CHECKOUT = Path(__file__).resolve().parents[1]
MODULE = "github.com/opencontainers/distribution-spec/conformance@967efdc079b9"
PRIVATE = "conformance"
SUITE_TAKES_AT_MOST = 600


@dataclass(frozen=True)
class Edition:
    """What is asked of the registry, and how many tests that makes for one that passes them all.

    A registry that skips the mount without a source is asked four questions fewer.
    """

    name: str
    version: str
    sparse: bool
    tests: int
    # Tests of the draft, which the suite leaves out of the released version by itself.
    disabled: int = 0


EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("1.1", "1.1", sparse=False, tests=862, disabled=2),
        Edition("dev", "dev", sparse=False, tests=986),
        Edition("dev+sparse", "dev", sparse=True, tests=1032),
    )
}
# How the suite signs in: with tokens, with tokens asked for anew by every request, with a password.
LOGINS = ("bearer", "bearer-uncached", "basic")
DATABASES = ("sqlite", "postgresql")
WORKERS = (1, 4)


@dataclass(frozen=True)
class Run:
    edition: Edition
    database: str
    login: str
    workers: int

    def __str__(self) -> str:
        return f"{self.edition.name:<10}  {self.database:<10}  {self.login:<15}  {self.workers} worker(s)"


def chosen(full: bool, databases: list[str]) -> list[Run]:
    """All combinations; or few of them, in which each value meets most others."""
    if full:
        return [Run(*parts) for parts in itertools.product(EDITIONS.values(), databases, LOGINS, WORKERS)]
    few = [
        ("1.1", "sqlite", "bearer", 1),
        ("dev", "sqlite", "bearer", 4),
        ("dev+sparse", "sqlite", "bearer-uncached", 4),
        ("dev+sparse", "sqlite", "basic", 1),
        ("1.1", "postgresql", "basic", 4),
        ("dev", "postgresql", "bearer-uncached", 1),
        ("dev+sparse", "postgresql", "bearer", 4),
    ]
    return [Run(EDITIONS[edition], *rest) for edition, *rest in few if rest[0] in databases]  # type: ignore[arg-type]  # a tuple of text and a number, taken apart


@dataclass(frozen=True)
class Counts:
    tests: int
    failed: int
    skipped: int
    disabled: int
    failures: tuple[str, ...]

    @classmethod
    def read(cls, results: Path) -> Counts:
        """What the suite wrote.  Its exit code alone proves nothing: a bad configuration exits with 0."""
        if not (results / "results.yaml").is_file():
            raise SystemExit("the suite wrote no results.yaml: it did not run")
        root = ET.parse(results / "junit.xml").getroot()

        def total(name: str) -> int:
            return sum(int(suite.get(name, "0")) for suite in root.iter("testsuite"))

        wrong = [
            f"{'FAIL' if case.find('skipped') is None else 'SKIP'} {case.get('name', '?')}"
            for case in root.iter("testcase")
            if any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
        ]
        failed = total("failures") + total("errors")
        return cls(total("tests"), failed, total("skipped"), total("disabled"), tuple(wrong))

    @property
    def passed(self) -> int:
        return self.tests - self.failed - self.skipped - self.disabled

    def satisfy(self, edition: Edition) -> bool:
        return (
            self.tests == edition.tests
            and self.disabled == edition.disabled
            and self.failed == self.skipped == 0
        )

    def __str__(self) -> str:
        text = f"{self.passed} of {self.tests} passed, {self.failed} failed, {self.skipped} skipped"
        return text + (f", {self.disabled} of the draft left out" if self.disabled else "")


def find_suite() -> Path | str:
    """The suite's program, or why there is none."""
    if named := os.environ.get("OCI_CONFORMANCE"):
        return Path(named) if os.access(named, os.X_OK) else f"$OCI_CONFORMANCE is no program: {named}"
    installed = CHECKOUT / ".test/bin/oci-conformance"
    if found := shutil.which("oci-conformance"):
        return Path(found)
    if installed.exists():
        return installed
    if shutil.which("go") is None:
        return "neither oci-conformance nor go is on the PATH"
    # `go install` names a program after its module's last part.
    with tempfile.TemporaryDirectory(dir=_made(CHECKOUT / ".test")) as folder:
        done = subprocess.run(
            ["go", "install", MODULE],
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ | {"GOBIN": folder, "GOFLAGS": "", "CGO_ENABLED": "0"},
        )
        if done.returncode:
            return f"`go install {MODULE}` failed:\n{done.stderr.strip()}"
        _made(installed.parent)
        shutil.move(Path(folder) / "conformance", installed)
    return installed


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def serving(run: Run, folder: Path, postgres: PostgresServer | None) -> Iterator[RunningRegistry]:
    environment = {
        "ROADSTEAD_AUTH__CHALLENGE": "basic" if run.login == "basic" else "bearer",
        "ROADSTEAD_REGISTRY__VALIDATE_REFERENCES": "none" if run.edition.sparse else "blobs",
    }
    url = postgres.create_database() if postgres and run.database == "postgresql" else ""
    with RunningRegistry(
        folder / "data", workers=run.workers, database_url=url, environment=environment
    ) as registry:
        yield registry


def measure(suite: Path, registry: RunningRegistry, run: Run, results: Path) -> Counts:
    """Run the suite once, in a private project, so that it has to sign in for everything."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
    environment |= {
        "OCI_REGISTRY": registry.address,
        "OCI_TLS": "disabled",
        "OCI_REPO1": f"{PRIVATE}/one",
        "OCI_REPO2": f"{PRIVATE}/two",
        "OCI_USERNAME": ADMIN,
        "OCI_PASSWORD": PASSWORD,
        "OCI_VERSION": run.edition.version,
        "OCI_DATA_SPARSE": "true" if run.edition.sparse else "false",
        "OCI_CACHE_AUTH": "false" if run.login == "bearer-uncached" else "true",
        "OCI_RESULTS_DIR": str(results),
    }
    with (results.parent / "suite.log").open("wb") as log:
        subprocess.run(
            [suite],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=results.parent,
            timeout=SUITE_TAKES_AT_MOST,
        )
    return Counts.read(results)


def conforms(suite: Path, run: Run, postgres: PostgresServer | None, folder: Path) -> bool:
    results = _made(folder / "results")
    started = time.monotonic()
    try:
        with serving(run, folder, postgres) as registry:
            counts = measure(suite, registry, run, results)
    except (NotRunning, subprocess.TimeoutExpired, SystemExit, ET.ParseError) as error:
        print(f"FAIL  {run}  {error}", flush=True)
        return False
    good = counts.satisfy(run.edition)
    seconds = time.monotonic() - started
    print(f"{'ok  ' if good else 'FAIL'}  {run}  {counts}  ({seconds:.0f} s)", flush=True)
    if not good:
        for line in counts.failures[:40]:
            print(f"      {line}")
        print(f"      {run.edition.tests} were to pass; requests and answers are in {results}/report.html")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every combination, not a chosen few")
    parser.add_argument("--database", choices=DATABASES, action="append", help="only this one")
    arguments = parser.parse_args()

    suite = find_suite()
    if isinstance(suite, str):
        optional = os.environ.get("ROADSTEAD_CONFORMANCE_OPTIONAL") == "1"
        rule = "*" * 100
        print(
            f"{rule}\nTHE OFFICIAL CONFORMANCE SUITE DID NOT RUN: {suite}\n"
            f"Set OCI_CONFORMANCE to a build of {MODULE}.\n"
            f"{'Passing all the same: ROADSTEAD_CONFORMANCE_OPTIONAL=1.' if optional else ''}\n{rule}",
            file=sys.stderr,
        )
        return 0 if optional else 1

    runs = chosen(arguments.full, arguments.database or list(DATABASES))
    postgres: PostgresServer | None = None
    if any(run.database == "postgresql" for run in runs):
        binaries = find_binaries()
        if binaries is None:
            print("there is no PostgreSQL server here: install it, or say --database sqlite", file=sys.stderr)
            return 1
        postgres = PostgresServer(binaries)
        postgres.start()
    base = CHECKOUT / ".test/conformance"
    shutil.rmtree(base, ignore_errors=True)
    try:
        good = [conforms(suite, run, postgres, _made(base / str(number))) for number, run in enumerate(runs)]
    finally:
        if postgres:
            postgres.remove()
    print(f"official conformance: {sum(good)} of {len(good)} runs are complete and without a skip")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
