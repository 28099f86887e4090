"""Byte ranges: what a client asks for (`Range`), and where a chunk belongs (`Content-Range`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.errors import BlobUploadInvalid, RangeInvalid
from roadstead.oci.excerpts import excerpt

MOST_RANGES = 100
LARGEST_OFFSET = 2**63 - 1

_RANGE = re.compile(r"[ \t]*([0-9]*)-([0-9]*)[ \t]*")
_BLANK = re.compile(r"[ \t]*")
_CONTENT_RANGE = re.compile(r"(?:([0-9]+)-([0-9]+)|bytes[ ]([0-9]+)-([0-9]+)(?:/([0-9]+|\*))?)")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Some bytes of a blob, from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def parse_range(header: str, size: int) -> list[ByteRange] | None:
    """The parts of `size` bytes that a `Range` header asks for.  RFC 9110 §14.

    None means: answer with the whole, status 200.  So it is for units other than bytes, for what is not a
    range at all, and for content without bytes, of which no part can be named.

    Raises `RangeInvalid` when no range lies inside the content, when a range ends before it begins (the RFC
    would let us ignore it; the conformance suite wants 416), and for more than `MOST_RANGES` ranges.

    Ranges that overlap or touch come back as one, in the place of the first of them; otherwise the order is
    the client's.  So an answer is never longer than the content, whatever is asked.
    """
    unit, equals, text = header.partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    if text.count(",") >= MOST_RANGES:
        raise RangeInvalid(
            f"the Range header names more than {MOST_RANGES} ranges",
            remedy=f"ask for at most {MOST_RANGES} ranges at once",
            limit=MOST_RANGES,
        )
    asked = _bounds(text, size)
    if asked is None:
        return None
    if size == 0:
        return None
    inside = [part for part in (_inside(first, last, size) for first, last in asked) if part is not None]
    if not inside:
        raise RangeInvalid(
            f"the Range header asks for bytes beyond the end: there are {size}",
            remedy=f"ask for bytes from 0 to {size - 1}",
            size=size,
        )
    return inside if len(inside) == 1 else _coalesced(inside)


def parse_content_range(text: str) -> tuple[int, int]:
    """The first and last offset, both included, of an upload's chunk.

    The distribution specification's form is `0-499`; HTTP's, `bytes 0-499/1234`, is understood too.
    """
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise BlobUploadInvalid(
            f"the Content-Range {excerpt(text)} cannot be read",
            remedy="send the first and the last offset of the chunk, as in Content-Range: 0-499",
        )
    first, last = _number(match[1] or match[3]), _number(match[2] or match[4])
    total = _number(match[5]) if match[5] not in (None, "*") else None
    if last > LARGEST_OFFSET:
        raise RangeInvalid(
            f"the Content-Range {excerpt(text)} goes beyond {LARGEST_OFFSET}",
            remedy="send the offsets of the chunk in the blob",
            limit=LARGEST_OFFSET,
        )
    if last < first or (total is not None and total <= last):
        raise RangeInvalid(
            f"the Content-Range {excerpt(text)} contradicts itself",
            remedy="send the first offset, then the last one, which is inside the total if you name it",
        )
    return first, last


def _bounds(text: str, size: int) -> list[tuple[int | None, int | None]] | None:
    """The numbers before and after each dash.  None when an element is not a range."""
    bounds: list[tuple[int | None, int | None]] = []
    for element in text.split(","):
        if _BLANK.fullmatch(element):
            continue
        match = _RANGE.fullmatch(element)
        if match is None or not (match[1] or match[2]):
            return None
        first, last = (_number(digits) if digits else None for digits in match.groups())
        if first is not None and last is not None and last < first:
            raise RangeInvalid(
                "a range of the Range header ends before it begins",
                remedy="name the first byte, then the last",
                size=size,
            )
        bounds.append((first, last))
    return bounds or None


def _number(digits: str) -> int:
    """The number, or one that is too large: converting thousands of digits takes quadratic time."""
    digits = digits.lstrip("0")
    if len(digits) > 19:
        return LARGEST_OFFSET + 1
    return int(digits or "0")


def _inside(first: int | None, last: int | None, size: int) -> ByteRange | None:
    """The part of a range that exists, or None.  Without `first`, `last` counts from the end."""
    if first is None:
        return ByteRange(max(0, size - last), size - 1) if last else None
    if first >= size:
        return None
    return ByteRange(first, size - 1 if last is None else min(last, size - 1))


def _coalesced(ranges: Sequence[ByteRange]) -> list[ByteRange]:
    in_space = sorted(range(len(ranges)), key=lambda index: ranges[index].first)
    merged: list[tuple[int, ByteRange]] = []
    for index in in_space:
        part = ranges[index]
        if merged and part.first <= merged[-1][1].last + 1:
            place, before = merged.pop()
            merged.append((min(place, index), ByteRange(before.first, max(before.last, part.last))))
        else:
            merged.append((index, part))
    return [part for _, part in sorted(merged, key=lambda item: item[0])]
