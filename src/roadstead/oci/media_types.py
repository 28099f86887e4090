"""Media types: the ones we know, and whether a client accepts the one we have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA_1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
SCHEMA_1 = (DOCKER_SCHEMA_1, DOCKER_SCHEMA_1_SIGNED)

# Layers that may not be redistributed: clients fetch them from elsewhere, and registries need not hold them.
NON_DISTRIBUTABLE = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)

OCTET_STREAM = "application/octet-stream"
JSON = "application/json"

_LONGEST_CACHED = 2048
_MEDIA_RANGE = re.compile(r"(?:\*/\*|[a-z0-9!#$&^_.+-]+/(?:\*|[a-z0-9!#$&^_.+-]+))")
_ZERO = re.compile(r"0(?:\.0{0,3})?")


def essence(content_type: str | None) -> str:
    """The media type without its parameters, in lower case; "" where there is none."""
    if content_type is None:
        return ""
    return content_type.partition(";")[0].strip().lower()


def is_acceptable(accept: Sequence[str], media_type: str) -> bool:
    """Whether the `Accept` header lines allow an answer of `media_type`.

    RFC 9110 §12.5.1: the most specific range that fits decides, and `q=0` refuses.  In doubt the answer is
    yes: no header, an empty one, or one that we cannot read accepts everything, and a weight that we cannot
    read counts as 1.  `application/json` also accepts types that end in `+json`: those who ask for it want to
    read the document, and the document is JSON.
    """
    if not accept:
        return True
    lines = tuple(accept)
    if sum(map(len, lines)) > _LONGEST_CACHED:
        return _is_acceptable(lines, media_type)
    return _is_acceptable_cached(lines, media_type)


def _is_acceptable(lines: tuple[str, ...], media_type: str) -> bool:
    wanted = _media_ranges(lines)
    if not wanted:
        return True
    candidates = [media_type, media_type.partition("/")[0] + "/*", "*/*"]
    if media_type.endswith("+json"):
        candidates.insert(1, JSON)
    return next((wanted[candidate] for candidate in candidates if candidate in wanted), False)


_is_acceptable_cached = lru_cache(maxsize=1024)(_is_acceptable)


def _media_ranges(lines: tuple[str, ...]) -> Mapping[str, bool] | None:
    """Each range that the lines name, and whether it is wanted.  None when they cannot be read."""
    wanted: dict[str, bool] = {}
    for line in lines:
        for element in line.lower().split(","):
            media_range, *parameters = map(str.strip, element.split(";"))
            if not media_range and not parameters:
                continue
            if _MEDIA_RANGE.fullmatch(media_range) is None:
                return None
            wanted[media_range] = wanted.get(media_range, False) or not _refused(parameters)
    return wanted


def _refused(parameters: Sequence[str]) -> bool:
    for parameter in parameters:
        name, _, weight = parameter.partition("=")
        if name.rstrip() == "q":
            return _ZERO.fullmatch(weight.strip()) is not None
    return False
