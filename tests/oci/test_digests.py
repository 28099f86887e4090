"""Digests: what is one, and how a refusal reads."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import DigestInvalid
from roadstead.oci.digests import ALGORITHMS, Digest, parse_algorithm

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_a_well_formed_digest_reads_back_as_it_was_written(text: str) -> None:
    assert str(Digest.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256:",
        "sha256",
        "sha256:../../x",
        "sha256:baddigeststring",
        SHA256[:-1],
        SHA256 + "0",
        SHA256 + "\n",
        " " + SHA256,
        SHA256.upper(),
        "sha256:" + "A" * 64,
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "a" * 128,
        "sha256::" + "a" * 64,
        "sha256:" + "a" * 32 + ":" + "a" * 31,
        "md5:" + "a" * 32,
        "sha1:" + "a" * 40,
        "sha384:" + "a" * 96,
        "sha256+b64:" + "a" * 44,
        "sha256:" + "٣" * 64,
        "sha256:" + "\N{FULLWIDTH LATIN SMALL LETTER A}" * 64,
        "sha256:" + "a" * 63 + "\0",
        "sha256%3A" + "a" * 64,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


def test_an_unknown_algorithm_is_told_the_known_ones() -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse("md5:" + "a" * 32)
    assert all(name in caught.value.remedy for name in ALGORITHMS)


def test_a_wrong_length_is_told_the_right_one() -> None:
    with pytest.raises(DigestInvalid, match="exactly 128"):
        Digest.parse("sha512:" + "a" * 64)


def test_a_refusal_repeats_little_of_what_was_sent() -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse("sha256:" + "\x1b]0;" * 100_000)
    assert len(caught.value.message) < 400
    assert "\x1b" not in caught.value.message


@given(st.binary(), st.sampled_from(sorted(ALGORITHMS)))
def test_the_digest_of_some_bytes_is_what_the_hash_says(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)
    assert digest.hex == hashlib.new(algorithm, data).hexdigest()
    assert Digest.parse(str(digest)) == digest


@given(st.text())
def test_text_either_reads_back_unchanged_or_is_refused(text: str) -> None:
    with suppress(DigestInvalid):
        assert str(Digest.parse(text)) == text


def test_an_algorithm_must_be_known_and_in_lower_case() -> None:
    assert parse_algorithm("sha512") == "sha512"
    for unknown in ("", "SHA256", "md5", "sha256\n", "shake_128"):
        with pytest.raises(DigestInvalid, match="algorithm"):
            parse_algorithm(unknown)
