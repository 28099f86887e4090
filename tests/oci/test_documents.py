"""Strict JSON: one text, one meaning."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import ManifestInvalid, RoadsteadError
from roadstead.oci.documents import DEEPEST_NESTING, LARGEST_INTEGER, SMALLEST_INTEGER, strict_json

MEBIBYTE = 2**20


def read(data: bytes | str) -> object:
    return strict_json(data, what="the document")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{} {}",
        b"{}x",
        b"{}\0",
        b"[1,]",
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        "\ufeff{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        "{}".encode("utf-32"),
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\x00"',
        b'"\n"',
        b'{"a":1,"a":1}',
        b'[{"b":{"a":1,"\\u0061":2}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"[-1e400]",
        b"1" * 5000,
        b"1" * 4000,
        str(LARGEST_INTEGER + 1).encode(),
        str(SMALLEST_INTEGER - 1).encode(),
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'["\\u0000"]',
        b'{"a\\u0000":1}',
        '"\ud800"',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes | str) -> None:
    with pytest.raises(ManifestInvalid, match="the document") as caught:
        read(data)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":[1,2.5,true,null,"x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (str(LARGEST_INTEGER).encode(), LARGEST_INTEGER),
        (str(SMALLEST_INTEGER).encode(), SMALLEST_INTEGER),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b' \n{"\\u003c":"\\\\u0000"}\n', {"<": "\\u0000"}),
        ("ä".encode().join([b'"', b'"']), "ä"),
    ],
)
def test_ordinary_documents_are_read(data: bytes, value: object) -> None:
    assert read(data) == value


def test_nesting_is_allowed_up_to_its_limit_and_no_further() -> None:
    read(b"[" * DEEPEST_NESTING + b"1" + b"]" * DEEPEST_NESTING)
    with pytest.raises(ManifestInvalid, match=str(DEEPEST_NESTING)):
        read(b"[" * (DEEPEST_NESTING + 1) + b"]" * (DEEPEST_NESTING + 1))


def test_commas_inside_strings_are_not_counted_as_values() -> None:
    text = ",[{" * MEBIBYTE
    assert read(json.dumps([text, '\\"' * 10])) == [text, '\\"' * 10]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(SMALLEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=20,
)


@given(json_values, st.booleans())
def test_every_value_reads_back_as_it_was_written(value: object, ascii_only: bool) -> None:
    assert read(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary() | st.text('[]{}":,\\u0d1e-+.ntf'))
def test_nothing_but_a_refusal_is_raised(data: bytes | str) -> None:
    with suppress(RoadsteadError):
        read(data)


@pytest.mark.parametrize(
    "piece",
    [b"[", b"{", b'{"a":', b"[],", b"{},", b"1,", b'"",', b'"', b'\\"', b'"\\"', b"1", b"-", b" ", b"1e1,"],
)
def test_four_mebibytes_of_hostile_text_cost_little(piece: bytes) -> None:
    for data in (b"[" + piece * (4 * MEBIBYTE // len(piece)), b'["' + piece * (4 * MEBIBYTE // len(piece))):
        begun = time.process_time()
        with pytest.raises(ManifestInvalid):
            read(data)
        assert time.process_time() - begun < 2
