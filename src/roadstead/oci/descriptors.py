"""Descriptors: what one document says of content it does not hold.  Image specification, `descriptor.md`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roadstead.errors import DigestInvalid, ManifestInvalid
from roadstead.oci.digests import Digest
from roadstead.oci.documents import LARGEST_INTEGER
from roadstead.oci.excerpts import excerpt
from roadstead.oci.media_types import NON_DISTRIBUTABLE

LONGEST_MEDIA_TYPE = 255


class FieldNames:
    """The names that the specification gives to an object's fields, as they are and without case."""

    def __init__(self, *names: str) -> None:
        self.exact = frozenset(names)
        self.folded = frozenset(name.casefold() for name in names)


_FIELDS = FieldNames("mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed pointer to content.  `size` is a claim until the bytes are there: never allocate by it."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None
    annotations: Mapping[str, str]
    urls: tuple[str, ...]

    @property
    def distributable(self) -> bool:
        """Whether a registry must hold the content.  Only the media type decides, never `urls` or `data`."""
        return self.media_type not in NON_DISTRIBUTABLE


def parse_descriptor(value: object, where: str) -> Descriptor:
    """The descriptor in a parsed JSON `value`; `where` names its place in a refusal ("layers[3]")."""
    if not isinstance(value, dict):
        raise wrong_shape(where, "a descriptor: an object with mediaType, digest and size")
    refuse_lookalikes(value, _FIELDS, where)
    return Descriptor(
        media_type=_media_type(value, where),
        digest=_digest(value, where),
        size=_size(value, where),
        artifact_type=optional_type(value, "artifactType", where),
        annotations=parse_annotations(value.get("annotations"), f"{where}.annotations"),
        urls=_urls(value.get("urls"), where),
    )


def parse_annotations(value: object, where: str) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise wrong_shape(where, "an object whose values are all strings")
    return value


def optional_type(members: Mapping[str, Any], field: str, where: str) -> str | None:
    """A media type that may be missing.  Go programs write "" and null for what they do not know."""
    value = members.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST_MEDIA_TYPE or not value.isprintable():
        raise wrong_shape(
            f"{where}.{field}", f"a string of at most {LONGEST_MEDIA_TYPE} printable characters"
        )
    return value


def refuse_lookalikes(members: Mapping[str, Any], fields: FieldNames, where: str) -> None:
    """Refuses a key that differs from a known field in its letters' case only.

    Some JSON readers, Go's among them, take `MediaType`, or `digest` spelt with a long s (U+017F), for the
    field itself: to them the document would mean something else than to us.
    """
    for key in members:
        if key not in fields.exact and key.casefold() in fields.folded:
            raise ManifestInvalid(
                f"{where} has a key {excerpt(key)} that some clients take for another",
                remedy="spell the specification's fields exactly as it does",
            )


def wrong_shape(where: str, expected: str) -> ManifestInvalid:
    return ManifestInvalid(f"{where} must be {expected}", remedy=f"correct {where} and push again")


def _media_type(members: Mapping[str, Any], where: str) -> str:
    if not isinstance(members.get("mediaType"), str):
        raise wrong_shape(f"{where}.mediaType", "a string")
    return optional_type(members, "mediaType", where) or ""


def _digest(members: Mapping[str, Any], where: str) -> Digest:
    value = members.get("digest")
    if not isinstance(value, str):
        raise wrong_shape(f"{where}.digest", "a string")
    try:
        return Digest.parse(value)
    except DigestInvalid as error:
        raise ManifestInvalid(f"{where}.digest: {error.message}", remedy=error.remedy) from None


def _size(members: Mapping[str, Any], where: str) -> int:
    size = members.get("size")
    # Not isinstance: True is an int, too.
    if type(size) is not int or not 0 <= size <= LARGEST_INTEGER:
        raise wrong_shape(f"{where}.size", f"an integer from 0 to {LARGEST_INTEGER}")
    return size


def _urls(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        raise wrong_shape(f"{where}.urls", "a list of strings")
    return tuple(value)
