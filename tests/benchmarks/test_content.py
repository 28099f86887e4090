"""Blobs and manifests that the benchmarks push."""

from __future__ import annotations

import hashlib
import json

import pytest
from benchmarks.content import MIB, BlobMaker, manifest
from benchmarks.wire import Chunks


@pytest.mark.parametrize("size", [32, 33, 2048, 4 * MIB + 32, 9 * MIB])
def test_a_blob_is_what_its_digest_says(size: int) -> None:
    blob = BlobMaker(size).blob()
    data = b"".join(blob.pieces)
    assert len(data) == blob.size == size
    assert blob.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_no_two_blobs_are_the_same() -> None:
    maker = BlobMaker(2048)
    assert maker.blob().digest != maker.blob().digest


def test_a_blob_in_chunks_has_the_same_length() -> None:
    maker = BlobMaker(5 * MIB)
    chunks = Chunks()
    for piece in maker.framed(maker.blob()):
        chunks.feed(bytes(piece))
    assert chunks.ended
    assert chunks.length == 5 * MIB


def test_a_blob_in_chunks_ends_with_its_own_bytes() -> None:
    maker = BlobMaker(64)
    blob = maker.blob()
    mark = bytes(blob.pieces[-1])
    assert b"".join(maker.framed(blob)).endswith(b"20\r\n" + mark + b"\r\n0\r\n\r\n")


def test_a_manifest_names_its_blobs() -> None:
    config, layer = BlobMaker(64).blob(), BlobMaker(128).blob()
    made = manifest(config, [layer], build="1")
    document = json.loads(b"".join(made.pieces))
    assert document["config"]["digest"] == config.digest
    assert document["layers"][0]["size"] == 128
    assert document["annotations"] == {"build": "1"}
