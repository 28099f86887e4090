"""What the tests of a blob store do, in verbs."""

from __future__ import annotations

from collections.abc import Callable

from roadstead.storage.protocol import BlobStore, StoredKey, StoreState, new_key

MIB = 1024 * 1024
OpenStore = Callable[[], BlobStore]

HOSTILE_KEYS = [
    "",
    ".",
    "..",
    "../../../etc/passwd",
    "/etc/passwd",
    "ab/../../ab",
    "a" * 31,
    "a" * 33,
    "A" * 32,
    "g" * 32,
    "a" * 31 + "\n",
    "a" * 32 + "\n",
    "a" * 31 + "\0",
    "a" * 31 + "\u0661",
    "%2e%2e%2f" + "a" * 23,
    "a" * 300,
]


async def put(store: BlobStore, data: bytes, *, key: str | None = None) -> str:
    """Store `data` whole, and return its key."""
    writer = await store.create(new_key() if key is None else key)
    await writer.finish(data)
    return writer.key


async def checkpointed(store: BlobStore, data: bytes) -> tuple[str, StoreState]:
    """Store `data`, unfinished, the way an upload's request does that ends well."""
    writer = await store.create(new_key())
    await writer.write(data)
    state = await writer.checkpoint()
    await writer.close()
    return writer.key, state


async def fetch(store: BlobStore, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, offset=offset, length=length)])


async def listing(store: BlobStore) -> list[StoredKey]:
    everything = store.keys()
    return [stored async for stored in everything]


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes that differ from one place to the next, so that none can be swapped unseen."""
    block = b"".join((number * 2_654_435_761 + seed).to_bytes(8, "big") for number in range(8192))
    return (block * (length // len(block) + 1))[:length]
