"""A process that uploads, is interrupted, is resumed behind a fence, and dies at each of its steps in turn.

Prints what it was promised, one promise a line: the name, the key and the number of bytes; and after each
death the step and the exit code.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

from tests.storage.faults import Mortal

from roadstead.storage.drivers.filesystem import FilesystemStore
from roadstead.storage.protocol import BlobWriter, new_key


def promised(what: str, writer: BlobWriter) -> None:
    print(what, writer.key, writer.size, flush=True)  # noqa: T201 - the parent reads it


async def main(root: str, at: int) -> None:
    store = FilesystemStore(Path(root), system=Mortal(at))
    writer = await store.create(new_key())
    await writer.write(b"a" * 1000)
    state = await writer.checkpoint()
    promised("durable", writer)
    await writer.write(b"forgotten")
    await writer.close()
    writer = await store.resume(writer.key, state, 1000, fence=False)
    await writer.write(b"a" * 1000)
    state = await writer.checkpoint()
    promised("durable", writer)
    await writer.close()
    old = writer.key
    writer = await store.resume(old, state, 2000, fence=True)
    promised("durable", writer)
    await store.delete(old)
    promised("deleted", writer)
    await writer.finish(b"a" * 1000)
    promised("committed", writer)
    await store.close()


def every_death(root: Path) -> None:
    """Die at the first step, then at the second, … until there was nothing left to die at."""
    for step in itertools.count():
        child = os.fork()  # Nothing runs in this process yet but this thread.
        if child == 0:
            asyncio.run(main(str(root / str(step)), step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("ended", step, os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the parent reads it
        if status == 0:
            return


every_death(Path(sys.argv[1]))
