"""Images made from nothing, as OCI image layouts: what a test pushes when it may pull from nowhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class ImageLayout:
    """A folder in the form of the image specification's `image-layout.md`, which every tool reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self._tagged: list[JsonObject] = []

    def add(self, data: bytes, media_type: str) -> JsonObject:
        """Keep a blob; returns its descriptor."""
        name = hashlib.sha256(data).hexdigest()
        (self.blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    def add_json(self, document: Mapping[str, Any], media_type: str) -> JsonObject:
        return self.add(json.dumps(document, separators=(",", ":")).encode(), media_type)

    def image(
        self,
        layers: Sequence[Mapping[str, bytes]],
        *,
        command: Sequence[str] = ("/hello",),
        architecture: str = "amd64",
        variant: str | None = None,
    ) -> JsonObject:
        """An image whose layers hold these files, by their paths.  Returns the manifest's descriptor."""
        platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
        tars = [tar_of(files) for files in layers]
        config = platform | {
            "config": {"Cmd": list(command)},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
            "history": [{"created_by": "a test"} for _ in tars],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.add_json(config, OCI_CONFIG),
            "layers": [self.add(gzip.compress(tar, 6, mtime=0), OCI_LAYER) for tar in tars],
        }
        return self.add_json(manifest, OCI_MANIFEST) | {"platform": platform}

    def index(self, manifests: Sequence[JsonObject]) -> JsonObject:
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(manifests)}
        return self.add_json(document, OCI_INDEX)

    def tag(self, name: str, descriptor: JsonObject) -> str:
        """Give content a name in the layout.  Returns what tools call it: `oci:PATH:NAME`."""
        named = descriptor | {"annotations": {"org.opencontainers.image.ref.name": name}}
        self._tagged.append(named)
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self._tagged}))
        return f"oci:{self.path}:{name}"


def blobs_of(layout: Path) -> dict[str, str]:
    """Every blob of a layout: its name, and the digest that its bytes really have."""
    return {f"sha256:{file.name}": sha256(file.read_bytes()) for file in (layout / "blobs/sha256").iterdir()}


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed layer with these files, each of them executable, the same bytes every time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def hello_program(greeting: str = "hello from nothing\n") -> bytes:
    """A static Linux program for x86-64 that prints a greeting: no compiler, no libc, no base image."""
    text = greeting.encode()
    base, head = 0x400000, 64 + 56
    code_length = 31
    code = (
        b"\xb8\x01\x00\x00\x00"  # mov eax, 1 (write)
        b"\xbf\x01\x00\x00\x00"  # mov edi, 1 (standard output)
        b"\xbe"
        + struct.pack("<I", base + head + code_length)  # mov esi, the text
        + b"\xba"
        + struct.pack("<I", len(text))  # mov edx, its length
        + b"\x0f\x05"  # syscall
        b"\xb8\x3c\x00\x00\x00"  # mov eax, 60 (exit)
        b"\x31\xff"  # xor edi, edi
        b"\x0f\x05"  # syscall
    )
    size = head + len(code) + len(text)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return elf + segment + code + text
