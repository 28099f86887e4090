"""What a blob store promises.  `testing/blob_store_contract.py` holds every driver to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

# A driver's own notes about unfinished bytes, JSON, kept in the upload's row and opaque to all others.
StoreState = Mapping[str, object]
# Called with the same bytes in the same thread hop as the write: the running hash.
Also = Callable[[bytes], None]


def new_key() -> str:
    """A storage key that was never used before: 32 hexadecimal digits.  A key is written once, ever."""
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One entry of a store's listing.  `modified_at` is in milliseconds since 1970."""

    key: str
    size: int
    modified_at: int


class BlobWriter(Protocol):
    """Bytes on their way into a store, in order.  Belongs to one task at a time."""

    @property
    def key(self) -> str:
        """Where the bytes are going.  Not always the key resumed: a fenced resume moves to a new one."""
        ...

    @property
    def size(self) -> int:
        """Bytes accepted so far, from the first of the blob."""
        ...

    async def write(self, data: bytes, *, also: Also | None = None) -> None:
        """Append `data`, and call `also(data)` off the event loop.  Bounded memory, whatever came before.

        Both happen or neither: after a failure, or once a cancelled call has run its course, `size` and what
        `also` saw still agree.  The next call waits for one that was cancelled.
        """
        ...

    async def checkpoint(self) -> StoreState:
        """Make every byte accepted so far durable, and return what `resume` needs.

        A checkpoint that failed is not tried again: the writer is of no more use, an earlier checkpoint is.
        """
        ...

    async def commit(self) -> None:
        """The blob is whole: when this returns, its bytes survive a power cut.  Closes the writer."""
        ...

    async def finish(self, data: bytes, *, also: Also | None = None) -> None:
        """`write` and `commit` in one: for a small blob, or the last piece of a large one."""
        ...

    async def close(self) -> None:
        """Let go without committing.  What was checkpointed stays.  Harmless after `commit`."""
        ...


class BlobStore(Protocol):
    """A flat space of keys.  Every method may raise `Unavailable` or `InsufficientStorage`."""

    async def create(self, key: str) -> BlobWriter:
        """Begin a new blob under a key from `new_key()`.

        Costs nothing yet.  Raises `Conflict`, here or at the first write, when the key was written before.
        """
        ...

    async def resume(self, key: str, state: StoreState, size: int, *, fence: bool) -> BlobWriter:
        """Go on after the first `size` bytes; later ones are forgotten.

        With `fence`, another writer of `key` may still be alive somewhere: nothing it does from now on may
        reach the bytes of the writer returned, whose `key` is then a new one.  The first `size` bytes are
        durable under it; the caller moves its row to the new key (and to the state of the next checkpoint)
        and then deletes the old one, which is left as it was.

        Raises `BlobUploadUnknown` when the bytes are gone.  No bytes cannot be gone: with a `size` of 0 the
        key need not have been written.
        """
        ...

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset`, `length` of them or all the rest, in pieces of at most 1 MiB.

        Raises `BlobUnknown` when there is no such key, before the first piece; `Unavailable` rather than give
        fewer bytes than asked for; `RangeInvalid` for a negative offset or length.  Whoever stops early
        closes it: `contextlib.aclosing`.
        """
        ...

    async def size(self, key: str) -> int:
        """Bytes under `key`.  Raises `BlobUnknown`."""
        ...

    async def delete(self, key: str, state: StoreState | None = None) -> None:
        """Forget `key`, finished or not.  Deleting what is not there is no error."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The file that holds the bytes, where the operating system can send it by itself."""
        ...

    def keys(self) -> AsyncGenerator[StoredKey, None]:
        """Every key, finished or not, a page at a time; never the whole listing in memory."""
        ...

    async def probe(self) -> None:
        """Write, read and delete a small object, or raise what is wrong."""
        ...

    async def close(self) -> None: ...
