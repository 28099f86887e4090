"""Pages and links."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import PaginationInvalid
from roadstead.oci.paging import Page, next_link, parse_page


@pytest.mark.parametrize(
    ("n", "limit"),
    [
        (None, 1000),
        ("0", 0),
        ("0000000000000", 0),
        ("1", 1),
        ("0000000000005", 5),
        ("1000", 1000),
        ("1001", 1000),
        (str(2**31), 1000),
        (str(2**63), 1000),
        ("9" * 10_000, 1000),
    ],
)
def test_a_page_is_as_long_as_asked_and_never_longer_than_the_maximum(n: str | None, limit: int) -> None:
    assert parse_page(n, None, maximum=1000) == Page(limit, None)


@pytest.mark.parametrize("n", ["", "-1", "+1", "1e9", "٣", "1_000", " 5", "5\n", "0x10", "1.0", "NaN", "²"])
def test_a_number_that_is_not_whole_and_decimal_is_refused(n: str) -> None:
    with pytest.raises(PaginationInvalid):
        parse_page(n, None, maximum=1000)


def test_an_empty_last_begins_at_the_beginning() -> None:
    assert parse_page(None, "", maximum=10).after is None


def test_last_need_not_look_like_a_tag() -> None:
    assert parse_page("2", "team/app:ä" + "x" * 200, maximum=10).after == "team/app:ä" + "x" * 200


@pytest.mark.parametrize("last", ["a" * 257, "a" * 10_000, "a\0", "a\nb", "\x7f", "\ud800"])
def test_a_last_that_no_list_could_hold_is_refused(last: str) -> None:
    with pytest.raises(PaginationInvalid):
        parse_page(None, last, maximum=10)


def test_a_link_has_the_form_that_clients_know() -> None:
    assert next_link("/v2/_catalog", last="team/app", n=2) == '</v2/_catalog?last=team%2Fapp&n=2>; rel="next"'


printable = st.text(st.characters(exclude_categories=["C"]))


@given(printable, printable, st.integers(0, 10**9), st.dictionaries(st.just("artifactType"), printable))
def test_a_link_leads_to_exactly_the_next_page(path: str, last: str, n: int, extra: dict[str, str]) -> None:
    link = next_link("/v2/" + path, last=last, n=n, extra=extra)
    assert link.isascii()
    assert link.count("<") == link.count(">") == 1
    assert link.startswith("<")
    assert link.endswith('>; rel="next"')
    target = urlsplit(link[1 : link.index(">")])
    assert unquote(target.path) == "/v2/" + path
    query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
    assert query == {**extra, "last": last, "n": str(n)}
