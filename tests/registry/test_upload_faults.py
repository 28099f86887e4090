"""A request that fails or is cancelled at any one of its steps leaves nothing wrong behind.

Each step is a call to the database or to the store.  Every one of them, in every kind of request, in every kind
of trouble: afterwards every row has its bytes, and the client that comes back ends with its blob.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.registry.faults import KINDS, Kind, Trouble
from tests.registry.workshop import Worker, Workshop, then_gone

from roadstead.db.database import Database
from roadstead.errors import BlobUploadUnknown, DigestInvalid, RoadsteadError
from roadstead.oci.digests import Digest
from roadstead.registry.uploads import intake

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4
# What the upload holds before the request that runs into trouble.
BEGUN = 300
Step = Callable[[Worker, str], Awaitable[object]]


def pieces(data: bytes) -> AsyncIterator[bytes]:
    async def several() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 400):
            yield data[at : at + 400]

    return several()


async def first_patch(worker: Worker, upload: str) -> None:
    await worker.patch(upload, pieces(DATA[:900]))


async def second_patch(worker: Worker, upload: str) -> None:
    await worker.patch(upload, pieces(DATA[BEGUN:900]))


async def ranged_patch(worker: Worker, upload: str) -> None:
    await worker.patch(upload, pieces(DATA[BEGUN:900]), (BEGUN, 899))


async def torn_patch(worker: Worker, upload: str) -> None:
    with pytest.raises(RoadsteadError):
        await worker.patch(upload, then_gone(DATA[BEGUN:500], DATA[500:600]))


async def whole_put(worker: Worker, upload: str) -> None:
    await worker.put(upload, DATA, pieces(DATA))


async def last_put(worker: Worker, upload: str) -> None:
    await worker.put(upload, DATA, pieces(DATA[BEGUN:]))


async def wrong_put(worker: Worker, upload: str) -> None:
    with pytest.raises(DigestInvalid):
        await worker.put(upload, b"other", pieces(DATA[BEGUN:]))


async def second_of_two_puts(worker: Worker, upload: str) -> None:
    """Somebody else has pushed the same blob."""
    await worker.put(upload, DATA, pieces(DATA[BEGUN:]))


async def cancel(worker: Worker, upload: str) -> None:
    await worker.cancel(upload)


STEPS: dict[str, tuple[Step, int]] = {
    "first patch": (first_patch, 0),
    "second patch": (second_patch, BEGUN),
    "patch with a range": (ranged_patch, BEGUN),
    "torn patch": (torn_patch, BEGUN),
    "whole put": (whole_put, 0),
    "last put": (last_put, BEGUN),
    "put with a wrong digest": (wrong_put, BEGUN),
    "put of a blob that is there": (second_of_two_puts, BEGUN),
    "cancel": (cancel, BEGUN),
}
# Where the databases differ: what a commit is, and what a cancelled one.
BRIEFLY = {"second patch", "put of a blob that is there"}


@pytest.fixture
async def workshop(
    anyio_backend: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Workshop]:
    monkeypatch.setattr(intake, "PIECE", 1)
    opened = await Workshop.open(database, tmp_path / "store")
    yield opened
    await opened.close()


async def attempt(workshop: Workshop, step: str, trouble: Trouble, *, claimed: bool) -> str:
    """Begin an upload, run into trouble with it, and let everything come to rest.  Returns the upload."""
    action, begun = STEPS[step]
    helper = workshop.worker()
    if step == "put of a blob that is there":
        await helper.put(await helper.begin(), DATA, DATA)
    upload = await helper.begin()
    if begun:
        await helper.patch(upload, DATA[:begun])
    if claimed:
        await workshop.database.write(
            lambda conn: conn.exec_driver_sql("UPDATE uploads SET claim = 'left by the dead'")
        )
    worker = workshop.worker(trouble)

    async def act() -> object:
        trouble.victim = asyncio.current_task()
        return await action(worker, upload)

    task = asyncio.create_task(act())
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        assert isinstance(error, RoadsteadError), (step, trouble.kind, trouble.at, trouble.calls, error)
    await workshop.close()
    return upload


async def clean_up(workshop: Workshop) -> None:
    tables = ("uploads", "repository_blobs", "project_blobs", "blobs", "quota_changes")
    statements = [*(f"DELETE FROM {table}" for table in tables), "UPDATE quotas SET charged = 0"]
    await workshop.database.write(lambda conn: [conn.exec_driver_sql(text) for text in statements])
    helper = workshop.worker()
    for key in await workshop.stored_keys():
        await helper.store.delete(key)


@pytest.mark.parametrize(
    ("claimed", "often"), [(False, 0.0), (True, 1e9)], ids=["with checkpoints", "left by the dead"]
)
@pytest.mark.parametrize("kind", KINDS)
async def test_trouble_at_any_step_of_an_upload_loses_nothing_and_invents_nothing(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, kind: Kind, often: float, claimed: bool
) -> None:
    monkeypatch.setattr(intake, "CHECKPOINT_EVERY", often)
    thorough = workshop.database.dialect == "sqlite" or "ROADSTEAD_TEST_EXAMPLES" in os.environ
    for step, (_, begun) in STEPS.items():
        if not thorough and step not in BRIEFLY:
            continue
        if claimed and not begun:
            continue
        steps = await count_steps(workshop, step, claimed=claimed)
        for at in range(steps):
            trouble = Trouble(kind, at)
            upload = await attempt(workshop, step, trouble, claimed=claimed)
            try:
                await workshop.check(leftovers=trouble.may_leave_bytes)
                await comes_to_a_good_end(workshop, upload)
                await workshop.check(leftovers=trouble.may_leave_bytes)
            except BaseException as error:
                error.add_note(f"{step}: {kind} call {at}, {trouble.hit}, of {trouble.calls}")
                raise
            await clean_up(workshop)


async def count_steps(workshop: Workshop, step: str, *, claimed: bool) -> int:
    untroubled = Trouble()
    await attempt(workshop, step, untroubled, claimed=claimed)
    await workshop.check()
    await clean_up(workshop)
    return len(untroubled.calls)


async def comes_to_a_good_end(workshop: Workshop, upload: str) -> None:
    """The upload goes on from where it stands; or it is gone, and then as a whole."""
    helper = workshop.worker()
    try:
        stands = (await helper.status(upload)).size
    except BlobUploadUnknown:
        return
    data = DATA[:stands] + b"the rest"
    await helper.put(upload, data, b"the rest")
    digest = str(Digest.of(data))
    found = await workshop.database.read(
        lambda conn: conn.exec_driver_sql(f"SELECT size FROM blobs WHERE digest = '{digest}'").scalar_one()
    )
    assert found == len(data)
