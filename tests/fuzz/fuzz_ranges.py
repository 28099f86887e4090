"""Fuzzes `Range` and `Content-Range`.

    python tests/fuzz/fuzz_ranges.py -max_total_time=20

Only a `RoadsteadError` may escape; the parts lie inside the content and never share or touch a byte.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import pairwise

import atheris

with atheris.instrument_imports(include=["roadstead.oci"]):
    from roadstead.oci.ranges import LARGEST_OFFSET, MOST_RANGES, parse_content_range, parse_range

from roadstead.errors import RoadsteadError


def read_range(header: str, size: int) -> None:
    with suppress(RoadsteadError):
        parts = parse_range(header, size)
        if parts is None:
            return
        assert 0 < len(parts) <= MOST_RANGES
        assert all(0 <= part.first <= part.last < size for part in parts)
        in_space = sorted(parts, key=lambda part: part.first)
        assert all(one.last + 1 < other.first for one, other in pairwise(in_space)), "two parts touch"


def read_content_range(text: str) -> None:
    with suppress(RoadsteadError):
        first, last = parse_content_range(text)
        assert 0 <= first <= last <= LARGEST_OFFSET


def test_one_input(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    size = provider.ConsumeIntInRange(0, 4096)
    text = provider.ConsumeUnicode(len(data))
    for header in (text, f"bytes={text}"):
        read_range(header, size)
        read_range(header, LARGEST_OFFSET)
    for header in (text, f"bytes {text}"):
        read_content_range(header)


def main() -> None:
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
