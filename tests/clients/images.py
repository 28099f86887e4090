"""What the clients' tests push: small images, an index for three platforms, a chart."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from roadstead.testing.layouts import ImageLayout, hello_program

GREETING = "hello from nothing\n"


@dataclass(frozen=True)
class Image:
    # `oci:PATH:TAG`, which every containers tool reads.
    source: str
    layout: Path
    digest: str
    files: dict[str, bytes]

    def digests(self) -> dict[str, str]:
        """What `sandbox.tree` says of this image's files."""
        return {path: hashlib.sha256(data).hexdigest() for path, data in self.files.items()}


def hello_image(folder: Path, salt: str) -> Image:
    """An image that prints a greeting; `salt` makes its layers unlike those of any other test."""
    layout = ImageLayout(folder / "hello")
    first = {"hello": hello_program(GREETING), "etc/salt": salt.encode()}
    second = {"data/numbers": "\n".join(str(number) for number in range(20_000)).encode(), "data/empty": b""}
    manifest = layout.image([first, second])
    return Image(layout.tag("1", manifest), layout.path, str(manifest["digest"]), first | second)


def three_platforms(folder: Path, salt: str) -> Image:
    """An index of the same program for three platforms."""
    layout = ImageLayout(folder / "platforms")
    manifests = [
        layout.image(
            [{"hello": hello_program(), "arch": f"{salt} {architecture}{variant or ''}".encode()}],
            architecture=architecture,
            variant=variant,
        )
        for architecture, variant in (("amd64", None), ("arm64", None), ("arm", "v7"))
    ]
    index = layout.index(manifests)
    return Image(layout.tag("1", index), layout.path, str(index["digest"]), {})


def chart(folder: Path, name: str, version: str) -> Path:
    """A Helm chart, packed."""
    files = {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\ndescription: A chart\ntype: application\n",
        "values.yaml": "greeting: hello\n",
        "templates/map.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
            "data:\n  greeting: {{ .Values.greeting }}\n"
        ),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    packed = folder / f"{name}-{version}.tgz"
    packed.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return packed
