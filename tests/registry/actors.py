"""People who use the registry, and what they do there: set-up speaks in verbs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.registry.asgi import Answer, App, Body, Vanished, request

from roadstead.oci.media_types import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)

PASSWORD = "correct horse battery staple"
NOBODY = "sha256:" + "0" * 63 + "1"
Document = dict[str, Any]


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def encoded(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(data: bytes, media_type: str, algorithm: str = "sha256") -> Document:
    return {"mediaType": media_type, "digest": digest_of(data, algorithm), "size": len(data)}


def image_of(config: bytes, *layers: bytes, **more: object) -> Document:
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, OCI_CONFIG),
        "layers": [descriptor(layer, OCI_LAYER_GZIP) for layer in layers],
        **more,
    }


def index_of(*children: Document, **more: object) -> Document:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **more}


def child(document: Document, platform: tuple[str, str] | None = None) -> Document:
    found = descriptor(encoded(document), document["mediaType"])
    if platform:
        found["platform"] = {"os": platform[0], "architecture": platform[1]}
    return found


def then_vanish(*pieces: bytes) -> Iterator[bytes]:
    """A body whose sender goes away after these pieces."""
    yield from pieces
    raise Vanished


@dataclass
class Actor:
    """Somebody with credentials, or with none."""

    app: App
    name: str = ""
    authorization: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)

    async def request(
        self,
        method: str,
        target: str | bytes,
        body: Body = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        **more: Any,
    ) -> Answer:
        lines = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        if self.authorization is not None:
            lines.append(("Authorization", self.authorization))
        return await request(self.app, method, target, body, [*self.headers, *lines], **more)

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.request("GET", target, headers=_dashed(headers))

    async def head(self, target: str, **headers: str) -> Answer:
        return await self.request("HEAD", target, headers=_dashed(headers))

    async def delete(self, target: str) -> Answer:
        return await self.request("DELETE", target)

    # ── tokens ──────────────────────────────────────────────────────────────────────────────────────────

    async def ask_for_token(self, *scopes: str) -> Answer:
        query = "&".join(["service=roadstead", *(f"scope={quote(scope)}" for scope in scopes)])
        return await self.get(f"/service/token?{query}")

    async def with_token(self, *scopes: str) -> Actor:
        """The same person, signed in for these scopes only."""
        answer = await self.ask_for_token(*scopes)
        assert answer.status == 200, answer
        return Actor(self.app, self.name, f"Bearer {answer.json['token']}")

    # ── blobs and uploads ───────────────────────────────────────────────────────────────────────────────

    async def start(self, repository: str, query: str = "", body: Body = b"") -> Answer:
        return await self.request("POST", f"/v2/{repository}/blobs/uploads/{query}", body)

    async def begin_upload(self, repository: str, query: str = "") -> str:
        answer = await self.start(repository, query)
        assert answer.status == 202, answer
        return answer["location"]

    async def patch(self, location: str, body: Body, at: int | None = None) -> Answer:
        headers = {}
        if at is not None:
            assert isinstance(body, bytes)
            headers["Content-Range"] = f"{at}-{at + len(body) - 1}"
        return await self.request("PATCH", location, body, headers)

    async def put(self, location: str, digest: str, body: Body = b"", at: int | None = None) -> Answer:
        headers = {}
        if at is not None:
            assert isinstance(body, bytes)
            headers["Content-Range"] = f"{at}-{at + len(body) - 1}"
        return await self.request("PUT", f"{location}?digest={digest}", body, headers)

    async def push_blob(self, repository: str, data: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(data, algorithm)
        answer = await self.put(await self.begin_upload(repository), digest, data)
        assert answer.status == 201, answer
        return digest

    async def pull_blob(self, repository: str, digest: str, **headers: str) -> Answer:
        return await self.get(f"/v2/{repository}/blobs/{digest}", **headers)

    async def mount(self, repository: str, digest: str, source: str | None = None) -> Answer:
        return await self.start(repository, f"?mount={digest}" + (f"&from={source}" if source else ""))

    # ── manifests ───────────────────────────────────────────────────────────────────────────────────────

    async def put_manifest(
        self, repository: str, reference: str, document: Document | bytes, media_type: str | None = None
    ) -> Answer:
        payload = document if isinstance(document, bytes) else encoded(document)
        if media_type is None:
            media_type = OCI_MANIFEST if isinstance(document, bytes) else document["mediaType"]
        headers = {"Content-Type": media_type}
        return await self.request("PUT", f"/v2/{repository}/manifests/{reference}", payload, headers)

    async def push_manifest(self, repository: str, reference: str, document: Document) -> str:
        answer = await self.put_manifest(repository, reference, document)
        assert answer.status == 201, answer
        return digest_of(encoded(document))

    async def push_image(self, repository: str, reference: str, content: str = "", **more: object) -> str:
        """An image with a config and a layer of its own; returns the manifest's digest."""
        return await self.push_manifest(
            repository, reference, await self.image(repository, content or reference, **more)
        )

    async def image(self, repository: str, content: str, **more: object) -> Document:
        """A manifest whose blobs the repository has."""
        config, layer = f'{{"of":"{content}"}}'.encode(), f"layer of {content}".encode()
        await self.push_blob(repository, config)
        await self.push_blob(repository, layer)
        return image_of(config, layer, **more)

    async def pull(self, repository: str, reference: str, *accept: str) -> Answer:
        headers = [("Accept", line) for line in accept]
        return await self.request("GET", f"/v2/{repository}/manifests/{reference}", headers=headers)

    async def tags(self, repository: str, query: str = "") -> list[str]:
        answer = await self.get(f"/v2/{repository}/tags/list{query}")
        assert answer.status == 200, answer
        return list(answer.json["tags"])


def basic(username: str, password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def v2s2(document: Document) -> Document:
    return {**document, "mediaType": DOCKER_MANIFEST}


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
