"""Images in a running registry, for whoever administers it afterwards."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Self

import httpx
from tests.registry.actors import Document, digest_of, encoded, image_of

from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry

API = "/api/v2.0"
HISTORY = [{"created": "2026-01-01T00:00:00Z", "created_by": "COPY . /", "comment": "made by hand"}]
_names = itertools.count(1)


def unused(prefix: str) -> str:
    """A name that nothing has yet."""
    return f"{prefix}{next(_names)}"


@dataclass
class Pusher:
    """Whoever has this name and password, speaking the registry's protocol and plain REST."""

    registry: RunningRegistry
    username: str = ADMIN
    password: str = PASSWORD
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(
            base_url=self.registry.url, auth=(self.username, self.password), timeout=60, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def blob(self, repository: str, data: bytes) -> str:
        begun = self.http.post(f"/v2/{repository}/blobs/uploads/")
        assert begun.status_code == 202, begun.text
        digest = digest_of(data)
        ended = self.http.put(begun.headers["location"], params={"digest": digest}, content=data)
        assert ended.status_code == 201, ended.text
        return digest

    def manifest(self, repository: str, reference: str, document: Document) -> str:
        answer = self.http.put(
            f"/v2/{repository}/manifests/{reference}",
            content=encoded(document),
            headers={"Content-Type": document["mediaType"]},
        )
        assert answer.status_code == 201, answer.text
        return digest_of(encoded(document))

    def image(self, repository: str, tag: str, content: str = "", **more: object) -> str:
        """An image with a history; returns its digest."""
        words = content or f"{repository}:{tag}"
        config = encoded(
            {
                "architecture": "amd64",
                "os": "linux",
                "author": "somebody",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Cmd": [words]},
                "rootfs": {"type": "layers", "diff_ids": []},
                "history": HISTORY,
            }
        )
        layer = f"layer of {words}".encode()
        self.blob(repository, config)
        self.blob(repository, layer)
        return self.manifest(repository, tag, image_of(config, layer, **more))
