"""Several requests, workers and replicas at one upload, and what the bytes are afterwards."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.registry.faults import Pause
from tests.registry.workshop import NAME, Held, Worker, Workshop, body, then_gone
from tests.storage.faults import Gated

from roadstead.db.database import Database
from roadstead.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    RoadsteadError,
    SizeInvalid,
    TooLarge,
    Unauthenticated,
)
from roadstead.oci.digests import Digest
from roadstead.registry.calls import ClientGone
from roadstead.registry.uploads import intake
from roadstead.registry.uploads.service import OutOfOrder

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 8
# What a request is told when the upload became another's: the row is not what it was, or the bytes are gone.
OVERTAKEN = (BlobUploadInvalid, BlobUploadUnknown)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece is written when it comes."""
    monkeypatch.setattr(intake, "PIECE", 1)


@pytest.fixture
async def workshop(anyio_backend: str, database: Database, tmp_path: Path) -> AsyncIterator[Workshop]:
    opened = await Workshop.open(database, tmp_path / "store")
    yield opened
    await opened.close()


@pytest.fixture
def one(workshop: Workshop) -> Worker:
    return workshop.worker()


@pytest.fixture
def two(workshop: Workshop) -> Worker:
    return workshop.worker()


async def outcome(task: asyncio.Task[object]) -> type[BaseException] | None:
    """What the request raised, or None."""
    await asyncio.wait([task])
    error = task.exception()
    return None if error is None else type(error)


# ── two at once ─────────────────────────────────────────────────────────────────────────────────────────


