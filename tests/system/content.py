"""Bytes made from a number: any size, any part of them again at any time, and never in memory as a whole."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BLOCK = 1024 * 1024
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_NOISE = random.Random(5).randbytes(BLOCK - 16)


@dataclass(frozen=True, slots=True)
class Content:
    """`size` bytes that only this `seed` has: each block begins with the seed and its own number."""

    seed: int
    size: int
    algorithm: str = "sha256"

    def pieces(self, first: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` up to `end`, at most a block at a time."""
        end = self.size if end is None else min(end, self.size)
        while first < end:
            number, within = divmod(first, BLOCK)
            upto = min(BLOCK, within + end - first)
            if within or upto < BLOCK:
                yield (self._head(number) + _NOISE[:upto])[within:upto]
            else:
                yield self._head(number) + _NOISE
            first += upto - within

    def data(self, first: int = 0, end: int | None = None) -> bytes:
        return b"".join(self.pieces(first, end))

    @property
    def digest(self) -> str:
        return self.prefix_digest(self.size)

    def prefix_digest(self, size: int) -> str:
        running = hashlib.new(self.algorithm)
        for piece in self.pieces(0, size):
            running.update(piece)
        return f"{self.algorithm}:{running.hexdigest()}"

    def _head(self, number: int) -> bytes:
        return self.seed.to_bytes(8, "big") + number.to_bytes(8, "big")


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def image(config: Content, layers: Sequence[Content], note: str) -> bytes:
    """The manifest of an image made of these."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": OCI_LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
        "annotations": {"note": note},
    }
    return json.dumps(document, separators=(",", ":")).encode()
