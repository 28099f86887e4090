"""Manifests and indexes, read just far enough to know what they name and what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from roadstead.errors import ManifestInvalid
from roadstead.oci.descriptors import (
    LONGEST_MEDIA_TYPE,
    Descriptor,
    FieldNames,
    optional_type,
    parse_annotations,
    parse_descriptor,
    refuse_lookalikes,
    wrong_shape,
)
from roadstead.oci.digests import Digest
from roadstead.oci.documents import strict_json
from roadstead.oci.excerpts import excerpt
from roadstead.oci.media_types import (
    IMAGES,
    INDEXES,
    JSON,
    OCI_INDEX,
    OCI_MANIFEST,
    OCTET_STREAM,
    SCHEMA_1,
    essence,
)

MOST_REFERENCES = 20_000

_FIELDS = FieldNames(
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "subject",
    "annotations",
)
# A Content-Type that says nothing of the document: none, and what tools send when nobody chose one.
_SAYS_NOTHING = frozenset({"", OCTET_STREAM, JSON, "text/plain", "application/x-www-form-urlencoded"})
# A type is served back as it was pushed, to browsers too: text/html must never pass for a manifest.
_MANIFEST_TYPE = re.compile(r"application/(?:vnd\.[a-z0-9!#$&^_.-]+(?:\+json)?|[a-z0-9!#$&^_.-]+\+json)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest, an index or an unknown kind of either names.

    `artifact_type` is what a referrers list says of it: its own, else its config's media type.
    """

    media_type: str
    artifact_type: str | None
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: Mapping[str, str]

    def blobs(self) -> Iterator[Descriptor]:
        """The config and the layers that a repository must hold before it takes the manifest.

        All but layers of a non-distributable media type.  A layer with `urls` or with embedded `data` counts
        like any other, the empty descriptor included: clients that read neither must find the blob.  A digest
        that the document names twice comes twice.
        """
        layers = (layer for layer in self.layers if layer.distributable)
        return layers if self.config is None else chain((self.config,), layers)

    def foreign_layers(self) -> Iterator[Descriptor]:
        """The layers that need not be held.  Where one is, the manifest keeps it from being collected."""
        return (layer for layer in self.layers if not layer.distributable)

    def children(self) -> Iterator[Descriptor]:
        """The entries of an index.  Build caches list layers there, so a child may be a blob."""
        return iter(self.manifests)


def parse_manifest(payload: bytes, content_type: str | None) -> Manifest:
    """What `payload` says, read as the type that `content_type`, or else the document, gives it.

    Raises `ManifestInvalid` for anything that two readers could understand differently.
    """
    document = strict_json(payload, what="the manifest")
    if not isinstance(document, dict):
        raise wrong_shape("the manifest", "a JSON object")
    refuse_lookalikes(document, _FIELDS, "the manifest")
    _refuse_schema_1(document, content_type)
    media_type = _media_type(document, content_type)
    _refuse_ambiguity(document, media_type)
    _limit_references(document)
    return _read(document, media_type)


def referrer_descriptor(
    *,
    media_type: str,
    digest: Digest | str,
    size: int,
    artifact_type: str | None,
    annotations: Mapping[str, str] | None,
) -> dict[str, object]:
    """An entry of the index of referrers, as JSON.  Distribution specification, "Listing Referrers"."""
    entry: dict[str, object] = {"mediaType": media_type, "digest": str(digest), "size": size}
    if artifact_type:
        entry["artifactType"] = artifact_type
    if annotations:
        entry["annotations"] = dict(annotations)
    return entry


# ── which type it is ────────────────────────────────────────────────────────────────────────────────────


def _media_type(document: Mapping[str, Any], content_type: str | None) -> str:
    sent = essence(content_type)
    own = optional_type(document, "mediaType", "the manifest")
    declared = own if sent in _SAYS_NOTHING else sent
    if declared is None:
        return _inferred_type(document)
    if own is not None and own != declared:
        raise ManifestInvalid(
            f"the manifest says that it is {excerpt(own)}, and its Content-Type says {excerpt(declared)}",
            remedy="send the manifest's own mediaType as Content-Type, in the same letters",
        )
    if len(declared) > LONGEST_MEDIA_TYPE or _MANIFEST_TYPE.fullmatch(declared) is None:
        raise ManifestInvalid(
            f"{excerpt(declared)} is not the media type of a manifest",
            remedy="send an application type in lower case that begins with vnd. or ends in +json, "
            f"of at most {LONGEST_MEDIA_TYPE} characters, such as {OCI_MANIFEST}",
        )
    return declared


