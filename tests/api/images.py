"""What the tests of repositories and artifacts push and ask: set-up speaks in verbs."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from tests.registry.actors import Actor, descriptor
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.oci.media_types import OCI_LAYER_GZIP, OCI_MANIFEST

API = "/api/v2.0"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def repository(name: str) -> str:
    """The address of `project/path`, its slashes encoded twice as Harbor's clients do."""
    project, _, path = name.partition("/")
    return f"{API}/projects/{project}/repositories/{path.replace('/', '%252F')}"


def artifact(name: str, reference: str) -> str:
    return f"{repository(name)}/artifacts/{reference}"


async def send(actor: Actor, method: str, target: str, body: object = None) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return await actor.request(method, target, data, {"Content-Type": "application/json"})


async def ask(actor: Actor, target: str) -> Any:
    answer = await actor.get(target)
    assert answer.status == 200, answer
    return answer.json


def done(answer: Answer, status: int = 200) -> Answer:
    """An empty answer, as Harbor's: without a body, and without a type for it."""
    assert (answer.status, answer.body, answer.get("content-type")) == (status, b"", None), answer
    return answer


async def become(
    registry: Registry, name: str, role: int, *, project: str = "a", repositories: str = ""
) -> Actor:
    """Give somebody a role in a project."""
    await registry.change(
        "INSERT INTO grants (place, project_id, user_id, role_id, permissions, repositories, created_at)"
        " SELECT 'project', p.id, u.id, :role, '', :repositories, 1 FROM projects p CROSS JOIN users u"
        " WHERE p.name = :project AND u.username = :name",
        name=name,
        project=project,
        role=role,
        repositories=repositories,
    )
    return registry.actor(name)


async def push_config(
    actor: Actor, name: str, tag: str, config: bytes, *, media_type: str, layer: bytes = b"layer", **more: Any
) -> str:
    """An artifact with this config; returns its digest."""
    await actor.push_blob(name, config)
    await actor.push_blob(name, layer)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, media_type),
        "layers": [descriptor(layer, more.pop("layer_type", OCI_LAYER_GZIP))],
        **more,
    }
    return await actor.push_manifest(name, tag, document)


def tarball(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


async def push_chart(
    actor: Actor, name: str, tag: str, files: Mapping[str, bytes] | bytes, **metadata: Any
) -> str:
    config = json.dumps({"name": "web", "version": "1.2.3", "apiVersion": "v2", **metadata}).encode()
    layer = files if isinstance(files, bytes) else tarball(files)
    return await push_config(
        actor, name, tag, config, media_type=HELM_CONFIG, layer=layer, layer_type=CHART_LAYER
    )


async def charged(registry: Registry, project: str) -> tuple[object, object]:
    """What the project was charged, and what it keeps."""
    return (
        await registry.scalar(
            "SELECT (SELECT charged FROM quotas q WHERE q.project_id = p.id)"
            " + coalesce((SELECT sum(bytes) FROM quota_changes c WHERE c.project_id = p.id), 0)"
            " FROM projects p WHERE name = :name",
            name=project,
        ),
        await registry.scalar(
            "SELECT coalesce((SELECT sum(b.size) FROM project_blobs l JOIN blobs b ON b.id = l.blob_id"
            " WHERE l.project_id = p.id), 0) + coalesce((SELECT sum(m.size) FROM manifests m"
            " JOIN repositories r ON r.id = m.repository_id WHERE r.project_id = p.id), 0)"
            " FROM projects p WHERE name = :name",
            name=project,
        ),
    )
