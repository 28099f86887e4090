"""Requests as they stand on the wire, and what must hold of every answer."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadstead.testing.running import ADMIN, PASSWORD

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCTETS = "application/octet-stream"

SIGNED_IN = "Basic " + base64.b64encode(f"{ADMIN}:{PASSWORD}".encode()).decode()
Body = bytes | Iterable[bytes] | None
Json = dict[str, Any]

# Every path that a client may be sent to: the official suite finds the repository with it.
_OF_A_REPOSITORY = re.compile(r"/v2/.+/(blobs|manifests|tags|referrers)/.+")
_WARNING = re.compile(r'299 - "[^"]*"')


@dataclass(frozen=True)
class Reply:
    status: int
    fields: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        """The one value of a header that must be there once."""
        [value] = self.values(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.values(name))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        return [error["code"] for error in self.json["errors"]]

    @property
    def next_page(self) -> str | None:
        """The target of `Link: <…>; rel="next"`."""
        if "Link" not in self:
            return None
        match = re.fullmatch(r'<([^>]+)>; *rel="?next"?', self["Link"])
        assert match, self["Link"]
        return match[1]


class Wire:
    """A connection to one registry, signed in as its administrator unless told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = SIGNED_IN,
    ) -> Reply:
        """Send, and check what the specification asks of any answer.  An iterable body goes in chunks."""
        if path.startswith("http"):
            parts = urllib.parse.urlsplit(path)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        sent = dict(headers or {})
        if authorization:
            sent["Authorization"] = authorization
        connection.request(method, path, body=body, headers=sent, encode_chunked=False)
        response = connection.getresponse()
        reply = Reply(response.status, response.getheaders(), response.read())
        connection.close()
        check(method, reply)
        return reply

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()})

    def head(self, path: str, **headers: str) -> Reply:
        return self.request("HEAD", path, headers={name.replace("_", "-"): v for name, v in headers.items()})

    def delete(self, path: str) -> Reply:
        return self.request("DELETE", path)

    # ── pushing ─────────────────────────────────────────────────────────────────────────────────────────

    def start_upload(self, repository: str, query: str = "") -> Reply:
        return self.request(
            "POST", f"/v2/{repository}/blobs/uploads/{query}", b"", headers={"Content-Length": "0"}
        )

    def upload(self, repository: str) -> str:
        """The location of a fresh upload."""
        reply = self.start_upload(repository)
        assert reply.status == 202, reply
        return reply["Location"]

    def chunk(self, location: str, data: bytes, start: int | None = None) -> Reply:
        """PATCH; with `start`, as a chunk that says where it belongs."""
        headers = {"Content-Type": OCTETS}
        if start is not None:
            headers["Content-Range"] = f"{start}-{start + len(data) - 1}"
        return self.request("PATCH", location, data, headers=headers)

    def finish(
        self, location: str, digest: str, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        separator = "&" if "?" in location else "?"
        return self.request(
            "PUT",
            f"{location}{separator}digest={urllib.parse.quote(digest, safe='')}",
            data,
            headers={"Content-Type": OCTETS} | dict(headers or {}),
        )

    def push_blob(self, repository: str, data: bytes, algorithm: str = "sha256") -> str:
        digest = digest_of(data, algorithm)
        reply = self.finish(self.upload(repository), digest, data)
        assert reply.status == 201, reply
        return digest

    def put_manifest(
        self, repository: str, reference: str, payload: bytes, media_type: str = OCI_MANIFEST
    ) -> Reply:
        path = f"/v2/{repository}/manifests/{reference}"
        return self.request("PUT", path, payload, headers={"Content-Type": media_type})

    def push(
        self, repository: str, reference: str, document: Json, media_type: str = OCI_MANIFEST
    ) -> tuple[str, bytes]:
        """Push a manifest; returns its digest and its bytes."""
        payload = json.dumps(document).encode()
        reply = self.put_manifest(repository, reference, payload, media_type)
        assert reply.status == 201, reply
        return digest_of(payload), payload

    def image(self, repository: str, salt: str = "", **more: Any) -> Json:
        """A manifest whose config and layer have been pushed."""
        config, layer = f'{{"salt":"{salt}"}}'.encode(), f"layer {salt}".encode()
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(config, OCI_CONFIG, self.push_blob(repository, config)),
            "layers": [descriptor(layer, OCI_LAYER, self.push_blob(repository, layer))],
        } | more

    def artifact(
        self, repository: str, subject: Json | None, artifact_type: str, **annotations: str
    ) -> tuple[str, bytes]:
        """Push an artifact by its digest, with a subject or without."""
        document: Json = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": descriptor(b"{}", OCI_EMPTY, self.push_blob(repository, b"{}")),
            "layers": [descriptor(b"{}", OCI_EMPTY)],
        }
        if subject:
            document["subject"] = subject
        if annotations:
            document["annotations"] = annotations
        return self.push(repository, digest_of(json.dumps(document).encode()), document)


def check(method: str, reply: Reply) -> None:
    """What holds of every answer, whatever was asked."""
    # 501 is for methods that nobody knows; any other of these is a fault of ours.
    assert reply.status < 500 or reply.status == 501, reply
    content_type = ", ".join(reply.values("Content-Type"))
    if reply.status >= 400 and method != "HEAD":
        # Spec, "Error Codes": a body of JSON has this form.  Ours always is.
        assert content_type == "application/json", (reply, content_type)
        assert reply.json["errors"], reply
        for error in reply.json["errors"]:
            assert re.fullmatch("[A-Z_]+", error["code"]), error
            assert isinstance(error["message"], str), error
    for warning in reply.values("Warning"):
        assert _WARNING.fullmatch(warning), warning
    assert sum(map(len, reply.values("Warning"))) <= 4096
    if method == "HEAD" or reply.status in {204, 304}:
        assert reply.body == b""
    elif "Content-Length" in reply:
        assert int(reply["Content-Length"]) == len(reply.body)
    assert "Content-Encoding" not in reply
    for location in reply.values("Location"):
        assert _OF_A_REPOSITORY.search(location), location


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def descriptor(data: bytes, media_type: str, digest: str = "") -> Json:
    return {"mediaType": media_type, "digest": digest or digest_of(data), "size": len(data)}


def manifest_descriptor(payload: bytes, media_type: str = OCI_MANIFEST) -> Json:
    return descriptor(payload, media_type)
