"""Rounds of pushes while the server is killed, and what must be true after each of them.

A round: `pushes` clients begin at once; workers are killed with SIGKILL when so many requests have been answered
as a random number says, in some rounds the supervisor and all workers; clients go on as real ones do.  At
the end everything is killed, in some rounds together with the clients in the middle of their work, and what
was promised is checked from outside and from inside.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.system.client import Client, Gone, Hung
from tests.system.content import Content, digest_of
from tests.system.inside import Inside, UploadRow, wrong_prefixes
from tests.system.ledger import Begun, Ledger
from tests.system.machine import registry, workers_of
from tests.system.pushes import Broken, Pusher, WalkedAway

REPOSITORIES = 12
# Layers that several clients push at the same time.
SHARED_LAYERS = 8
# About how many answers one push needs when nothing goes wrong.
ANSWERS_PER_PUSH = 11
CHECKERS = 16


class Kind(Enum):
    WORKERS = "workers die, and every client ends"
    POWER = "workers die, then everything does and comes back, and every client ends"
    SILENCE = "workers die, then everything does, and no client comes back"


@dataclass
class Round:
    """How one round went."""

    kind: Kind
    pushes: int
    kills: int = 0
    power_cuts: int = 0
    blobs_checked: int = 0
    manifests_checked: int = 0
    uploads_resumed: int = 0
    uploads_cancelled: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    seconds: float = 0.0
    slow_start: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def violations(self) -> list[str]:
        return self.ledger.violations

    def __str__(self) -> str:
        ledger = self.ledger
        return (
            f"{self.kind.name.lower()}: {ledger.pushed}/{self.pushes} images pushed, {ledger.answers} answers,"
            f" {self.kills} workers killed, {self.power_cuts} power cuts, {ledger.lost} answers lost,"
            f" {ledger.resumed} resumed, {ledger.begun_again} begun again, {ledger.overtaken} overtaken,"
            f" {ledger.unavailable} busy; {self.blobs_checked} blobs and {self.manifests_checked} manifests"
            f" pulled, {self.uploads_resumed} uploads finished afterwards, {self.uploads_cancelled} cancelled,"
            f" {self.orphans} orphans of {self.orphan_bytes / 2**20:.1f} MiB, {self.seconds:.0f} s;"
            f" {len(ledger.violations)} violations"
        )


class Crashes:
    """One data folder that survives any number of rounds."""

    def __init__(self, folder: Path, *, database_url: str = "", workers: int = 4, seed: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Storage is never quicker than fsync; what is checked here does not depend on deadlines.
        self._server = registry(folder, workers=workers, database_url=database_url, log__level="warning")
        self._inside = Inside(self._server.data, database_url)
        self._rng = random.Random(seed)
        self._seed = seed
        self._seeds = seed * 1_000_000

    @property
    def inside(self) -> Inside:
        return self._inside

    def stop(self) -> None:
        self._server.kill()

    def told(self, result: Round) -> str:
        """For the message of a failure."""
        return "\n".join([f"seed {self._seed}", str(result), *result.violations[:20], self._server.tail()])

    async def round(self, kind: Kind, *, pushes: int = 200, kills: int = 3, most: int = 512 * 1024) -> Round:
        began = time.monotonic()
        result = Round(kind, pushes)
        if self._server.process is None:
            await self._start(result)
        work = asyncio.create_task(self._push_all(result, most))
        await self._chaos(result, work, kills)
        if kind is Kind.SILENCE:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        else:
            await work
        await self._power_cut(result)
        await self._start(result)
        await self._check(result)
        result.seconds = time.monotonic() - began
        return result

    # ── the storm ───────────────────────────────────────────────────────────────────────────────────────

    async def _push_all(self, result: Round, most: int) -> None:
        shared = [self._content(most) for _ in range(SHARED_LAYERS)]
        pushes = [self._push_one(result, number, shared, most) for number in range(result.pushes)]
        await asyncio.gather(*pushes)

    async def _push_one(self, result: Round, number: int, shared: Sequence[Content], most: int) -> None:
        rng = random.Random(self._rng.random())
        config = self._content(4096)
        layers = [self._content(most) for _ in range(rng.randint(0, 2))] + [rng.choice(shared)]
        repository = f"library/crash-{number % REPOSITORIES}"
        async with Client(self._server.host, self._server.port) as client:
            pusher = Pusher(client, result.ledger, rng, fickle=0.02)
            with suppress(Broken, Hung, WalkedAway):
                await pusher.push_image(repository, f"tag-{config.seed}", "latest", config, layers)

    def _content(self, most: int) -> Content:
        self._seeds += 1
        # Many small ones, a few as large as may be, and now and then nothing at all.  Never so small that a part
        # of it is a single byte: the protocol says `0-0` of one byte and of none.
        size = 0 if self._rng.random() < 0.02 else int(100 + (most - 100) * self._rng.random() ** 3)
        return Content(self._seeds, size, "sha512" if self._rng.random() < 0.1 else "sha256")

    async def _chaos(self, result: Round, work: asyncio.Task[None], kills: int) -> None:
        expected = result.pushes * ANSWERS_PER_PUSH
        moments = sorted(self._rng.randint(10, int(expected * 0.85)) for _ in range(kills))
        for moment in moments:
            if not await self._wait_for(result, work, moment):
                return
            workers = workers_of(self._server)
            os.kill(self._rng.choice(workers), signal.SIGKILL)
            result.kills += 1
        if kind_has_power_cut(result.kind):
            if not await self._wait_for(result, work, self._rng.randint(*_after(moments, expected))):
                return
            await self._power_cut(result)
            if result.kind is Kind.POWER:
                await self._start(result)

    async def _wait_for(self, result: Round, work: asyncio.Task[None], answers: int) -> bool:
        while result.ledger.answers < answers:
            if work.done():
                return False
            await asyncio.sleep(0.005)
        # Anywhere in what is under way then.
        await asyncio.sleep(self._rng.random() * 0.05)
        return not work.done()

    async def _power_cut(self, result: Round) -> None:
        if self._server.process is not None:
            await asyncio.to_thread(self._server.kill)
            result.power_cuts += 1

    async def _start(self, result: Round) -> None:
        began = time.monotonic()
        await asyncio.to_thread(self._server.start)
        result.slow_start = max(result.slow_start, time.monotonic() - began)

    # ── the promises ────────────────────────────────────────────────────────────────────────────────────

    async def _check(self, result: Round) -> None:
        for promise in await asyncio.to_thread(self._inside.broken_promises):
            result.ledger.violation(promise)
        await self._pull_everything(result)
        await self._end_uploads(result)
        for promise in await asyncio.to_thread(self._inside.broken_promises):
            result.ledger.violation(f"after the uploads were finished: {promise}")
        for row in self._inside.uploads():
            result.ledger.violation(f"an upload is left: {row}")
        orphans = await asyncio.to_thread(self._inside.orphans)
        result.orphans, result.orphan_bytes = len(orphans), sum(orphans.values())

    async def _pull_everything(self, result: Round) -> None:
        ledger = result.ledger
        jobs: list[tuple[str, str, str]] = []
        for (repository, digest), content in ledger.blobs.items():
            jobs.append((f"/v2/{repository}/blobs/{digest}", content.digest, content.algorithm))
        result.blobs_checked = len(jobs)
        for repository, digest in ledger.manifests:
            jobs.append((f"/v2/{repository}/manifests/{digest}", digest, "sha256"))
        for (repository, tag), digest in ledger.tags.items():
            if (repository, digest) in ledger.manifests:
                jobs.append((f"/v2/{repository}/manifests/{tag}", digest, "sha256"))
        result.manifests_checked = len(jobs) - result.blobs_checked
        self._rng.shuffle(jobs)

        async def check(share: Sequence[tuple[str, str, str]]) -> None:
            async with await self._signed_in() as client:
                for path, digest, algorithm in share:
                    answer = await client.request("GET", path)
                    found = digest_of(answer.body, algorithm)
                    if answer.status != 200 or found != digest:
                        ledger.violation(f"{path} was promised: {answer.status}, and the bytes are {found}")

        await asyncio.gather(*(check(jobs[number::CHECKERS]) for number in range(CHECKERS)))
        async with await self._signed_in() as client:
            for repository, tag in ledger.settled:
                answer = await client.request("HEAD", f"/v2/{repository}/manifests/{tag}")
                digest = answer.get("docker-content-digest") or ""
                if answer.status != 200 or digest not in ledger.contested[repository, tag]:
                    ledger.violation(
                        f"{repository}:{tag} is at {digest}, which nobody pushed ({answer.status})"
                    )

    async def _signed_in(self) -> Client:
        client = Client(self._server.host, self._server.port)
        scopes = (f"repository:library/crash-{number}:pull,push" for number in range(REPOSITORIES))
        answer = await client.sign_in(*scopes)
        assert answer.status == 200, answer
        return client

    async def _end_uploads(self, result: Round) -> None:
        """Every upload that is left goes on to the right blob, or was never anybody's."""
        rows = self._inside.uploads()
        known = [(row, result.ledger.uploads[row.id]) for row in rows if row.id in result.ledger.uploads]
        expected = [(row, begun.content.prefix_digest(row.size)) for row, begun in known]
        for wrong in await asyncio.to_thread(wrong_prefixes, self._inside, expected):
            result.ledger.violation(wrong)
        async with await self._signed_in() as client:
            for row in rows:
                begun = result.ledger.uploads.get(row.id)
                if begun is not None:
                    await self._resume(result, client, row.id, begun)
                else:
                    await self._cancel(result, client, row)

    async def _resume(self, result: Round, client: Client, upload_id: str, begun: Begun) -> None:
        pusher = Pusher(client, result.ledger, self._rng)
        try:
            finished = await pusher.resume(upload_id, begun)
        except (Broken, Gone, Hung) as error:
            result.ledger.violation(f"an upload could not be resumed: {error}")
            return
        if not finished:
            result.ledger.violation(f"an upload was there, and gone when it was resumed: {begun}")
            return
        answer = await client.request("GET", f"/v2/{begun.repository}/blobs/{begun.content.digest}")
        if answer.status != 200 or digest_of(answer.body, begun.content.algorithm) != begun.content.digest:
            result.ledger.violation(f"a resumed upload became another blob: {begun}: {answer.status}")
        result.uploads_resumed += 1

    async def _cancel(self, result: Round, client: Client, row: UploadRow) -> None:
        # Its client was never told of it: the answer to the POST was lost.
        answer = await client.request("DELETE", f"/v2/{row.repository}/blobs/uploads/{row.id}")
        if answer.status != 204:
            result.ledger.violation(f"an upload nobody knows of cannot be cancelled: {answer}")
        result.uploads_cancelled += 1


def kind_has_power_cut(kind: Kind) -> bool:
    return kind in {Kind.POWER, Kind.SILENCE}


def _after(moments: Sequence[int], expected: int) -> tuple[int, int]:
    first = moments[-1] if moments else 10
    return first, max(first, int(expected * 0.9))
