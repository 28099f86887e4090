"""Digests: the addresses of content.  Image specification, `descriptor.md`, "Digests"."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from roadstead.errors import DigestInvalid
from roadstead.oci.excerpts import excerpt

# The registered algorithms, and how many hex digits each yields.
ALGORITHMS: Mapping[str, int] = MappingProxyType({"sha256": 64, "sha512": 128})

_KNOWN = " or ".join(ALGORITHMS)
_DIGEST = re.compile("|".join(f"({name}):([0-9a-f]{{{length}}})" for name, length in ALGORITHMS.items()))


@dataclass(frozen=True, slots=True)
class Digest:
    """The address of some content: an algorithm and the hash it produced.

    A `Digest` that exists is well formed.  Code that holds one never checks it again.
    """

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        return _parse(text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        return cls(algorithm, hashlib.new(parse_algorithm(algorithm), data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def parse_algorithm(text: str) -> str:
    if text in ALGORITHMS:
        return text
    raise DigestInvalid(
        f"the digest algorithm {excerpt(text)} is not one that this registry knows",
        remedy=f"use {_KNOWN}, in lower case",
    )


# Only digests that are well formed stay in the cache, so hostile text cannot make its entries large.
@lru_cache(maxsize=4096)
def _parse(text: str) -> Digest:
    match = _DIGEST.fullmatch(text)
    if match is None or match.lastindex is None:
        raise _refusal(text)
    return Digest(match[match.lastindex - 1], match[match.lastindex])


def _refusal(text: str) -> DigestInvalid:
    algorithm, colon, _ = text.partition(":")
    if not colon:
        return DigestInvalid(
            f"{excerpt(text)} is not a digest: a digest is an algorithm, a colon and the hash in hex",
            remedy=f"send the digest as algorithm:hex, where the algorithm is {_KNOWN}",
        )
    if algorithm not in ALGORITHMS:
        return DigestInvalid(
            f"{excerpt(text)} is not a digest with an algorithm that this registry knows",
            remedy=f"use a digest made with {_KNOWN}, in lower case",
        )
    return DigestInvalid(
        f"{excerpt(text)} is not a {algorithm} digest: "
        f"it must have exactly {ALGORITHMS[algorithm]} lower-case hex digits after the colon",
        remedy="send the digest exactly as the hash yields it, in lower-case hex",
    )
