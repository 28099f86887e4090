"""Conditional requests (RFC 9110 §13).  An entity tag is the digest in quotes, and strong: bytes never change."""

from __future__ import annotations

from roadstead.registry.calls import Call


def etag(digest: bytes) -> bytes:
    return b'"%s"' % digest


def is_not_modified(call: Call, digest: str) -> bool:
    """Whether the client already holds what it asks for (If-None-Match, weak comparison)."""
    lines = call.header_lines(b"if-none-match")
    return bool(lines) and _names(lines, digest)


def range_applies(call: Call, digest: str) -> bool:
    """Whether a Range header counts: If-Range, where sent, must name this very content (strong comparison)."""
    condition = call.header(b"if-range")
    return condition is None or condition.strip() == f'"{digest}"'


def _names(lines: list[str], digest: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for line in lines for tag in line.split(",")}
    return "*" in tags or f'"{digest}"' in tags