async def test_of_two_patches_at_once_one_wins_and_the_other_is_told(
    workshop: Workshop, one: Worker, two: Worker
) -> None:
    upload = await one.begin()
    first, second = Held(), Held()
    tasks = [
        asyncio.create_task(one.patch(upload, aiter(first))),
        asyncio.create_task(two.patch(upload, aiter(second))),
    ]
    await first.send(DATA[:100])
    await second.send(DATA[:70])
    second.end()
    assert await outcome(tasks[1]) is None
    first.end()
    assert await outcome(tasks[0]) is BlobUploadInvalid
    assert (await one.status(upload)).size == 70
    await workshop.check()
    await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_of_two_later_patches_at_once_the_last_to_claim_wins(
    workshop: Workshop, one: Worker, two: Worker
) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA[:50])
    slow = Held()
    first = asyncio.create_task(one.patch(upload, aiter(slow)))
    await slow.send(b"wrong bytes that must not be seen")
    await two.patch(upload, DATA[50:100])
    await slow.send(b"more of them")
    slow.end()
    assert await outcome(first) in OVERTAKEN
    await workshop.check()
    await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_a_writer_that_was_fenced_off_can_go_on_without_harm(
    workshop: Workshop, one: Worker, two: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was thought dead, and writes on while and after another continues and finishes the upload."""
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", 0.0)
    upload = await one.begin()
    slow = Held()
    stale = asyncio.create_task(one.patch(upload, aiter(slow)))
    await slow.send(DATA[:64])
    assert (await two.status(upload)).size == 64
    await two.patch(upload, DATA[64:128])
    await slow.send(b"x" * 1000)
    await two.put(upload, DATA, DATA[128:])
    slow.end()
    assert await outcome(stale) in OVERTAKEN
    await workshop.check()


async def test_a_put_without_a_body_does_not_cut_off_what_a_patch_is_writing(
    workshop: Workshop, two: Worker
) -> None:
    """The PUT read the row before the PATCH claimed it, and acts after."""
    pause = Pause("resume")
    late = workshop.worker(pause)
    upload = await two.begin()
    await two.patch(upload, DATA[:100])
    put = asyncio.create_task(late.put(upload, DATA[:100]))
    await asyncio.wait([put, asyncio.create_task(pause.reached.wait())], return_when="FIRST_COMPLETED")
    slow = Held()
    patch = asyncio.create_task(two.patch(upload, aiter(slow)))
    await slow.send(DATA[100:200])
    pause.go.set()
    put_failed = await outcome(put)
    await slow.send(DATA[200:300])
    slow.end()
    patch_failed = await outcome(patch)
    assert {put_failed, patch_failed} == {None, BlobUploadInvalid}
    if put_failed:
        await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_a_claim_left_by_a_dead_worker_costs_a_copy_and_nothing_else(
    workshop: Workshop, two: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", 0.0)
    dead = workshop.worker()
    upload = await dead.begin()
    slow = Held()
    task = asyncio.create_task(dead.patch(upload, aiter(slow)))
    await slow.send(DATA[:500])
    left = (await two.status(upload)).claim
    assert left is not None
    before = (await two.status(upload)).storage_key
    await two.patch(upload, DATA[500:600])
    after = await two.status(upload)
    assert after.storage_key != before
    assert after.claim is None
    await two.put(upload, DATA, DATA[600:])
    slow.end()
    await outcome(task)
    await workshop.check()


async def test_of_two_puts_at_once_one_makes_the_blob(workshop: Workshop, one: Worker, two: Worker) -> None:
    for begun in (0, 100):
        data = DATA + bytes([begun])
        upload = await one.begin()
        if begun:
            await one.patch(upload, data[:begun])
        tasks = [asyncio.create_task(worker.put(upload, data, data[begun:])) for worker in (one, two)]
        outcomes = {await outcome(task) for task in tasks}
        assert None in outcomes
        assert outcomes <= {None, *OVERTAKEN}
        await workshop.check()


async def test_a_blob_finished_twice_at_once_keeps_one_key(
    workshop: Workshop, one: Worker, two: Worker
) -> None:
    uploads = [await one.begin(), await two.begin()]
    await asyncio.gather(one.put(uploads[0], DATA, DATA), two.put(uploads[1], DATA, DATA))
    assert await workshop.blob_count() == 1
    await workshop.check()


async def test_a_blob_finished_by_many_at_once_keeps_one_key(workshop: Workshop) -> None:
    workers = [workshop.worker() for _ in range(5)]
    uploads = [await worker.begin() for worker in workers]
    for worker, upload in zip(workers[:3], uploads[:3], strict=True):
        await worker.patch(upload, DATA[:1000])
    bodies = [DATA[1000:]] * 3 + [DATA] * 2
    await asyncio.gather(
        *(
            worker.put(upload, DATA, data)
            for worker, upload, data in zip(workers, uploads, bodies, strict=True)
        )
    )
    assert await workshop.blob_count() == 1
    await workshop.check()


async def test_an_upload_cancelled_while_it_is_written_leaves_nothing(
    workshop: Workshop, one: Worker, two: Worker
) -> None:
    for begun in (0, 100):
        upload = await one.begin()
        if begun:
            await one.patch(upload, DATA[:begun])
        slow = Held()
        patch = asyncio.create_task(one.patch(upload, aiter(slow)))
        await slow.send(DATA[begun : begun + 50])
        await two.cancel(upload)
        slow.end()
        assert await outcome(patch) in OVERTAKEN
        assert await workshop.stored_keys() == set()


async def test_an_upload_expired_while_it_is_written_leaves_nothing(
    workshop: Workshop, one: Worker, two: Worker
) -> None:
    upload = await one.begin()
    slow = Held()
    patch = asyncio.create_task(one.patch(upload, aiter(slow)))
    await slow.send(DATA[:50])
    workshop.now += 10**9
    assert await two.uploads.expire() == 1
    slow.end()
    assert await outcome(patch) is BlobUploadInvalid
    assert await workshop.stored_keys() == set()


async def test_bytes_still_on_their_way_to_the_disk_are_nobody_elses(workshop: Workshop, two: Worker) -> None:
    """A request is cancelled in the middle of a write.  Whoever comes next must not meet that write."""
    system = Gated("pwrite")
    slow = workshop.worker(system=system)
    upload = await two.begin()
    await two.patch(upload, DATA[:100])
    put = asyncio.create_task(slow.put(upload, DATA, b"x" * 500))
    await asyncio.to_thread(system.reached.wait, 10)
    put.cancel()
    await asyncio.wait([put], timeout=0.2)
    await two.patch(upload, DATA[100:200])
    system.gate.set()
    await asyncio.wait([put])
    await workshop.quiet()
    await workshop.finishes(upload, DATA)
    await workshop.check()


# ── one after the other ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("begun", [0, 100])
async def test_what_came_before_a_client_vanished_from_a_patch_is_kept(
    workshop: Workshop, one: Worker, begun: int
) -> None:
    upload = await one.begin()
    if begun:
        await one.patch(upload, DATA[:begun])
    with pytest.raises(ClientGone):
        await one.patch(upload, then_gone(DATA[begun : begun + 30], DATA[begun + 30 : begun + 40]))
    session = await one.status(upload)
    assert (session.size, session.claim) == (begun + 40, None)
    await workshop.check()
    await workshop.finishes(upload, DATA)
    await workshop.check()


@pytest.mark.parametrize("begun", [0, 100])
@pytest.mark.parametrize("often", [0.0, 1e9])
async def test_nothing_of_a_put_is_kept_when_its_client_vanishes(
    workshop: Workshop, one: Worker, monkeypatch: pytest.MonkeyPatch, begun: int, often: float
) -> None:
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", often)
    upload = await one.begin()
    if begun:
        await one.patch(upload, DATA[:begun])
    with pytest.raises(ClientGone):
        await one.put(upload, DATA, then_gone(DATA[begun : begun + 500], DATA[begun + 500 : -1]))
    session = await one.status(upload)
    assert (session.size, session.claim) == (begun, None)
    await workshop.check()
    await one.put(upload, DATA, DATA[begun:])
    await workshop.check()


@pytest.mark.parametrize("often", [0.0, 1e9])
async def test_nothing_of_a_chunk_with_a_range_is_kept_when_its_client_vanishes(
    workshop: Workshop, one: Worker, monkeypatch: pytest.MonkeyPatch, often: float
) -> None:
    """It said where the chunk ends, and will send it again."""
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", often)
    upload = await one.begin()
    with pytest.raises(ClientGone):
        await one.patch(upload, then_gone(DATA[:50], DATA[50:60]), (0, 99))
    await one.patch(upload, DATA[:100], (0, 99))
    with pytest.raises(SizeInvalid):
        await one.patch(upload, DATA[100:150], (100, 199))
    await one.patch(upload, DATA[100:200], (100, 199))
    await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_a_long_put_keeps_its_upload_from_being_abandoned(
    workshop: Workshop, one: Worker, two: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", 0.0)
    upload = await one.begin()
    slow = Held()
    put = asyncio.create_task(one.put(upload, DATA, aiter(slow)))
    await slow.send(DATA[:500])
    workshop.now += 20 * 3_600_000
    await slow.send(DATA[500:1000])
    workshop.now += 20 * 3_600_000
    assert await two.uploads.expire() == 0
    await slow.send(DATA[1000:])
    slow.end()
    assert await outcome(put) is None
    await workshop.check()


@pytest.mark.parametrize("parts", [1, 3])
async def test_a_wrong_digest_leaves_the_upload_for_the_right_one(
    workshop: Workshop, one: Worker, parts: int
) -> None:
    upload = await one.begin()
    step = len(DATA) // parts
    for part in range(parts - 1):
        await one.patch(upload, DATA[part * step : (part + 1) * step])
    rest = DATA[(parts - 1) * step :]
    with pytest.raises(DigestInvalid):
        await one.put(upload, b"something else", rest)
    with pytest.raises(DigestInvalid):
        await one.put(upload, b"something else")
    await workshop.check()
    await one.put(upload, DATA, rest)
    await workshop.check()


@pytest.mark.parametrize("parts", [1, 3])
async def test_sha512_may_be_named_at_the_end_only(workshop: Workshop, one: Worker, parts: int) -> None:
    upload = await one.begin()
    step = len(DATA) // parts
    for part in range(parts - 1):
        await one.patch(upload, DATA[part * step : (part + 1) * step])
    digest = Digest.of(DATA, "sha512")
    await one.uploads.finish(one.alice, NAME, upload, body(DATA[(parts - 1) * step :]), digest, chunk=None)
    await workshop.check()


async def test_a_wrong_sha512_named_at_the_end_leaves_the_upload_resumable(
    workshop: Workshop, one: Worker
) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA[:1000])
    with pytest.raises(DigestInvalid):
        await one.uploads.finish(
            one.alice, NAME, upload, body(DATA[1000:]), Digest.of(b"x", "sha512"), chunk=None
        )
    await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_a_blob_over_the_limit_leaves_nothing(workshop: Workshop) -> None:
    worker = workshop.worker(max_blob_bytes=1000)
    upload = await worker.begin()
    await worker.patch(upload, DATA[:1000])
    with pytest.raises(TooLarge):
        await worker.patch(upload, b"x")
    with pytest.raises(TooLarge):
        await worker.put(upload, DATA, DATA[1000:])
    assert (await worker.status(upload)).size == 1000
    await worker.put(upload, DATA[:1000])
    await workshop.check()


async def test_a_chunk_out_of_order_changes_nothing(workshop: Workshop, one: Worker) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA[:10], (0, 9))
    for wrong in ((0, 9), (11, 20), (9, 18)):
        with pytest.raises(OutOfOrder):
            await one.patch(upload, DATA[:10], wrong)
    await workshop.finishes(upload, DATA)


@pytest.mark.parametrize("state", ["", "garbage", "1.sha256.100.00.00", "pickle"])
async def test_a_hash_state_that_cannot_be_read_means_reading_the_bytes_again(
    workshop: Workshop, one: Worker, state: str
) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA[:100])
    await workshop.database.write(
        lambda conn: conn.exec_driver_sql(f"UPDATE uploads SET hash_state = '{state}'")
    )
    await workshop.finishes(upload, DATA)
    await workshop.check()


async def test_bytes_that_the_store_lost_end_the_upload_clearly(workshop: Workshop, one: Worker) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA[:100])
    for key in await workshop.stored_keys():
        await one.store.delete(key)
    with pytest.raises(RoadsteadError) as refused:
        await one.put(upload, DATA, DATA[100:])
    assert isinstance(refused.value, BlobUploadUnknown)


async def test_expiry_takes_the_abandoned_and_leaves_the_rest(workshop: Workshop, one: Worker) -> None:
    old = [await one.begin() for _ in range(5)]
    for upload in old[:3]:
        await one.patch(upload, DATA)
    workshop.now += 23 * 3_600_000
    young = await one.begin()
    await one.patch(young, DATA[:10])
    await one.patch(old[0], b"still here")
    workshop.now += 2 * 3_600_000
    assert await one.uploads.expire(batch=2) == 4
    assert {row.id for row in await workshop.upload_rows()} == {young, old[0]}
    await workshop.check()


async def test_the_uploads_of_a_deleted_account_go_with_their_bytes(workshop: Workshop, one: Worker) -> None:
    upload = await one.begin()
    await one.patch(upload, DATA)
    await workshop.database.write(lambda conn: conn.execute(text("DELETE FROM users")) and None)
    with pytest.raises(Unauthenticated):
        await one.status(upload)
    workshop.now += 25 * 3_600_000
    assert await one.uploads.expire() == 1
    assert await workshop.stored_keys() == set()


# ── bytes that were lost ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("left", [None, 7])
async def test_a_blob_whose_bytes_were_lost_is_healed_by_the_next_push(
    workshop: Workshop, one: Worker, two: Worker, left: int | None
) -> None:
    """After a restore of an older folder beside a newer database, a push brings back what the folder lacks."""
    await one.put(await one.begin(), DATA, DATA)
    [key] = await workshop.stored_keys()
    [path] = workshop.folder.rglob(key)
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left)
    await two.put(await two.begin(), DATA, DATA)
    await workshop.check()
    assert await workshop.blob_count() == 1
    assert key not in await workshop.stored_keys()


async def test_a_blob_whose_bytes_are_there_keeps_them(workshop: Workshop, one: Worker) -> None:
    await one.put(await one.begin(), DATA, DATA)
    before = await workshop.stored_keys()
    await one.put(await one.begin(), DATA, DATA)
    assert await workshop.stored_keys() == before
