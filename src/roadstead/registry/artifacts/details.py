"""What people are told of an artifact beyond its row: read from its manifest and its config, by strangers written.

Nothing here fails: what cannot be read, or is too much, is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadstead.errors import RoadsteadError
from roadstead.oci.digests import Digest
from roadstead.oci.documents import LARGEST_INTEGER, strict_json
from roadstead.oci.manifests import Manifest, parse_manifest
from roadstead.oci.media_types import DOCKER_CONFIG, INDEXES, OCI_CONFIG
from roadstead.registry.artifacts.kinds import HELM_CONFIG

# Larger configs are not looked into.
MOST_CONFIG_BYTES = 4 * 1024 * 1024
# Of what is kept for each artifact, as JSON.
MOST_ATTRIBUTES = 64 * 1024
MOST_ANNOTATIONS = 64 * 1024
MOST_REFERENCES = 200

Document = dict[str, Any]
_IMAGE_FIELDS = ("architecture", "os", "os.version", "variant", "created", "author", "config")
_NYDUS = "containerd.io/snapshot/nydus-bootstrap"


@dataclass(frozen=True, slots=True)
class Outline:
    """What the manifest alone says.  `size` is of itself and all that it names, but for an index's children."""

    details: Document
    config: str | None
    size: int


def outline(payload: bytes, media_type: str) -> Outline:
    try:
        manifest = parse_manifest(payload, media_type)
        # Read again only for what the parser passes over.
        entries = strict_json(payload, what="the manifest")["manifests"] if media_type in INDEXES else []
    except RoadsteadError:
        # It was taken once; rules have become stricter since.
        return Outline({"media_type": media_type}, None, len(payload))
    details: Document = {"media_type": manifest.config.media_type if manifest.config else media_type}
    if manifest.annotations and _length(manifest.annotations) <= MOST_ANNOTATIONS:
        details["annotations"] = dict(manifest.annotations)
    if media_type in INDEXES:
        details["references"] = [_reference(entry) for entry in entries[:MOST_REFERENCES]]
    if any(_NYDUS in layer.annotations for layer in manifest.layers):
        details["nydus"] = True
    config = None
    if manifest.config is not None and manifest.config.size <= MOST_CONFIG_BYTES:
        config = str(manifest.config.digest)
    return Outline(details, config, _size(manifest, len(payload)))


def attributes(config: bytes, media_type: str) -> Document:
    """`extra_attrs`, from the bytes of a config of that type."""
    try:
        document = strict_json(config, what="the config")
    except RoadsteadError:
        return {}
    if not isinstance(document, dict):
        return {}
    if media_type in {OCI_CONFIG, DOCKER_CONFIG}:
        document = {name: document[name] for name in _IMAGE_FIELDS if name in document}
    elif media_type == HELM_CONFIG:
        document.pop("dependencies", None)
    if _length(document) > MOST_ATTRIBUTES:
        document.pop("config", None)
    return document if _length(document) <= MOST_ATTRIBUTES else {}


def history(config: bytes) -> list[Document]:
    """The build history of an image, in the form of the image specification."""
    try:
        document = strict_json(config, what="the config")
    except RoadsteadError:
        return []
    entries = document.get("history") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return []
    return [_step(entry) for entry in entries if isinstance(entry, dict)]


def _step(entry: Mapping[str, Any]) -> Document:
    # Clients want both of the first two, as text.
    found: Document = {"created": "0001-01-01T00:00:00Z", "created_by": ""}
    for name in ("created", "created_by", "author", "comment"):
        if isinstance(entry.get(name), str) and entry[name]:
            found[name] = entry[name]
    if entry.get("empty_layer") is True:
        found["empty_layer"] = True
    return found


def _reference(entry: Mapping[str, Any]) -> Document:
    """An entry of an index.  The parser has seen to its digest; the rest may be anything."""
    found: Document = {"digest": str(Digest.parse(entry["digest"]))}
    platform = entry.get("platform")
    if isinstance(platform, dict):
        known = ("architecture", "os", "os.version", "variant")
        found["platform"] = {
            name: platform[name][:255] for name in known if isinstance(platform.get(name), str)
        }
        features = platform.get("os.features")
        if isinstance(features, list):
            found["platform"]["os.features"] = [each[:255] for each in features[:20] if isinstance(each, str)]
    if isinstance(entry.get("annotations"), dict) and _length(entry["annotations"]) <= 4096:
        found["annotations"] = entry["annotations"]
    return found


def _size(manifest: Manifest, own: int) -> int:
    named = {str(each.digest): each.size for each in (*manifest.blobs(), *manifest.foreign_layers())}
    return min(own + sum(named.values()), LARGEST_INTEGER)


def _length(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))
