"""What is particular to files: the tree, its modes, links, order of fsync, and threads that lost their task."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from tests.storage.descriptors import open_below
from tests.storage.faults import Gated, Hesitant, Recording, Refusing

from roadstead.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    InsufficientStorage,
    RoadsteadError,
    Unavailable,
)
from roadstead.storage.drivers.filesystem import FilesystemStore, reading
from roadstead.storage.protocol import new_key
from roadstead.testing.blob_store_contract import checkpointed, fetch, listing, pattern, put

pytestmark = pytest.mark.anyio

KEY = "ab" + "0" * 30


def everything_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


# ── the tree ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_tree_is_the_one_drawn(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, b"x", key=KEY)
    await store.probe()
    tree = [entry for entry in everything_below(tmp_path) if KEY in entry or len(Path(entry).parts) != 2]
    assert tree == ["blobs", f"blobs/ab/{KEY}"]
    assert store.local_path(KEY) == tmp_path / "blobs" / "ab" / KEY


async def test_only_the_owner_may_look(tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    store = FilesystemStore(root)
    await put(store, b"x", key=KEY)
    for path, mode in ((root, 0o700), (root / "blobs" / "ab", 0o700), (root / "blobs" / "ab" / KEY, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


async def test_opening_and_creating_touch_no_disk(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "root")
    writer = await store.create(new_key())
    await writer.close()
    assert await listing(store) == []
    assert everything_below(tmp_path) == []


async def test_a_hostile_key_touches_no_disk(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "root", system=Refusing(open=errno.EIO))
    with pytest.raises(RoadsteadError) as refusal:
        await store.create("../" + "a" * 29)
    assert not isinstance(refusal.value, Unavailable)
    assert refusal.value.remedy


async def test_what_is_not_ours_is_not_listed(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, b"x", key=KEY)
    (tmp_path / "docker").mkdir()
    (tmp_path / "blobs" / "lost+found").mkdir()
    (tmp_path / "blobs" / "ab" / "notes.txt").write_text("x")
    (tmp_path / "blobs" / "ab" / ("cd" + "0" * 30)).mkdir()
    (tmp_path / "blobs" / "ab" / ("ce" + "0" * 30)).symlink_to("/etc/passwd")
    assert [stored.key for stored in await listing(store)] == [KEY]


async def test_a_listing_comes_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_ENTRIES", 3)
    store = FilesystemStore(tmp_path)
    keys = {f"ab{number:030x}" for number in range(9)}
    for key in keys:
        await put(store, b"x", key=key)
    assert {stored.key for stored in await listing(store)} == keys


async def test_a_folder_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, b"x", key=KEY)
    await store.delete(KEY)
    (tmp_path / "blobs" / "ab").rmdir()
    await put(store, b"y", key=KEY)
    assert await fetch(store, KEY) == b"y"


@pytest.mark.parametrize("linked", ["shard", "file"])
async def test_a_link_in_the_tree_is_refused(tmp_path: Path, linked: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / KEY).write_bytes(b"secret")
    shard = tmp_path / "root" / "blobs" / "ab"
    shard.parent.mkdir(parents=True)
    if linked == "shard":
        shard.symlink_to(elsewhere)
    else:
        shard.mkdir()
        (shard / KEY).symlink_to(elsewhere / KEY)
    store = FilesystemStore(tmp_path / "root")
    with pytest.raises(RoadsteadError):
        await fetch(store, KEY)
    with pytest.raises(RoadsteadError):
        await store.size(KEY)
    with pytest.raises(RoadsteadError):
        await put(store, b"overwritten", key=KEY)
    with pytest.raises(RoadsteadError):
        await store.resume(KEY, {}, 3, fence=False)
    with pytest.raises(RoadsteadError):
        await store.resume(KEY, {}, 3, fence=True)
    with suppress(RoadsteadError):
        await store.delete(KEY)
    assert (elsewhere / KEY).read_bytes() == b"secret"


# ── what reaches the disk, and when ─────────────────────────────────────────────────────────────────────


async def test_the_file_is_synced_before_its_name_and_the_folders_after(tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    system = Recording(root)
    store = FilesystemStore(root, system=system)
    await put(store, b"x", key=KEY)
    assert system.calls[:5] == [
        ("write", f"blobs/ab/{KEY}"),
        ("fsync", f"blobs/ab/{KEY}"),
        ("fsync", "blobs/ab"),
        ("fsync", "blobs"),
        ("fsync", "."),
    ]
    # The root and the folder above it were new, too.
    assert {("fsync", ".."), ("fsync", "../..")} <= set(system.calls[5:])


async def test_folders_known_to_be_durable_are_not_synced_again(tmp_path: Path) -> None:
    system = Recording(tmp_path)
    store = FilesystemStore(tmp_path, system=system)
    await put(store, b"x", key=KEY)
    system.calls.clear()
    second = "ab" + "1" * 30
    await put(store, b"x", key=second)
    assert system.calls == [
        ("write", f"blobs/ab/{second}"),
        ("fsync", f"blobs/ab/{second}"),
        ("fsync", "blobs/ab"),
    ]


async def test_each_process_sees_to_the_folders_itself(tmp_path: Path) -> None:
    await put(FilesystemStore(tmp_path), b"x", key=KEY)
    system = Recording(tmp_path)
    await put(FilesystemStore(tmp_path, system=system), b"x", key="ab" + "1" * 30)
    assert ("fsync", "blobs") in system.calls


async def test_a_checkpoint_is_durable_down_to_its_name(tmp_path: Path) -> None:
    system = Recording(tmp_path)
    writer = await FilesystemStore(tmp_path, system=system).create(KEY)
    await writer.write(b"x")
    await writer.checkpoint()
    await writer.close()
    assert system.calls[1:3] == [("fsync", f"blobs/ab/{KEY}"), ("fsync", "blobs/ab")]


async def test_a_fenced_copy_is_durable_before_anyone_hears_of_it(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    key, state = await checkpointed(store, b"x")
    system = Recording(tmp_path)
    writer = await FilesystemStore(tmp_path, system=system).resume(key, state, 1, fence=True)
    assert ("fsync", f"blobs/{writer.key[:2]}/{writer.key}") in system.calls
    await writer.close()


async def test_what_is_durable_already_is_not_synced_again(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    key, state = await checkpointed(store, b"whole")
    system = Recording(tmp_path)
    writer = await FilesystemStore(tmp_path, system=system).resume(key, state, 5, fence=False)
    await writer.commit()
    assert system.calls == []


async def test_a_failed_fsync_is_never_tried_again(tmp_path: Path) -> None:
    system = Refusing()
    store = FilesystemStore(tmp_path, system=system)
    writer = await store.create(KEY)
    await writer.write(b"safe")
    state = await writer.checkpoint()
    await writer.write(b" lost")
    system.refusals["fsync"] = errno.EIO
    with pytest.raises(Unavailable):
        await writer.commit()
    del system.refusals["fsync"]
    # The kernel has forgotten by now that the pages never reached the disk.
    with pytest.raises(Unavailable):
        await writer.commit()
    with pytest.raises(Unavailable):
        await writer.write(b" more")
    await writer.close()
    resumed = await store.resume(KEY, state, 4, fence=False)
    await resumed.finish(b" and sound")
    assert await fetch(store, KEY) == b"safe and sound"


async def test_an_upload_deleted_under_its_writer_is_not_committed(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    writer = await store.create(KEY)
    await writer.write(b"x")
    await store.delete(KEY)
    with pytest.raises(BlobUploadUnknown):
        await writer.commit()
    await writer.close()


async def test_short_writes_and_copies_are_continued(tmp_path: Path) -> None:
    data = pattern(10_500)
    store = FilesystemStore(tmp_path, system=Hesitant())
    key, state = await checkpointed(store, data)
    writer = await store.resume(key, state, len(data), fence=True)
    await writer.finish(data)
    assert await fetch(store, writer.key) == data + data


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
async def test_a_filesystem_that_cannot_copy_is_copied_by_hand(tmp_path: Path, code: int) -> None:
    data = pattern(3_000_000)
    store = FilesystemStore(tmp_path, system=Refusing(copy_range=code))
    key, state = await checkpointed(store, data)
    writer = await store.resume(key, state, len(data), fence=True)
    await writer.finish(b"!")
    assert await fetch(store, writer.key) == data + b"!"


# ── what the operating system refuses ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.ENOSPC, InsufficientStorage),
        (errno.EDQUOT, InsufficientStorage),
        (errno.EFBIG, InsufficientStorage),
        (errno.EROFS, Unavailable),
        (errno.EACCES, Unavailable),
        (errno.EPERM, Unavailable),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.EMFILE, Unavailable),
        (errno.ETIMEDOUT, Unavailable),
    ],
)
async def test_a_refused_write_says_what_to_do(
    tmp_path: Path, code: int, expected: type[RoadsteadError]
) -> None:
    system = Refusing()
    store = FilesystemStore(tmp_path / "secret-name", system=system)
    writer = await store.create(KEY)
    await writer.write(b"good")
    system.refusals["pwrite"] = code
    with pytest.raises(expected) as refusal:
        await writer.write(b" half of this is written")
    assert refusal.value.remedy
    assert refusal.value.facts["errno"] == errno.errorcode[code]
    assert "secret-name" not in f"{refusal.value} {refusal.value.facts}"
    # Half of it is in the file, and none of it in the blob.
    system.refusals.clear()
    assert writer.size == 4
    await writer.finish(b"!")
    assert await fetch(store, KEY) == b"good!"


@pytest.mark.parametrize("call", ["open", "pread", "unlink"])
async def test_every_call_is_explained(tmp_path: Path, call: str) -> None:
    system = Refusing()
    store = FilesystemStore(tmp_path, system=system)
    await put(store, b"x", key=KEY)
    system.refusals[call] = errno.EIO
    with pytest.raises(Unavailable):
        await (store.delete(KEY) if call == "unlink" else fetch(store, KEY))


async def test_no_file_stays_open_after_refusals(tmp_path: Path) -> None:
    for call in ("open", "pwrite", "fsync", "copy_range", "pread"):
        root = tmp_path / call
        key, state = await checkpointed(FilesystemStore(root), pattern(100))
        store = FilesystemStore(root, system=Refusing(**{call: errno.EIO, "copy_range": errno.EIO}))
        for fence in (False, True):
            with suppress(RoadsteadError):
                writer = await store.resume(key, state, 100, fence=fence)
                try:
                    await writer.finish(b"x")
                finally:
                    await writer.close()
        with suppress(RoadsteadError):
            await fetch(store, key)
        await store.close()
    assert open_below(tmp_path) == []


async def test_a_fence_that_failed_leaves_no_copy(tmp_path: Path) -> None:
    key, state = await checkpointed(FilesystemStore(tmp_path), b"x")
    store = FilesystemStore(tmp_path, system=Refusing(fsync=errno.EIO))
    with pytest.raises(Unavailable):
        await store.resume(key, state, 1, fence=True)
    await store.close()
    assert [stored.key for stored in await listing(FilesystemStore(tmp_path))] == [key]


async def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, pattern(3_000_000), key=KEY)
    async with aclosing(store.read(KEY)) as pieces:
        await anext(pieces)
        os.truncate(tmp_path / "blobs" / "ab" / KEY, 10)
        with pytest.raises(Unavailable):
            await anext(pieces)


async def test_a_probe_wants_room(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, reserve=1 << 62)
    assert await store.free_bytes() > 0
    with pytest.raises(InsufficientStorage) as refusal:
        await store.probe()
    assert refusal.value.remedy


@pytest.mark.parametrize("call", ["open", "pwrite", "fsync", "pread"])
async def test_a_probe_says_what_is_wrong(tmp_path: Path, call: str) -> None:
    system = Refusing(**{call: errno.EIO})
    store = FilesystemStore(tmp_path, system=system)
    with pytest.raises(Unavailable):
        await store.probe()
    system.refusals.clear()
    assert await listing(store) == []


# ── threads that lost their task ────────────────────────────────────────────────────────────────────────


async def test_close_waits_for_the_write_that_lost_its_task(tmp_path: Path) -> None:
    system = Gated("pwrite")
    store = FilesystemStore(tmp_path, system=system)
    writer = await store.create(KEY)
    task = asyncio.ensure_future(writer.write(b"late"))
    await asyncio.to_thread(system.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    closing = asyncio.ensure_future(writer.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    assert len(open_below(tmp_path)) == 1
    system.gate.set()
    await closing
    assert open_below(tmp_path) == []


async def test_a_close_that_is_cancelled_closes_all_the_same(tmp_path: Path) -> None:
    system = Gated("pwrite")
    store = FilesystemStore(tmp_path, system=system)
    writer = await store.create(KEY)
    tasks = [asyncio.ensure_future(writer.write(b"late"))]
    await asyncio.to_thread(system.reached.wait)
    tasks.append(asyncio.ensure_future(writer.close()))
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    system.gate.set()
    await store.close()
    assert open_below(tmp_path) == []


async def test_a_cancelled_reader_closes_its_file_when_the_thread_is_done(tmp_path: Path) -> None:
    await put(FilesystemStore(tmp_path), b"x", key=KEY)
    system = Gated("pread")
    store = FilesystemStore(tmp_path, system=system)
    task = asyncio.ensure_future(fetch(store, KEY))
    await asyncio.to_thread(system.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The thread reads still: closing under it could give its descriptor to another file.
    assert len(open_below(tmp_path)) == 1
    system.gate.set()
    await store.close()
    assert open_below(tmp_path) == []


async def test_a_cancelled_resume_leaves_no_file_open(tmp_path: Path) -> None:
    key, state = await checkpointed(FilesystemStore(tmp_path), b"x")
    system = Gated("fsync")
    store = FilesystemStore(tmp_path, system=system)
    task = asyncio.ensure_future(store.resume(key, state, 1, fence=True))
    await asyncio.to_thread(system.reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    system.gate.set()
    await store.close()
    assert open_below(tmp_path) == []
    assert [stored.key for stored in await listing(FilesystemStore(tmp_path))] == [key]


async def test_a_slow_fsync_holds_up_no_read(tmp_path: Path) -> None:
    await put(FilesystemStore(tmp_path), b"x", key=KEY)
    system = Gated("fsync")
    store = FilesystemStore(tmp_path, threads=1, system=system)
    task = asyncio.ensure_future(put(store, b"slow"))
    await asyncio.to_thread(system.reached.wait)
    assert await fetch(store, KEY) == b"x"
    system.gate.set()
    await task


async def test_reading_to_the_end_closes_without_being_asked(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, b"x", key=KEY)
    pieces = store.read(KEY)
    await anext(pieces)
    assert open_below(tmp_path) == []
    await pieces.aclose()


async def test_a_missing_file_in_a_known_folder_is_unknown(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    await put(store, b"x", key=KEY)
    with pytest.raises(BlobUnknown):
        await fetch(store, "ab" + "1" * 30)
