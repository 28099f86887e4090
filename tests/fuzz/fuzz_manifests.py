"""Fuzzes manifests and the strict JSON beneath them.

    python tests/fuzz/fuzz_manifests.py -max_total_time=20

Only a `RoadsteadError` may escape, and what is accepted has one meaning: `json` alone reads the same value.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["roadstead.oci"]):
    from roadstead.oci.documents import strict_json
    from roadstead.oci.manifests import MOST_REFERENCES, parse_manifest
    from roadstead.oci.media_types import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

from roadstead.errors import RoadsteadError

ARTIFACT = "application/vnd.example+json"
CONTENT_TYPES = (None, OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, ARTIFACT)
DIGEST = b"sha256:" + b"a" * 64
# Random bytes seldom make a document: documents are put together from these, and the fuzzer's bytes.
KEYS = (
    *(b"schemaVersion", b"mediaType", b"artifactType", b"config", b"layers", b"blobs", b"manifests"),
    *(b"subject", b"annotations", b"Layers", b"digest", b"size", b"urls", b"data", b"fsLayers"),
)
VALUES = (
    *(b"null", b"2", b"2", b"1", b"true", b"0.5", b"-1", b"9223372036854775808", b'""', b"[]", b"{}"),
    *(b'["x"]', b'{"a":"b"}', b'{"a":1}', b'"' + DIGEST + b'"'),
    *(b'"' + name.encode() + b'"' for name in CONTENT_TYPES if name),
    b'"application/vnd.oci.image.layer.nondistributable.v1.tar"',
)
DEEPEST = 4


def document(provider: atheris.FuzzedDataProvider) -> bytes:
    """An image or an index that is whole, but for the members that follow."""
    kind = pick(provider, (b'"config":%s,"layers":[%s]', b'"manifests":[%s,%s]', b'"config":%s,"blobs":[%s]'))
    for _ in range(2):
        kind = kind.replace(b"%s", descriptor(provider, depth=1), 1)
    return b'{"schemaVersion":2,' + kind + more_members(provider, 0) + b"}"


def descriptor(provider: atheris.FuzzedDataProvider, depth: int) -> bytes:
    return b'{"mediaType":"x","digest":"' + DIGEST + b'","size":1' + more_members(provider, depth) + b"}"


def more_members(provider: atheris.FuzzedDataProvider, depth: int) -> bytes:
    return b"".join(
        b',"' + pick(provider, KEYS) + b'":' + value(provider, depth + 1)
        for _ in range(provider.ConsumeIntInRange(0, 2))
    )


def value(provider: atheris.FuzzedDataProvider, depth: int) -> bytes:
    """A JSON value, or something close to one."""
    shape = provider.ConsumeIntInRange(0, 15)
    if shape == 0:
        return bytes(provider.ConsumeBytes(16))
    if shape <= 8 or depth >= DEEPEST:
        return pick(provider, VALUES)
    if shape <= 10:
        return b"[" + value(provider, depth + 1) + b"," + descriptor(provider, depth + 1) + b"]"
    return descriptor(provider, depth + 1)


def pick(provider: atheris.FuzzedDataProvider, options: Sequence[bytes]) -> bytes:
    index: int = provider.ConsumeIntInRange(0, len(options) - 1)
    return options[index]


def read_json(payload: bytes) -> None:
    with suppress(RoadsteadError):
        value = strict_json(payload, what="the document")
        assert value == json.loads(payload)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def read_manifest(payload: bytes, content_type: str | None) -> None:
    with suppress(RoadsteadError):
        manifest = parse_manifest(payload, content_type)
        blobs = [*manifest.blobs(), *manifest.foreign_layers()]
        children = list(manifest.children())
        assert len(blobs) + len(children) <= MOST_REFERENCES + 1
        # Only a type that nobody knows may have `blobs` beside `manifests`: no reader takes it for an image.
        assert not (children and blobs) or manifest.media_type == ARTIFACT
        assert content_type is None or manifest.media_type == content_type


def test_one_input(data: bytes) -> None:
    read_json(data)
    provider = atheris.FuzzedDataProvider(data)
    content_type = CONTENT_TYPES[provider.ConsumeIntInRange(0, len(CONTENT_TYPES) - 1)]
    payload = document(provider)
    read_json(payload)
    read_manifest(payload, content_type)


def main() -> None:
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