def _inferred_type(document: Mapping[str, Any]) -> str:
    if document.get("manifests") is not None:
        return OCI_INDEX
    if document.get("config") is not None:
        return OCI_MANIFEST
    raise ManifestInvalid(
        "neither Content-Type nor the manifest says what type it is",
        remedy=f"send its media type as Content-Type, such as {OCI_MANIFEST}",
    )


# ── what may not be ─────────────────────────────────────────────────────────────────────────────────────


def _refuse_schema_1(document: Mapping[str, Any], content_type: str | None) -> None:
    named = essence(content_type) in SCHEMA_1 or document.get("mediaType") in SCHEMA_1
    if named or (document.get("schemaVersion") == 1 and "fsLayers" in document):
        raise _schema_1()


def _schema_1() -> ManifestInvalid:
    return ManifestInvalid(
        "Docker image manifests of schema 1 are not supported",
        remedy="push with Docker 1.10 or newer, or convert the image to schema 2 or OCI, "
        "as `skopeo copy --format v2s2` does",
    )


def _refuse_ambiguity(document: Mapping[str, Any], media_type: str) -> None:
    present = {
        field for field in ("config", "layers", "blobs", "manifests") if document.get(field) is not None
    }
    if "manifests" in present and present & {"config", "layers"}:
        raise ManifestInvalid(
            "the manifest has `manifests` and also `config` or `layers`, so it could be an index or an image",
            remedy="push an index and an image as two documents",
        )
    if media_type not in IMAGES and media_type not in INDEXES:
        return
    version = document.get("schemaVersion")
    if version == 1:
        raise _schema_1()
    if type(version) is not int or version != 2:
        raise ManifestInvalid(
            f"schemaVersion must be 2 in a document of type {media_type}", remedy="set schemaVersion to 2"
        )
    if media_type in IMAGES and ("manifests" in present or "config" not in present):
        raise wrong_shape("the manifest", f"an image with a `config`, because its type is {media_type}")
    if media_type in INDEXES and ("manifests" not in document or present - {"manifests", "blobs"}):
        raise wrong_shape("the manifest", f"an index with `manifests`, because its type is {media_type}")


def _limit_references(document: Mapping[str, Any]) -> None:
    # Counted before any is read, so that a refusal is cheap.
    lists = [document.get(field) for field in ("layers", "blobs", "manifests")]
    count = sum(len(value) for value in lists if isinstance(value, list))
    if count > MOST_REFERENCES:
        raise ManifestInvalid(
            f"the manifest names {count} things, more than {MOST_REFERENCES}",
            remedy=f"name at most {MOST_REFERENCES} layers or manifests in one document",
            limit=MOST_REFERENCES,
            count=count,
        )


# ── what it names ───────────────────────────────────────────────────────────────────────────────────────


def _read(document: Mapping[str, Any], media_type: str) -> Manifest:
    known = media_type in IMAGES or media_type in INDEXES
    one, several = (_one, _several) if known else (_one_if_descriptor, _several_if_descriptors)
    config = one(document, "config")
    layers = several(document, "layers")
    if not known:
        layers += several(document, "blobs")
    artifact_type = optional_type(document, "artifactType", "the manifest")
    if artifact_type is None and config is not None:
        artifact_type = config.media_type or None
    return Manifest(
        media_type=media_type,
        artifact_type=artifact_type,
        config=config,
        layers=layers,
        manifests=several(document, "manifests"),
        subject=one(document, "subject"),
        annotations=parse_annotations(document.get("annotations"), "annotations"),
    )


def _one(document: Mapping[str, Any], field: str) -> Descriptor | None:
    value = document.get(field)
    return None if value is None else parse_descriptor(value, field)


def _several(document: Mapping[str, Any], field: str) -> tuple[Descriptor, ...]:
    values = document.get(field)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise wrong_shape(field, "a list of descriptors")
    return tuple(parse_descriptor(value, f"{field}[{index}]") for index, value in enumerate(values))


# A type that nobody knows may use the names for its own ends.  What claims to be a descriptor is held to it.


def _one_if_descriptor(document: Mapping[str, Any], field: str) -> Descriptor | None:
    value = document.get(field)
    return parse_descriptor(value, field) if _claims_to_be_descriptor(value) else None


def _several_if_descriptors(document: Mapping[str, Any], field: str) -> tuple[Descriptor, ...]:
    values = document.get(field)
    if not isinstance(values, list):
        return ()
    return tuple(
        parse_descriptor(value, f"{field}[{index}]")
        for index, value in enumerate(values)
        if _claims_to_be_descriptor(value)
    )


def _claims_to_be_descriptor(value: object) -> bool:
    return isinstance(value, dict) and {"mediaType", "digest", "size"} <= value.keys()
