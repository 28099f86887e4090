"""Blobs and manifests to push: incompressible, never the same twice, and named without hashing them again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.wire import Piece

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"

MIB = 1024 * 1024
_BLOCK = 4 * MIB
_MARK = 32
# What Go's HTTP client sends in one chunk when it copies a file: docker's and podman's uploads look so.
_CHUNK = 32 * 1024


@dataclass(frozen=True, slots=True)
class Blob:
    digest: str
    size: int
    pieces: Sequence[Piece]


@functools.cache
def _block() -> bytes:
    return os.urandom(_BLOCK)


@functools.cache
def _framed_block() -> bytes:
    """The block in chunked framing."""
    block = _block()
    return b"".join(frame(block[at : at + _CHUNK]) for at in range(0, _BLOCK, _CHUNK))


def frame(data: bytes | memoryview) -> bytes:
    """One chunk of a chunked body."""
    return b"".join((b"%x\r\n" % len(data), data, b"\r\n"))


class BlobMaker:
    """Makes blobs of one size that differ in their last bytes only: one hash state serves them all."""

    def __init__(self, size: int) -> None:
        if size < _MARK:
            raise ValueError(f"a blob has {_MARK} bytes at least, not {size}")
        self.size = size
        whole, rest = divmod(size - _MARK, _BLOCK)
        self._whole = whole
        self._rest = memoryview(_block())[:rest]
        self._hash = hashlib.sha256()
        for piece in [_block()] * whole + [self._rest]:
            self._hash.update(piece)

    def blob(self, mark: bytes | None = None) -> Blob:
        """A blob that nobody has seen, unless `mark` is given again."""
        end = (mark or os.urandom(_MARK)).ljust(_MARK, b"\0")
        state = self._hash.copy()
        state.update(end)
        pieces: list[Piece] = [_block()] * self._whole
        pieces += [piece for piece in (self._rest, end) if len(piece)]
        return Blob(f"sha256:{state.hexdigest()}", self.size, pieces)

    def framed(self, blob: Blob) -> list[Piece]:
        """The same blob in chunked framing."""
        end = bytes(blob.pieces[-1])
        pieces: list[Piece] = [_framed_block()] * self._whole
        pieces += [frame(self._rest[at : at + _CHUNK]) for at in range(0, len(self._rest), _CHUNK)]
        return [*pieces, frame(end), b"0\r\n\r\n"]


def manifest(config: Blob, layers: Sequence[Blob], **annotations: str) -> Blob:
    """An OCI image manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    if annotations:
        document["annotations"] = annotations
    payload = json.dumps(document, separators=(",", ":")).encode()
    return Blob(f"sha256:{hashlib.sha256(payload).hexdigest()}", len(payload), [payload])
