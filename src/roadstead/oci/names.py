"""Repository names, tags, and the references that may be either a tag or a digest.

The grammars are those of the distribution specification, "Pulling manifests".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from roadstead.errors import NameInvalid, TagInvalid
from roadstead.oci.digests import Digest
from roadstead.oci.excerpts import excerpt

LONGEST_NAME = 255
LONGEST_TAG = 128

Tag = NewType("Tag", str)

# A component cannot begin with an underscore, which keeps `_catalog`, `_uploads` and the like out of reach.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{LONGEST_TAG - 1}}}")


@dataclass(frozen=True, slots=True)
class RepositoryName:
    """Where images live: a project, and a path in it.

    `requested` is the name as the client spelt it, which answers must repeat; a name of one component belongs
    to the default project.
    """

    project: str
    path: str
    requested: str

    @property
    def full(self) -> str:
        return f"{self.project}/{self.path}"

    @classmethod
    def parse(cls, text: str, *, default_project: str) -> RepositoryName:
        return _parse_name(text, default_project)


@lru_cache(maxsize=4096)
def _parse_name(text: str, default_project: str) -> RepositoryName:
    # The length comes first: the pattern is linear, and this keeps even that short.
    if len(text) > LONGEST_NAME:
        raise _too_long(text)
    if _NAME.fullmatch(text) is None:
        raise NameInvalid(
            f"{excerpt(text)} is not a repository name",
            remedy="write components of lower-case letters and digits, separated by '/'; "
            "inside a component '.', '_', '__' or any number of '-' may join them",
        )
    project, slash, path = text.partition("/")
    if not slash:
        project, path = default_project, text
        if len(project) + 1 + len(path) > LONGEST_NAME:
            raise _too_long(text)
    return RepositoryName(project, path, text)


def _too_long(text: str) -> NameInvalid:
    return NameInvalid(
        f"the repository name {excerpt(text)} is longer than {LONGEST_NAME} characters with its project",
        remedy="choose a shorter name",
        limit=LONGEST_NAME,
    )


def parse_tag(text: str) -> Tag:
    if _TAG.fullmatch(text) is None:
        raise TagInvalid(
            f"{excerpt(text)} is not a tag",
            remedy=f"use at most {LONGEST_TAG} ASCII letters, digits, '_', '.' and '-', "
            "and begin with a letter, a digit or '_'",
            limit=LONGEST_TAG,
        )
    return Tag(text)


def parse_reference(text: str) -> Tag | Digest:
    """The tag or digest of a manifest's URL.  No tag holds a colon, and every digest does."""
    return Digest.parse(text) if ":" in text else parse_tag(text)
