"""What a project may be called, and what may be set of it, as plain functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from roadstead.errors import Invalid, NameInvalid
from roadstead.oci.excerpts import excerpt

LONGEST_PROJECT_NAME = 255
# Of storage, in bytes: Harbor's.
MOST_BYTES = 2**50
UNLIMITED = -1

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SEVERITIES = {
    "negligible": "none",
    "none": "none",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "critical": "critical",
}
_SPEED = re.compile(r"-1|[1-9][0-9]{0,17}")
LONGEST_VALUE = 1024

# Kept in columns of their own, and always there.
PUBLIC = "public"
PROTECTED = "deletion_protected"


class MetadataInvalid(Invalid):
    """There is no such key, or it cannot have that value."""


def check_project_name(text: str) -> str:
    """Raises `NameInvalid`."""
    if len(text) > LONGEST_PROJECT_NAME or _NAME.fullmatch(text) is None:
        raise NameInvalid(
            f"{excerpt(text)} is not a name for a project",
            remedy=f"use at most {LONGEST_PROJECT_NAME} lower-case letters and digits, with single '.', '_' or '-'"
            " between them",
            limit=LONGEST_PROJECT_NAME,
        )
    return text


def check_storage(limit: int) -> int:
    """Raises `Invalid`."""
    if limit == UNLIMITED or 1 <= limit <= MOST_BYTES:
        return limit
    raise Invalid(
        f"a project's storage limit is {UNLIMITED}, which is none, or from 1 to {MOST_BYTES} bytes",
        remedy="give such a number, or leave it out for the default",
        limit=MOST_BYTES,
    )


def _flag(key: str, value: str) -> str:
    if value in _TRUE:
        return "true"
    if value in _FALSE:
        return "false"
    raise MetadataInvalid(f"{key} is true or false, not {excerpt(value)}", remedy="give one of the two")


def _severity(key: str, value: str) -> str:
    found = _SEVERITIES.get(value.lower())
    if found is None:
        raise MetadataInvalid(
            f"{key} cannot be {excerpt(value)}", remedy=f"give one of: {', '.join(_SEVERITIES)}"
        )
    return found


def _positive(key: str, value: str) -> str:
    if _SPEED.fullmatch(value) is None:
        raise MetadataInvalid(
            f"{key} is -1, which is no limit, or a whole number above 0", remedy="give such a number"
        )
    return value


def _kind(key: str, value: str) -> str:
    if value not in {"", "doublestar", "regex"}:
        raise MetadataInvalid(f"{key} is doublestar or regex", remedy="give one of the two")
    return value


def _text(key: str, value: str) -> str:
    if len(value) > LONGEST_VALUE:
        raise MetadataInvalid(
            f"{key} has at most {LONGEST_VALUE} characters", remedy="give a shorter text", limit=LONGEST_VALUE
        )
    return value


# Harbor's keys, and ours.  Those of features that are not built are kept and shown.
METADATA: Mapping[str, Callable[[str, str], str]] = {
    PUBLIC: _flag,
    PROTECTED: _flag,
    "enable_content_trust": _flag,
    "enable_content_trust_cosign": _flag,
    "prevent_vul": _flag,
    "severity": _severity,
    "auto_scan": _flag,
    "auto_sbom_generation": _flag,
    "reuse_sys_cve_allowlist": _flag,
    "proxy_speed_kb": _positive,
    "max_upstream_conn": _positive,
    "proxy_cache_local_on_not_found": _flag,
    "proxy_referrer_api": _flag,
    "proxy_cache_filter_pattern": _text,
    "proxy_cache_filter_kind": _kind,
}


def check_metadata_key(key: str) -> str:
    """Raises `MetadataInvalid`."""
    if key not in METADATA:
        raise MetadataInvalid(
            f"a project has no metadata called {excerpt(key)}", remedy=f"use one of: {', '.join(METADATA)}"
        )
    return key


def check_metadata(values: Mapping[str, str]) -> dict[str, str]:
    """The values in the form in which they are kept.  Raises `MetadataInvalid`."""
    return {key: METADATA[check_metadata_key(key)](key, value) for key, value in values.items()}
