"""Looking into manifests and configs, once, so that lists need not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing, suppress

from sqlalchemy import Connection, RowMapping

from roadstead.db.database import Database
from roadstead.errors import RoadsteadError
from roadstead.events.outbox import HappenedEvent
from roadstead.oci.documents import LARGEST_INTEGER
from roadstead.oci.media_types import INDEXES
from roadstead.registry.artifacts import queries
from roadstead.registry.artifacts.details import (
    MOST_CONFIG_BYTES,
    Document,
    Outline,
    attributes,
    outline,
)
from roadstead.registry.manifests.service import PUSHED
from roadstead.registry.repositories import repository_id
from roadstead.storage.protocol import BlobStore

# In hand at once, of manifests and of configs: the rest is looked into another time.
MOST_BYTES = 6 * 1024 * 1024
AT_ONCE = 1
# Smaller configs are read where they are: a thread would cost more.
READ_INLINE = 8 * 1024
# Indexes of indexes.
_DEEPEST = 3
_BATCH = 50

# A manifest's id, its details, and its size with all that it names.
Described = tuple[int, Document, int]


class Describer:
    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def describe(self, manifests: Sequence[tuple[int, int]]) -> Mapping[int, tuple[Document, int]]:
        """Details and sizes of these, `(id, bytes)`, written down for the next who asks.

        Those that are too much at once are left out; so are those whose config cannot be read just now.
        """
        chosen = _fitting(manifests)
        if not chosen:
            return {}
        async with self._turns:
            found = await self._described(chosen)
        await self._keep(found)
        return {manifest: (details, size) for manifest, details, size in found}

    async def _keep(self, found: Sequence[Described]) -> None:
        # What cannot be written down now is looked into again the next time.
        with suppress(RoadsteadError):
            await self._database.write(queries.set_details, found)

    async def _described(self, manifests: Sequence[int], *, depth: int = 0) -> list[Described]:
        rows = await self._database.read(queries.undescribed, manifests)
        indexes = [row["id"] for row in rows if row["media_type"] in INDEXES and not row["total_size"]]
        if indexes and depth < _DEEPEST:
            # From before sizes were kept: the children first.
            children = await self._database.read(queries.unsized_children, indexes)
            await self._keep(await self._described(_fitting(children), depth=depth + 1))
        outlines = await asyncio.to_thread(_outlines, rows)
        wanted = {each.config for each in outlines.values() if each.config is not None}
        stored, sizes = await self._database.read(
            _whereabouts, {row["repository_id"] for row in rows}, wanted, outlines.keys()
        )
        found, room = [], MOST_BYTES
        # Images of one build often have one config.
        known: dict[str, Document] = {}
        for row in rows:
            drawn = outlines[row["id"]]
            place = stored.get((row["repository_id"], drawn.config or ""))
            if place is not None and place[0] <= MOST_CONFIG_BYTES:
                told = known.get(f"{drawn.details['media_type']} {place[1]}")
                if told is None:
                    room -= place[0]
                    config = await self._read(place[1], place[0]) if room >= 0 else None
                    if config is None:
                        continue
                    told = await _attributes(config, drawn.details["media_type"])
                    known[f"{drawn.details['media_type']} {place[1]}"] = told
                drawn.details["extra_attrs"] = told
            found.append((row["id"], drawn.details, _total(row, drawn, sizes)))
        return found

    async def _read(self, key: str, size: int) -> bytes | None:
        try:
            return await read_blob(self._store, key, size)
        except RoadsteadError:
            return None


async def _attributes(config: bytes, media_type: str) -> Document:
    if len(config) <= READ_INLINE:
        return attributes(config, media_type)
    return await asyncio.to_thread(attributes, config, media_type)


class DescribePushed:
    """Looks into what was pushed.  Again, it finds nothing left to do."""

    name = "describe-artifacts"
    kinds = frozenset({PUSHED})

    def __init__(self, database: Database, describer: Describer) -> None:
        self._database = database
        self._describer = describer

    async def handle(self, events: Sequence[HappenedEvent]) -> None:
        pushed = {
            (event.project_id, str(event.payload["repository"]), str(event.payload["digest"])): None
            for event in events
            if event.project_id is not None
        }
        found = await self._database.read(_undescribed, list(pushed))
        # In few transactions, whoever pushes in crowds.
        for first in range(0, len(found), _BATCH):
            await self._describer.describe(found[first : first + _BATCH])


async def read_blob(store: BlobStore, key: str, size: int) -> bytes:
    """A small blob, whole.  Raises what the store raises."""
    async with aclosing(store.read(key, length=size)) as pieces:
        return b"".join([piece async for piece in pieces])


def _undescribed(conn: Connection, pushed: Sequence[tuple[int, str, str]]) -> list[tuple[int, int]]:
    """`(id, bytes)` of those that are there, and that nobody has looked into."""
    found = []
    for project_id, path, digest in pushed:
        repository = repository_id(conn, project_id, path)
        row = None if repository is None else queries.undescribed_id(conn, repository, digest)
        if row is not None:
            found.append(row)
    return found


def _fitting(manifests: Sequence[tuple[int, int]]) -> list[int]:
    chosen, room = [], MOST_BYTES
    for manifest, size in manifests:
        room -= size
        if room >= 0:
            chosen.append(manifest)
    return chosen


def _outlines(rows: Sequence[RowMapping]) -> dict[int, Outline]:
    return {row["id"]: outline(row["payload"], row["media_type"]) for row in rows}


def _whereabouts(
    conn: Connection, repositories: Collection[int], digests: Collection[str], manifests: Collection[int]
) -> tuple[Mapping[tuple[int, str], tuple[int, str]], Mapping[int, int]]:
    stored = queries.stored_blobs(conn, list(repositories), list(digests))
    return stored, queries.child_sizes(conn, list(manifests))


def _total(row: RowMapping, drawn: Outline, children: Mapping[int, int]) -> int:
    known: int = row["total_size"]
    if known:
        return known
    return min(drawn.size + children.get(row["id"], 0), LARGEST_INTEGER)
