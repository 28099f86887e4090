"""What kind of artifact a manifest is, in Harbor's words, from its media types alone."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, false, or_

from roadstead.oci.media_types import DOCKER_CONFIG, INDEXES, OCI_CONFIG
from roadstead.registry.blobs.queries import MANIFESTS

IMAGE, CHART, UNKNOWN = "IMAGE", "CHART", "UNKNOWN"
MODEL = "CNAI"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_OF_TYPE = {
    OCI_CONFIG: IMAGE,
    DOCKER_CONFIG: IMAGE,
    HELM_CONFIG: CHART,
    "application/vnd.cncf.model.manifest.v1+json": MODEL,
    "application/vnd.cncf.model.config.v1+json": MODEL,
    "application/vnd.cnai.model.config.v1+json": MODEL,
    "application/vnd.goharbor.harbor.sbom.v1": "SBOM",
    "application/vnd.wasm.config.v1+json": "WASM",
}
# `application/vnd.acme.rocket.config.v1+json` is a ROCKET.
_NAMED = re.compile(r"application/vnd\.[^.]+\.([^/]+)\.config\.[^.]+\+(?:json|yaml)")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,100}")

# What refers to another manifest.
_ACCESSORIES = {
    "application/vnd.dev.cosign.artifact.sig.v1+json": "signature.cosign",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "signature.cosign",
    "application/vnd.cncf.notary.signature": "signature.notation",
    "application/vnd.goharbor.harbor.sbom.v1": "sbom.harbor",
}
NYDUS = "accelerator.nydus"
OTHER_ACCESSORY = "subject.accessory"


def type_of(media_type: str, artifact_type: str | None) -> str:
    """`artifact_type` is the manifest's own, else its config's media type."""
    if artifact_type is None:
        return IMAGE if media_type in INDEXES else UNKNOWN
    known = _OF_TYPE.get(artifact_type)
    if known is not None:
        return known
    found = _NAMED.fullmatch(artifact_type)
    return found[1].upper() if found else UNKNOWN


def accessory_type(artifact_type: str | None, *, nydus: bool = False) -> str:
    return NYDUS if nydus else _ACCESSORIES.get(artifact_type or "", OTHER_ACCESSORY)


def has_type(wanted: str) -> ColumnElement[bool]:
    """The condition that a manifest is of that type; the same as `type_of`, as SQL."""
    column = MANIFESTS.c.artifact_type
    types = [media_type for media_type, kind in _OF_TYPE.items() if kind == wanted.upper()]
    if wanted.upper() == IMAGE:
        plain_index = and_(column.is_(None), MANIFESTS.c.media_type.in_(INDEXES))
        return or_(column.in_(types), plain_index)
    if types:
        return column.in_(types)
    named = "application/vnd.%.%.config.%"
    if wanted.upper() == UNKNOWN:
        strange = and_(column.not_in(list(_OF_TYPE)), column.not_like(named))
        return or_(strange, and_(column.is_(None), MANIFESTS.c.media_type.not_in(INDEXES)))
    if _WORD.fullmatch(wanted) is None:
        return false()
    escaped = wanted.lower().replace("_", r"\_")
    return column.like(f"application/vnd.%.{escaped}.config.%", escape="\\")
