"""What can be read out of an artifact: an image's history, a chart's values, a model's files.

The bytes were pushed by strangers.  They are read with strict limits, off the event loop, and nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.errors import NotFound, RequestInvalid, RoadsteadError
from roadstead.identity.principals import Principal
from roadstead.oci.descriptors import Descriptor
from roadstead.oci.documents import strict_json
from roadstead.oci.manifests import Manifest, parse_manifest
from roadstead.registry.artifacts import kinds, queries
from roadstead.registry.artifacts.archives import MOST_COMPRESSED, MOST_MEMBER, ArchiveRefused, member
from roadstead.registry.artifacts.describing import read_blob
from roadstead.registry.artifacts.details import MOST_CONFIG_BYTES, history
from roadstead.registry.artifacts.service import Reference, existing, place_of
from roadstead.registry.artifacts.views import Place
from roadstead.registry.directory.service import RepositoryDirectory
from roadstead.storage.protocol import BlobStore

Addition = Literal["build_history", "values.yaml", "readme.md", "dependencies", "sbom", "license", "files"]
# Several such readings at once would cost much memory.
AT_ONCE = 2
MOST_FILES = 1000

JSON_TYPE = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_MARKDOWN = "text/markdown; charset=utf-8"
_FILE_PATH = "org.cncf.model.filepath"


class NoAddition(NotFound):
    """The artifact may have such a thing, and this one has none."""

    def __init__(self, addition: str) -> None:
        super().__init__(f"the artifact has no {addition}", remedy="look into its addition_links")


@dataclass(frozen=True, slots=True)
class Content:
    type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Subject:
    kind: str
    manifest: Manifest
    # `(size, storage key)` of what the manifest names, by digest.
    stored: Mapping[str, tuple[int, str]]


class Additions:
    def __init__(self, database: Database, store: BlobStore, repositories: RepositoryDirectory) -> None:
        self._database = database
        self._store = store
        self._repositories = repositories
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(
        self, principal: Principal, project: str, path: str, reference: Reference, addition: Addition
    ) -> Content:
        """Raises `NoAddition`, `ArchiveRefused`, and `RequestInvalid` where this kind of artifact has none such."""
        found = await self._repositories.find(principal, project, path, "artifact-addition:read")
        place = place_of(found)
        async with self._turns:
            subject = await self._database.read(_subject, place, reference, addition)
            if addition == "sbom":
                return await self._sbom(subject)
            if addition not in _OF_KIND.get(subject.kind, ()):
                raise RequestInvalid(
                    f"addition {addition} isn't supported for {subject.kind}",
                    remedy="look into the artifact's addition_links",
                )
            if subject.kind == kinds.CHART:
                return await self._of_chart(subject, addition)
            if subject.kind == kinds.MODEL:
                return await self._of_model(subject, addition)
            config = await self._config(subject)
            return _json(await asyncio.to_thread(history, config))

    async def _of_chart(self, subject: _Subject, addition: Addition) -> Content:
        if addition == "dependencies":
            config = await self._config(subject)
            return _json(await asyncio.to_thread(_dependencies, config))
        layer = next(iter(subject.manifest.layers), None)
        wanted = "values.yaml" if addition == "values.yaml" else "readme.md"

        def is_wanted(name: str) -> bool:
            # The chart's own, not one of a chart within it.
            parts = name.removeprefix("./").split("/")
            return len(parts) == 2 and parts[1].lower() == wanted

        body = None if layer is None else await self._member(subject, layer, is_wanted)
        if body is None:
            raise NoAddition(addition)
        return Content(_MARKDOWN if wanted == "readme.md" else _TEXT, body)

    async def _of_model(self, subject: _Subject, addition: Addition) -> Content:
        layers = subject.manifest.layers
        if addition == "files":
            return _json([_file(layer) for layer in layers[:MOST_FILES] if _FILE_PATH in layer.annotations])
        stem = "readme" if addition == "readme.md" else "license"
        for layer in layers:
            name = layer.annotations.get(_FILE_PATH, "")
            if "/" in name or name.lower().partition(".")[0] != stem:
                continue
            if not layer.media_type.endswith((".tar", "+gzip")):
                return Content(_TEXT, await self._blob(subject, layer, MOST_MEMBER))
            body = await self._member(subject, layer, lambda _: True)
            if body is not None:
                return Content(_MARKDOWN if stem == "readme" else _TEXT, body)
        raise NoAddition(addition)

    async def _sbom(self, subject: _Subject) -> Content:
        layer = next(iter(subject.manifest.layers), None)
        if layer is None:
            raise NoAddition("sbom")
        return Content(JSON_TYPE, await self._blob(subject, layer, MOST_CONFIG_BYTES))

    async def _config(self, subject: _Subject) -> bytes:
        config = subject.manifest.config
        if config is None:
            raise NoAddition("config")
        return await self._blob(subject, config, MOST_CONFIG_BYTES)

    async def _member(
        self, subject: _Subject, layer: Descriptor, wanted: Callable[[str], bool]
    ) -> bytes | None:
        archive = await self._blob(subject, layer, MOST_COMPRESSED)
        gzip = archive.startswith(b"\x1f\x8b")
        return await asyncio.to_thread(member, archive, wanted, gzip=gzip)

    async def _blob(self, subject: _Subject, descriptor: Descriptor, most: int) -> bytes:
        """What is kept, not what the manifest says of it."""
        stored = subject.stored.get(str(descriptor.digest))
        if stored is None:
            raise NoAddition("such content here")
        if stored[0] > most:
            raise ArchiveRefused(f"it has more than {most} bytes")
        return await read_blob(self._store, stored[1], stored[0])


_OF_KIND: Mapping[str, Sequence[Addition]] = {
    kinds.IMAGE: ["build_history"],
    kinds.CHART: ["values.yaml", "readme.md", "dependencies"],
    kinds.MODEL: ["readme.md", "license", "files"],
}


def _subject(conn: Connection, place: Place, reference: Reference, addition: Addition) -> _Subject:
    row = existing(conn, place, reference)
    if addition == "sbom":
        sboms = queries.accessories_of(conn, [row["id"]])
        last = [each for each in sboms if kinds.accessory_type(each["artifact_type"]) == "sbom.harbor"]
        if not last:
            raise NoAddition("sbom")
        row = last[-1]
    full = queries.undescribed(conn, [row["id"]])
    if not full:
        raise NoAddition(addition)
    kind = kinds.type_of(full[0]["media_type"], full[0]["artifact_type"])
    try:
        manifest = parse_manifest(full[0]["payload"], full[0]["media_type"])
    except RoadsteadError:
        raise NoAddition(addition) from None
    if addition == "build_history" and manifest.config is None:
        raise RequestInvalid(
            f"addition {addition} isn't supported for an index", remedy="ask for one of its images"
        )
    named = [str(each.digest) for each in manifest.blobs()][: MOST_FILES + 1]
    stored = queries.stored_blobs(conn, [place.repository_id], named)
    return _Subject(kind, manifest, {digest: where for (_, digest), where in stored.items()})


def _json(value: object) -> Content:
    return Content(JSON_TYPE, json.dumps(value, separators=(",", ":")).encode())


def _dependencies(config: bytes) -> list[dict[str, str]]:
    try:
        document = strict_json(config, what="the chart's config")
    except RoadsteadError:
        return []
    listed = document.get("dependencies") if isinstance(document, dict) else None
    return (
        [_dependency(each) for each in listed or () if isinstance(each, dict)]
        if isinstance(listed, list)
        else []
    )


def _dependency(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: entry[name]
        for name in ("name", "version", "repository")
        if isinstance(entry.get(name), str) and len(entry[name]) <= 1024
    }


def _file(layer: Descriptor) -> dict[str, object]:
    return {"name": layer.annotations[_FILE_PATH][:1024], "type": "file", "size": layer.size}
