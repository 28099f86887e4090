"""Reading an Authorization header."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.identity.credentials import (
    Bearer,
    MalformedCredentials,
    Password,
    authorization_header,
    parse_authorization,
)


def encoded(credentials: bytes) -> str:
    return base64.b64encode(credentials).decode()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_a_scheme_is_read_in_any_case(scheme: str) -> None:
    assert parse_authorization(f"{scheme} {encoded(b'al:pw')}") == Password("al", b"pw")


def test_a_password_may_hold_colons() -> None:
    assert parse_authorization(f"Basic {encoded(b'al:p:w')}") == Password("al", b"p:w")


def test_a_password_is_taken_as_the_bytes_that_were_sent() -> None:
    assert parse_authorization(f"Basic {encoded(b'al:' + bytes([0xFF, 0, 0xE9]))}") == Password(
        "al", b"\xff\0\xe9"
    )


def test_empty_basic_credentials_are_nobodys() -> None:
    assert parse_authorization("Basic Og==") is None


@pytest.mark.parametrize("header", ["", " ", "\t"])
def test_an_empty_header_is_nobodys(header: str) -> None:
    assert parse_authorization(header) is None


def test_a_bearer_token_is_taken_as_it_is() -> None:
    assert parse_authorization("Bearer  abc") == Bearer("abc")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !",
        "Basic Zm9v",
        "Basic Og",
        "Basic Og==x",
        "Bearer",
        "Bearer ",
        "Digest a=b",
        "Basic é",
        f"Basic {encoded(bytes([255]) + b':pw')}",
        "Bearer " + "." * 1000000,
    ],
)
def test_a_malformed_header_is_refused_as_bad_credentials(header: str) -> None:
    with pytest.raises(MalformedCredentials):
        parse_authorization(header)


def test_two_authorization_headers_are_refused() -> None:
    with pytest.raises(MalformedCredentials, match="more than one"):
        authorization_header([(b"authorization", b"Basic Og=="), (b"Authorization", b"Bearer x")])


def test_one_authorization_header_is_found_among_others() -> None:
    assert authorization_header([(b"host", b"h"), (b"authorization", b"Bearer x")]) == "Bearer x"


def test_there_may_be_no_authorization_header() -> None:
    assert authorization_header([(b"host", b"h")]) is None


def test_credentials_do_not_show_their_secret() -> None:
    assert "hunter2" not in repr([Password("al", b"hunter2"), Bearer("hunter2")])


@given(st.text() | st.binary().map(lambda raw: f"Basic {encoded(raw)}"))
def test_any_header_is_credentials_nobody_or_a_refusal(header: str) -> None:
    with suppress(MalformedCredentials):
        assert isinstance(parse_authorization(header), Password | Bearer | None)
