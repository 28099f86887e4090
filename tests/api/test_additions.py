"""What can be read out of artifacts, and what strangers put into them to hurt those who read."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from contextlib import suppress

import pytest
from tests.api.images import artifact, ask, push_chart, push_config, tarball
from tests.registry.actors import index_of
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.registry.artifacts.archives import MOST_COMPRESSED, MOST_ENTRIES, ArchiveRefused, member

pytestmark = pytest.mark.anyio
APP = "a/charts/web"
FILES = {
    "web/Chart.yaml": b"name: web\n",
    "web/charts/db/values.yaml": b"of: another\n",
    "web/values.yaml": b"replicas: 1\n",
    "web/README.md": b"# Web\n",
}


async def read(registry: Registry, addition: str, tag: str = "v1") -> Answer:
    return await registry.alice.get(f"{artifact(APP, tag)}/additions/{addition}")


async def test_a_chart_shows_its_values_readme_and_dependencies(registry: Registry) -> None:
    needed = [{"name": "db", "version": "1", "repository": "oci://x", "condition": "db.on"}]
    await push_chart(registry.alice, APP, "v1", FILES, dependencies=needed)
    shown = await ask(registry.alice, artifact(APP, "v1"))
    assert (shown["type"], shown["extra_attrs"]["version"]) == ("CHART", "1.2.3")
    assert set(shown["addition_links"]) == {"values.yaml", "readme.md", "dependencies"}
    values, readme = await read(registry, "values.yaml"), await read(registry, "readme.md")
    assert (values.body, values["content-type"]) == (b"replicas: 1\n", "text/plain; charset=utf-8")
    assert (readme.body, readme["content-type"]) == (b"# Web\n", "text/markdown; charset=utf-8")
    assert values["x-content-type-options"] == "nosniff"
    dependencies = await read(registry, "dependencies")
    assert dependencies.json == [{"name": "db", "version": "1", "repository": "oci://x"}]


async def test_a_model_shows_its_files(registry: Registry) -> None:
    kind = "application/vnd.cncf.model.config.v1+json"
    layer = tarball({"LICENSE": b"free"})
    digest = await push_config(
        registry.alice, APP, "v1", b"{}", media_type=kind, layer=layer, layer_type="application/x.tar+gzip"
    )
    document = json.loads((await registry.alice.pull(APP, digest)).body)
    document["layers"][0]["annotations"] = {"org.cncf.model.filepath": "LICENSE"}
    await registry.alice.push_manifest(APP, "v2", document)
    files = await read(registry, "files", "v2")
    assert files.json == [{"name": "LICENSE", "type": "file", "size": len(layer)}]
    assert (await read(registry, "license", "v2")).body == b"free"
    assert (await read(registry, "readme.md", "v2")).status == 404


async def test_what_an_artifact_does_not_have_is_refused(registry: Registry) -> None:
    await push_chart(registry.alice, APP, "v1", {"web/Chart.yaml": b""})
    await registry.alice.push_manifest(APP, "index", index_of())
    assert (await read(registry, "build_history")).status == 400
    assert (await read(registry, "build_history", "index")).status == 400
    for missing in ("values.yaml", "sbom", "vulnerabilities"):
        assert (await read(registry, missing)).status == 404
    assert (await read(registry, "../../etc/passwd")).status == 404
    assert (await read(registry, "etc")).status == 422


async def test_a_hostile_chart_stops_at_the_limit(registry: Registry) -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), 1)
    for number, layer in enumerate((b"", b"no gzip", gzip.compress(b"no tar" * 200), bomb)):
        await push_chart(registry.alice, APP, f"v{number}", layer)
        answer = await read(registry, "values.yaml", f"v{number}")
        assert answer.status in {404, 413}, (number, answer)


# ── the reader itself ───────────────────────────────────────────────────────────────────────────────────


def find(archive: bytes, name: str = "web/values.yaml") -> bytes | None:
    return member(archive, lambda found: found == name, gzip=True)


def entry(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf()


def test_names_longer_than_a_header_are_read() -> None:
    long = "d" * 150 + "/" + "f" * 150
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", format=form) as archive:
            info = tarfile.TarInfo(long)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"ok"))
        assert find(packed.getvalue(), long) == b"ok"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_a_device_is_no_file(kind: bytes) -> None:
    archive = gzip.compress(entry("web/values.yaml", kind=kind, link="/etc/passwd") + bytes(1024))
    assert find(archive) is None


@pytest.mark.parametrize(
    "archive",
    [
        gzip.compress(bytes(2 * 1024 * 1024 * 1024 // 8), 1),
        gzip.compress(entry("x") * (MOST_ENTRIES + 1)),
        gzip.compress(entry("web/values.yaml", size=2 * 1024 * 1024) + bytes(512)),
        gzip.compress(entry("web/values.yaml", size=1024) + bytes(512)),
        gzip.compress(b"\xff" * 512),
        gzip.compress(entry("x", kind=b"L", size=10**9)),
        gzip.compress(entry("x", size=2**40)) + b"junk",
        bytes(MOST_COMPRESSED + 1),
        b"\x1f\x8b",
    ],
    ids=["zeros", "entries", "large", "cut", "no tar", "name", "claim", "size", "head"],
)
def test_what_is_too_much_is_refused_or_empty(archive: bytes) -> None:
    with suppress(ArchiveRefused):
        assert find(archive) is None
