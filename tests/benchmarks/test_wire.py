"""Requests and answers of the load generator."""

from __future__ import annotations

import pytest
from benchmarks.wire import Chunks, Response, WireError, request

CHUNKED = b"4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: t\r\n\r\n"


def test_a_request_counts_its_body() -> None:
    made = request("PUT", "/x", host="h", body=[b"ab", b"c"])
    assert made.pieces == [b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", b"ab", b"c"]


def test_a_chunked_request_has_no_length() -> None:
    head = bytes(request("PATCH", "/x", host="h", body=[b"0\r\n\r\n"], chunked=True).pieces[0])
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head


def test_an_empty_header_is_not_sent() -> None:
    assert b"Authorization" not in bytes(
        request("GET", "/x", host="h", headers=[("Authorization", "")]).pieces[0]
    )


def test_a_header_is_found_however_it_is_spelt() -> None:
    assert Response(202, b"HTTP/1.1 202 A\r\nlocation:  /there ").header("Location") == "/there"


@pytest.mark.parametrize("step", [1, 2, 3, 7, len(CHUNKED)])
def test_chunks_end_wherever_they_are_cut(step: int) -> None:
    chunks = Chunks()
    for at in range(0, len(CHUNKED), step):
        assert not chunks.ended
        chunks.feed(CHUNKED[at : at + step])
    assert chunks.ended
    assert chunks.length == 9


def test_what_follows_the_last_chunk_is_left_alone() -> None:
    assert Chunks().feed(CHUNKED + b"HTTP/1.1") == len(CHUNKED)


def test_a_chunk_without_a_size_is_refused() -> None:
    with pytest.raises(WireError, match="size of a chunk"):
        Chunks().feed(b"zz\r\n")
