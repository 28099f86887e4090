"""Range and Content-Range."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import BlobUploadInvalid, RangeInvalid, RoadsteadError
from roadstead.oci.ranges import (
    LARGEST_OFFSET,
    MOST_RANGES,
    ByteRange,
    parse_content_range,
    parse_range,
)

SIZE = 2048


def parts(header: str, size: int = SIZE) -> list[tuple[int, int]] | None:
    ranges = parse_range(header, size)
    return None if ranges is None else [(part.first, part.last) for part in ranges]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=500-1499", [(500, 1499)]),
        ("bytes=500-", [(500, 2047)]),
        ("bytes=-500", [(1548, 2047)]),
        ("bytes=2000-5000", [(2000, 2047)]),
        ("bytes=0-0", [(0, 0)]),
        ("bytes=-1", [(2047, 2047)]),
        ("bytes=-9999", [(0, 2047)]),
        ("bytes=0-", [(0, 2047)]),
        ("Bytes=0-1", [(0, 1)]),
        ("bytes= 0-1 ,\t5-6", [(0, 1), (5, 6)]),
        ("bytes=,0-1,,", [(0, 1)]),
        ("bytes=0-99999999999999999999999999", [(0, 2047)]),
        ("bytes=-99999999999999999999999999", [(0, 2047)]),
        ("bytes=0000000000000000000000000001-2", [(1, 2)]),
        ("bytes=0-1,9999-", [(0, 1)]),
        ("bytes=0-1,-0", [(0, 1)]),
    ],
)
def test_a_range_is_cut_to_what_is_there(header: str, expected: list[tuple[int, int]]) -> None:
    assert parts(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "bytes=500-0",
        "bytes=0-1,500-0",
        "bytes=5000-10000",
        "bytes=2048-",
        "bytes=-0",
        "bytes=5000-,6000-",
        "bytes=9999999999999999999999-",
        "bytes=" + "9" * 10_000 + "-",
        "bytes=" + "0-0," * MOST_RANGES,
        "bytes=" + "," * 10_000 + "0-1",
    ],
)
def test_a_range_that_cannot_be_served_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid) as caught:
        parse_range(header, SIZE)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=0",
        "bytes=0-1-2",
        "bytes=0x0-1",
        "bytes=+0-1",
        "bytes=--1",
        "bytes=1_0-20",
        "bytes=٣-٤",
        "bytes=0 - 1",
        "bytes=0-1;",
        "bytes=0-1\n",
        "bytes = 0-1",
        "items=0-1",
        "bytes=0-1,rows",
    ],
)
def test_what_is_not_a_range_of_bytes_is_ignored(header: str) -> None:
    assert parse_range(header, SIZE) is None


def test_content_without_bytes_is_served_whole() -> None:
    assert parse_range("bytes=0-", 0) is None
    assert parse_range("bytes=-5", 0) is None
    with pytest.raises(RangeInvalid):
        parse_range("bytes=500-0", 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-1,10-11", [(0, 1), (10, 11)]),
        ("bytes=10-11,0-1", [(10, 11), (0, 1)]),
        ("bytes=0-9,10-19", [(0, 19)]),
        ("bytes=0-9,5-14", [(0, 14)]),
        ("bytes=100-,0-0,50-", [(50, 2047), (0, 0)]),
        ("bytes=0-0,0-0,0-0", [(0, 0)]),
        ("bytes=0-,0-,0-", [(0, 2047)]),
    ],
)
def test_ranges_that_touch_become_one_in_the_place_of_the_first(
    header: str, expected: list[tuple[int, int]]
) -> None:
    assert parts(header) == expected


spans = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda span: (min(span), max(span)))


@given(st.lists(spans, min_size=1, max_size=MOST_RANGES), st.integers(1, 50))
def test_the_parts_cover_what_was_asked_once(asked: list[tuple[int, int]], size: int) -> None:
    wanted = {offset for first, last in asked for offset in range(first, min(last, size - 1) + 1)}
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in asked)
    try:
        ranges = parse_range(header, size)
    except RangeInvalid:
        assert not wanted
        return
    assert ranges is not None
    assert sum(part.length for part in ranges) == len(wanted)
    assert {offset for part in ranges for offset in range(part.first, part.last + 1)} == wanted


@given(st.text() | st.text("0123456789-, =bytes").map(lambda text: f"bytes={text}"), st.integers(0, 2**63))
def test_every_header_is_served_ignored_or_refused(header: str, size: int) -> None:
    try:
        ranges = parse_range(header, size)
    except RangeInvalid:
        return
    assert ranges is None or all(0 <= part.first <= part.last < size for part in ranges)


@pytest.mark.parametrize("piece", ["0-1,", "-", "9", ",", " ", "5-2,", "0-,", "\t,", "9-"])
def test_a_hostile_range_costs_little(piece: str) -> None:
    begun = time.process_time()
    with suppress(RangeInvalid):
        parse_range("bytes=" + piece * (100_000 // len(piece)), SIZE)
    assert time.process_time() - begun < 0.05


def test_a_length_counts_both_ends() -> None:
    assert ByteRange(5, 5).length == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-499", (0, 499)),
        ("500-500", (500, 500)),
        ("bytes 0-499/1234", (0, 499)),
        ("bytes 0-499/*", (0, 499)),
        ("bytes 0-499", (0, 499)),
        (f"0-{LARGEST_OFFSET}", (0, LARGEST_OFFSET)),
    ],
)
def test_a_chunk_says_where_it_belongs(text: str, expected: tuple[int, int]) -> None:
    assert parse_content_range(text) == expected


@pytest.mark.parametrize(
    "text", ["5-2", f"0-{LARGEST_OFFSET + 1}", "0-" + "9" * 5000, "bytes 0-499/499", "bytes 5-2/*"]
)
def test_a_chunk_that_cannot_be_anywhere_does_not_fit(text: str) -> None:
    with pytest.raises(RangeInvalid):
        parse_content_range(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "0-",
        "-5",
        "a-b",
        "0-1\n",
        " 0-1",
        "0 - 1",
        "٣-٤",
        "+0-1",
        "1_0-20",
        "bytes=0-1",
        "0-1/2",
        "bytes */5",
    ],
)
def test_a_chunk_that_says_nothing_we_can_read_is_refused(text: str) -> None:
    with pytest.raises(BlobUploadInvalid):
        parse_content_range(text)


@given(st.text() | st.from_regex(r"(bytes )?[0-9]{1,30}-[0-9]{1,30}(/[0-9*]{1,30})?"))
def test_only_a_refusal_is_raised_for_a_chunk(text: str) -> None:
    try:
        first, last = parse_content_range(text)
    except RoadsteadError:
        return
    assert 0 <= first <= last <= LARGEST_OFFSET
