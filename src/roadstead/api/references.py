"""The part of a path that names an artifact, a tag, a label."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Path

from roadstead.api.shapes import LARGEST
from roadstead.oci.digests import Digest
from roadstead.oci.names import Tag, parse_reference, parse_tag


def _artifact(
    reference: Annotated[str, Path(max_length=255, description="A tag or a digest.")],
) -> Tag | Digest:
    return parse_reference(unquote(reference))


def _tag(tag_name: Annotated[str, Path(max_length=255, description="A tag's name.")]) -> Tag:
    return parse_tag(tag_name)


# Parameters of handlers, for paths with `{reference}`, `{tag_name}` and `{label_id}`.
ArtifactReference = Annotated[Tag | Digest, Depends(_artifact)]
TagName = Annotated[Tag, Depends(_tag)]
LabelId = Annotated[int, Path(ge=1, le=LARGEST)]
