"""Which of an issuer's tokens stand for a robot: claims, and what they must be.

A rule that would fit a stranger's token is refused when it is written.  Anybody has an account with GitHub, so its
issuer signs for anybody: at least one claim must say whose project it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt
from roadstead.oci.patterns import Pattern

MOST_CLAIMS = 20
LONGEST_VALUE = 1024

# Of a token itself, not of who asked for it: these are checked by other rules.
_CHECKED = frozenset({"iss", "aud", "exp", "iat", "nbf", "jti"})
# Claims that say whose token it is, and no claim besides: one of them must be pinned.
IDENTIFYING = (
    "sub",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "workflow_ref",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
)
_CLAIM = re.compile(r"[A-Za-z0-9_.:/@-]{1,128}")
_META = re.compile(r"[*?\[{\\]")
# What a pattern begins with that names an owner: `acme/`, or `repo:acme/` and the like.
_OWNER = re.compile(r"(?:[^/]*:)?[^/:]+/.*", re.DOTALL)


def check_rule(rule: Mapping[str, str]) -> None:
    """Raises `RequestInvalid`."""
    if not 1 <= len(rule) <= MOST_CLAIMS:
        raise RequestInvalid(
            f"a trust rule names 1 to {MOST_CLAIMS} claims", remedy="send `claims`", limit=MOST_CLAIMS
        )
    for name, pattern in rule.items():
        if _CLAIM.fullmatch(name) is None:
            raise RequestInvalid(f"{excerpt(name)} is not the name of a claim", remedy="check the name")
        if name in _CHECKED:
            raise RequestInvalid(
                f"the claim {name} is checked for every token, and is no part of a rule",
                remedy="leave it out",
            )
        if not 1 <= len(pattern) <= LONGEST_VALUE:
            raise RequestInvalid(
                f"the value of {name} does not have 1 to {LONGEST_VALUE} characters",
                remedy="write what it must be",
            )
        Pattern.parse(pattern)
    if not any(_pins(rule[name]) for name in IDENTIFYING if name in rule):
        raise RequestInvalid(
            "the rule would fit tokens of anybody: no claim says whose they are",
            remedy="name one of "
            + ", ".join(IDENTIFYING)
            + " in full, or with a wildcard only behind the owner,"
            " as in acme/** or repo:acme/app:*",
        )


def _pins(pattern: str) -> bool:
    meta = _META.search(pattern)
    return meta is None or _OWNER.fullmatch(pattern[: meta.start()]) is not None


def fits(rule: Mapping[str, object], claims: Mapping[str, object]) -> bool:
    """Whether every claim of the rule is in the token and is as the rule says.  A list fits by any of its entries."""
    return bool(rule) and all(
        isinstance(pattern, str) and any(_matches(pattern, value) for value in _texts(claims.get(name)))
        for name, pattern in rule.items()
    )


def _matches(pattern: str, value: str) -> bool:
    if _META.search(pattern) is None:
        return pattern == value
    return bool(value) and value.strip("/") == value and Pattern.parse(pattern).matches(value)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, int):
        return [str(value)]
    if isinstance(value, list):
        return [entry for entry in value if isinstance(entry, str)]
    return []
