"""Query strings."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import RequestInvalid
from roadstead.oci.query import MOST_PARAMETERS, Query, parse_query

SINGLE = frozenset({"digest", "mount", "from", "n", "last", "service", "account"})


def query(raw: bytes) -> Query:
    return parse_query(raw, single=SINGLE)


def test_a_parameter_is_found_by_name() -> None:
    parsed = query(b"digest=sha256%3Aab&from=team/app")
    assert parsed.get("digest") == "sha256:ab"
    assert parsed.get("from") == "team/app"
    assert parsed.get("mount") is None
    assert parsed.all("mount") == ()


def test_nothing_is_a_query_without_parameters() -> None:
    assert query(b"").get("digest") is None
    assert query(b"&&").all("digest") == ()


def test_a_parameter_without_a_value_is_empty_not_absent() -> None:
    assert query(b"digest").get("digest") == ""
    assert query(b"digest=").get("digest") == ""


def test_tags_and_scopes_may_repeat_and_keep_their_order() -> None:
    parsed = query(b"tag=b&scope=x&tag=a&tag=b")
    assert parsed.all("tag") == ("b", "a", "b")
    assert parsed.get("tag") == "b"


@pytest.mark.parametrize(
    "raw", [b"digest=a&digest=a", b"n=1&x=2&n=2", b"d%69gest=a&digest=b", b"mount&mount"]
)
def test_a_single_parameter_that_repeats_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestInvalid, match="more than once"):
        query(raw)


def test_a_plus_is_a_space_and_an_escaped_plus_is_a_plus() -> None:
    parsed = query(b"scope=a+b&artifactType=application/x%2Bjson")
    assert parsed.get("scope") == "a b"
    assert parsed.get("artifactType") == "application/x+json"


def test_only_an_ampersand_separates() -> None:
    assert query(b"from=a;digest=b").get("from") == "a;digest=b"
    assert query(b"from=a=b").get("from") == "a=b"


def test_an_escape_is_undone_once() -> None:
    assert query(b"from=%252e%252e").get("from") == "%2e%2e"


@pytest.mark.parametrize(
    "raw",
    [b"a=%", b"a=%2", b"a=%zz", b"a=%u0041", b"a=%ff", b"a=\xff", b"a=%c0%ae", b"a=%ed%a0%80", b"%ff=a"],
)
def test_what_is_not_utf_8_in_percent_escapes_is_refused(raw: bytes) -> None:
    with pytest.raises(RequestInvalid):
        query(raw)


@pytest.mark.parametrize("raw", [b"a=%00", b"a=b%0d%0aX:y", b"a=\x00", b"a=%7f", b"%00=a"])
def test_control_characters_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestInvalid, match="control"):
        query(raw)


def test_too_many_parameters_are_refused() -> None:
    assert len(query(b"&".join([b"tag=a"] * MOST_PARAMETERS)).all("tag")) == MOST_PARAMETERS
    with pytest.raises(RequestInvalid, match=str(MOST_PARAMETERS)):
        query(b"&".join([b"tag=a"] * (MOST_PARAMETERS + 1)))


plain = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@given(st.lists(st.tuples(plain, plain), max_size=20))
def test_what_a_client_encodes_reads_back(pairs: list[tuple[str, str]]) -> None:
    parsed = parse_query(urlencode(pairs).encode(), single=())
    for name in {name for name, _ in pairs}:
        assert parsed.all(name) == tuple(value for key, value in pairs if key == name)


@given(st.binary())
def test_only_a_refusal_is_raised(raw: bytes) -> None:
    with suppress(RequestInvalid):
        query(raw)
