"""Which image of an index a client gets that cannot read indexes."""

from __future__ import annotations

from roadstead.errors import RoadsteadError
from roadstead.oci.digests import Digest
from roadstead.oci.documents import strict_json

# What such clients have always been given.
DEFAULT_PLATFORM = ("linux", "amd64")


def default_child(payload: bytes) -> Digest | None:
    """The digest of the index's image for `DEFAULT_PLATFORM`, or None."""
    try:
        entries = strict_json(payload, what="index").get("manifests") or ()
        for entry in entries:
            platform = entry.get("platform") or {}
            if (platform.get("os"), platform.get("architecture")) == DEFAULT_PLATFORM:
                return Digest.parse(entry["digest"])
    except (RoadsteadError, AttributeError, KeyError, TypeError):
        return None
    return None
