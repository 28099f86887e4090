"""end-8: tags are listed in byte order, page by page."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from tests.conformance.wire import OCI_MANIFEST, Wire, digest_of

TAGS = sorted(["test0", "test1", "TEST0", "TEST1", "a.b", "a-b", "a_b", "_under", "0", "10", "2", "z"])


@pytest.fixture
def tagged(wire: Wire, repository: str) -> str:
    return _tag(wire, repository)


def _tag(wire: Wire, repository: str) -> str:
    """A repository with all of TAGS; returns the path of its list."""
    payload = json.dumps(wire.image(repository)).encode()
    query = "&".join(f"tag={tag}" for tag in TAGS)
    reply = wire.put_manifest(repository, f"{digest_of(payload)}?{query}", payload, OCI_MANIFEST)
    assert reply.status == 201
    return f"/v2/{repository}/tags/list"


def test_end_8a_tags_are_listed_in_byte_order(wire: Wire, repository: str, tagged: str) -> None:
    reply = wire.get(tagged)
    assert reply.status == 200
    assert reply["Content-Type"] == "application/json"
    assert reply.json == {"name": repository, "tags": TAGS}
    assert reply.next_page is None


@pytest.mark.parametrize("size", [1, 5, len(TAGS) - 1])
def test_end_8b_pages_lead_one_to_the_next(wire: Wire, tagged: str, size: int) -> None:
    found: list[str] = []
    page: str | None = f"{tagged}?n={size}"
    while page:
        reply = wire.get(urllib.parse.urljoin(tagged, page))
        found += reply.json["tags"]
        page = reply.next_page
        assert len(reply.json["tags"]) == size or page is None
    assert found == TAGS


@pytest.mark.parametrize("size", [len(TAGS), len(TAGS) + 1, 100_000])
def test_end_8b_the_last_page_leads_nowhere(wire: Wire, tagged: str, size: int) -> None:
    reply = wire.get(f"{tagged}?n={size}")
    assert (reply.json["tags"], reply.next_page) == (TAGS, None)


def test_end_8b_no_tags_were_asked_for(wire: Wire, tagged: str) -> None:
    reply = wire.get(f"{tagged}?n=0")
    assert (reply.status, reply.json["tags"], reply.next_page) == (200, [], None)


def test_end_8b_last_is_left_out(wire: Wire, tagged: str) -> None:
    middle = TAGS[5]
    assert wire.get(f"{tagged}?last={middle}").json["tags"] == TAGS[6:]
    assert wire.get(f"{tagged}?n=2&last={middle}").json["tags"] == TAGS[6:8]
    assert wire.get(f"{tagged}?last={TAGS[-1]}").json["tags"] == []


def test_end_8b_last_need_not_be_a_tag(wire: Wire, tagged: str) -> None:
    assert wire.get(f"{tagged}?last=a.a").json["tags"] == [tag for tag in TAGS if tag > "a.a"]


@pytest.mark.parametrize("size", ["-1", "a", "1.5", "9" * 30, "%00"])
def test_a_page_size_that_is_none_is_refused(wire: Wire, tagged: str, size: str) -> None:
    assert wire.get(f"{tagged}?n={size}").status in {200, 400}


def test_end_8a_a_repository_that_never_was_is_not_found(wire: Wire, repository: str) -> None:
    reply = wire.get(f"/v2/{repository}/tags/list")
    assert (reply.status, reply.codes) == (404, ["NAME_UNKNOWN"])


def test_end_8a_a_repository_without_tags_has_an_empty_list(wire: Wire, repository: str) -> None:
    payload = json.dumps(wire.image(repository)).encode()
    wire.put_manifest(repository, digest_of(payload), payload)
    assert wire.get(f"/v2/{repository}/tags/list").json == {"name": repository, "tags": []}


def test_a_page_larger_than_allowed_is_cut_and_leads_on(small_pages: Wire, repository: str) -> None:
    path = _tag(small_pages, repository)
    for query in ("", "?n=1000"):
        found: list[str] = []
        page: str | None = path + query
        while page:
            reply = small_pages.get(urllib.parse.urljoin(path, page))
            assert len(reply.json["tags"]) <= 3
            found += reply.json["tags"]
            page = reply.next_page
        assert found == TAGS
