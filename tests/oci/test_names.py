"""Repository names, tags and references."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.errors import DigestInvalid, NameInvalid, TagInvalid
from roadstead.oci.digests import Digest
from roadstead.oci.names import RepositoryName, Tag, parse_reference, parse_tag


def name(text: str) -> RepositoryName:
    return RepositoryName.parse(text, default_project="library")


def test_a_name_of_one_component_belongs_to_the_default_project() -> None:
    assert name("debian") == RepositoryName("library", "debian", "debian")
    assert name("debian").full == "library/debian"


def test_the_first_component_is_the_project_and_the_rest_the_path() -> None:
    assert name("team/app/web") == RepositoryName("team", "app/web", "team/app/web")


def test_two_spellings_of_one_repository_have_the_same_full_name() -> None:
    assert name("debian").full == name("library/debian").full
    assert name("debian").requested != name("library/debian").requested


@pytest.mark.parametrize(
    "text", ["a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d", "con", "blobs/uploads"]
)
def test_the_grammar_of_the_specification_is_accepted(text: str) -> None:
    assert name(text).requested == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/./b",
        "a/../b",
        "A",
        "CON",
        "a/B",
        "a..b",
        "a___b",
        "a_-b",
        "-a",
        "a-",
        "_catalog",
        "_uploads",
        "_manifests",
        "_layers",
        "a/_uploads/x",
        "%2e%2e",
        "a%2fb",
        "a b",
        "a\n",
        "a\0",
        "a:b",
        "a@b",
        "ä",
        "a/٣",
        "\N{KELVIN SIGN}",
    ],
)
def test_anything_else_is_not_a_name(text: str) -> None:
    with pytest.raises(NameInvalid):
        name(text)


def test_a_name_may_have_255_characters_with_its_project() -> None:
    assert name("team/" + "a" * 250).path == "a" * 250
    assert name("a" * 247).full == "library/" + "a" * 247
    for text in ("team/" + "a" * 251, "a" * 248, "a" * 300):
        with pytest.raises(NameInvalid, match="255"):
            name(text)


@pytest.mark.parametrize("text", ["latest", "v1.2.3", "_", "0", "A-b.c_d", "a" * 128])
def test_the_specifications_tags_are_accepted(text: str) -> None:
    assert parse_tag(text) == text


@pytest.mark.parametrize(
    "text", ["", ".", ".INVALID_MANIFEST_NAME", "-a", "a" * 129, "a/b", "a\n", "a b", "ä", "٣", "a\0", "a+b"]
)
def test_anything_else_is_not_a_tag(text: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(text)


def test_a_reference_with_a_colon_is_a_digest() -> None:
    digest = Digest.of(b"")
    assert parse_reference(str(digest)) == digest
    assert parse_reference("sha256") == Tag("sha256")
    with pytest.raises(DigestInvalid):
        parse_reference("sha256:totallywrong")
    with pytest.raises(TagInvalid):
        parse_reference(".INVALID_MANIFEST_NAME")


# The grammar as the specification prints it.
SPECIFIED = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)


@given(st.text(alphabet="ab0._-/A", max_size=40) | st.from_regex(SPECIFIED, fullmatch=True))
def test_exactly_the_specified_names_are_accepted(text: str) -> None:
    allowed = SPECIFIED.fullmatch(text) is not None and len(text) <= 247
    try:
        parsed = name(text)
    except NameInvalid:
        assert not allowed or len(text) > 247
    else:
        assert parsed.requested == text
        assert parsed.full.endswith(text)


@pytest.mark.parametrize("piece", ["a", "a-", "a_", "a__", "a/", "-", "_", "a.-"])
def test_hostile_names_are_refused_at_once(piece: str) -> None:
    for text in (piece * 100_000, (piece * 254)[:254] + "!"):
        begun = time.process_time()
        with pytest.raises((NameInvalid, TagInvalid)):
            parse_tag(text + "!")
        with pytest.raises(NameInvalid):
            name(text + "!")
        assert time.process_time() - begun < 0.05
