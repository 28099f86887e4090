"""Doublestar patterns."""

from __future__ import annotations

import re
from time import thread_time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from roadstead.errors import RequestInvalid
from roadstead.oci.patterns import (
    DEEPEST_NESTING,
    LONGEST_PATTERN,
    MOST_ALTERNATIVES,
    MOST_WILDCARDS,
    Pattern,
)

SYNTAX = [*"ab/*?[]^!-{},\\", "**", "/**/", "{a,b}", "[a-b]", "é"]


def matches(pattern: str, name: str) -> bool:
    return Pattern.parse(pattern).matches(name)


def test_a_pattern_without_marks_matches_itself_only() -> None:
    assert matches("team/app", "team/app")
    for other in ("team/app2", "team/ap", "team", "Team/app", "x/team/app", ""):
        assert not matches("team/app", other)


@pytest.mark.parametrize("name", ["", "1", "v1.2", "latest"])
def test_a_star_matches_within_a_segment(name: str) -> None:
    assert matches("*", name)
    assert matches("a/*/b", f"a/{name}/b")


def test_a_star_does_not_cross_a_slash() -> None:
    assert not matches("*", "a/b")
    assert not matches("a/*", "a/b/c")
    assert not matches("*/c", "a/b/c")
    assert matches("v*.*-rc*", "v1.22-rc3")


@pytest.mark.parametrize("name", ["a", "a/b", "a/b/c", "latest"])
def test_a_double_star_alone_matches_everything(name: str) -> None:
    assert matches("**", name)


def test_a_double_star_at_the_end_matches_what_is_below_and_not_the_thing_itself() -> None:
    for name in ("a/b", "a/b/c"):
        assert matches("a/**", name)
    for name in ("a", "ab", "b/a", "ab/c"):
        assert not matches("a/**", name)


def test_a_double_star_in_front_matches_any_depth() -> None:
    for name in ("x", "a/x", "a/b/x"):
        assert matches("**/x", name)
    for name in ("ax", "x/a", "a/bx"):
        assert not matches("**/x", name)


def test_a_double_star_between_slashes_matches_any_number_of_segments() -> None:
    for name in ("a/z", "a/b/z", "a/b/c/z"):
        assert matches("a/**/z", name)
    for name in ("az", "a/bz", "ab/z", "a/b/c"):
        assert not matches("a/**/z", name)


def test_double_stars_may_follow_each_other() -> None:
    assert matches("a/**/**", "a/b")
    assert not matches("a/**/**", "a")
    assert matches("**/**/x", "x")
    assert not matches("**/**/x", "y/xx")


@pytest.mark.parametrize("pattern", ["a**", "**c", "a**c", "***", "a/**c"])
def test_a_double_star_that_is_no_segment_is_a_star(pattern: str) -> None:
    assert not matches(pattern, "a/b/c")
    assert matches(pattern.removeprefix("a/"), "abc")


def test_a_question_mark_matches_one_character_but_a_slash() -> None:
    assert matches("v?", "v1")
    assert not matches("v?", "v")
    assert not matches("v?", "v12")
    assert not matches("a?b", "a/b")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("[abc]", "abc", "d-/"),
        ("[a-c]", "abc", "d-/"),
        ("[^a-c]", "d-]", "abc/"),
        ("[!a-c]", "d-]", "abc/"),
        ("[a-cx-z_]", "bxz_", "dw/"),
        ("[a-]", "a-", "b"),
        ("[-a]", "a-", "b"),
        (r"[\]a]", "]a", "\\"),
        (r"[\^a]", "^a", "b"),
        ("[*{,}?]", "*{,}?", "a"),
        ("[/]", "", "/a"),
    ],
)
def test_a_class_matches_one_of_its_characters_and_never_a_slash(pattern: str, yes: str, no: str) -> None:
    assert all(matches(pattern, character) for character in yes)
    assert not any(matches(pattern, character) for character in no)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("{a,b}", ["a", "b"], ["ab", "c", "", "a,b"]),
        ("v{1,2}.{0,1}", ["v1.0", "v2.1"], ["v1", "v3.0"]),
        ("app{,-dev}", ["app", "app-dev"], ["app-", "app-dev-dev"]),
        ("{a,b{c,d}}e", ["ae", "bce", "bde"], ["be", "ace"]),
        ("{v*,release-?}", ["v1", "v", "release-1"], ["release-12", "x"]),
        ("{a/b,c}/d", ["a/b/d", "c/d"], ["a/d", "b/d"]),
        ("{}a", ["a"], ["b"]),
        (r"{a\,b,c\}}", ["a,b", "c}"], ["a", "b"]),
        ("a,b", ["a,b"], ["a"]),
    ],
)
def test_braces_hold_alternatives(pattern: str, yes: list[str], no: list[str]) -> None:
    assert all(matches(pattern, name) for name in yes)
    assert not any(matches(pattern, name) for name in no)


def test_a_double_star_beside_braces_is_what_it_is_written_out() -> None:
    assert matches("{**,x}", "a/b")
    assert matches("a/{**,x}/z", "a/z")
    assert matches("a/{**,x}/z", "a/b/c/z")
    assert matches("{library,team}/**", "team/a/b")
    assert matches("{a,b/}**", "b/c/d")
    assert not matches("{a,b/}**", "a/c/d")
    assert matches("**{/x,y}", "x")
    assert not matches("**{/x,y}", "a/y")


@pytest.mark.parametrize("character", [*"*?[]{}\\,^a", "**"])
def test_a_backslash_takes_a_characters_meaning(character: str) -> None:
    escaped = "".join("\\" + each for each in character)
    assert matches(escaped, character)
    assert not matches(escaped, "x" * len(character))


@pytest.mark.parametrize(
    "pattern", ["{", "{a", "{a,b", "}", "a}", "[", "[a", "[]", "[^]", "[a-", "\\", "[\\"]
)
def test_what_is_not_closed_is_refused(pattern: str) -> None:
    with pytest.raises(RequestInvalid) as refusal:
        Pattern.parse(pattern)
    assert refusal.value.remedy


@pytest.mark.parametrize("pattern", ["", "a\x00", "a\n", "\ud800", "[z-a]"])
def test_what_could_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(RequestInvalid):
        Pattern.parse(pattern)


def test_patterns_have_limits() -> None:
    for most in (
        "a" * LONGEST_PATTERN,
        "*a" * MOST_WILDCARDS,
        "{" + "," * (MOST_ALTERNATIVES - 1) + "}",
        "{" * DEEPEST_NESTING + "}" * DEEPEST_NESTING,
    ):
        Pattern.parse(most)
    for more in (
        "a" * (LONGEST_PATTERN + 1),
        "*a" * (MOST_WILDCARDS + 1),
        "[a]" * (MOST_WILDCARDS + 1),
        "{" + "," * MOST_ALTERNATIVES + "}",
        "{" * (DEEPEST_NESTING + 1) + "}" * (DEEPEST_NESTING + 1),
        "{" * LONGEST_PATTERN,
    ):
        with pytest.raises(RequestInvalid):
            Pattern.parse(more)


HOSTILE = [
    "**/**/**/**/**x",
    "{a,b}" * 20,
    "{,a}" * 64,
    "{,a,aa,aaa}" * 32,
    "{,a,aa,aaaaaaaa,aaaaaaaaaaaaaaaa}" * 25,
    "*a" * MOST_WILDCARDS,
    "**/" * (MOST_WILDCARDS - 1) + "x",
    "[a-z]*" * (MOST_WILDCARDS // 2),
    "{" + ",".join(["*a"] * MOST_WILDCARDS) + "}",
    "{,{,{,{,{,{,{,a}a}a}a}a}a}a}" * 9,
    "*" + "?" * 1000,
]
LONG = ["a" * 255, "a/" * 127 + "b", "ab" * 127 + "c", "b" + "/a" * 127]


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("name", LONG)
def test_a_hostile_pattern_takes_milliseconds(pattern: str, name: str) -> None:
    parsed = Pattern.parse(pattern)

    def seconds() -> float:
        began = thread_time()
        parsed.matches(name)
        return thread_time() - began

    assert min(seconds() for _ in range(5)) < 0.010


@given(st.lists(st.sampled_from(SYNTAX), max_size=30).map("".join) | st.text(max_size=50), st.text("ab/é"))
def test_any_text_is_a_pattern_or_refused(text: str, name: str) -> None:
    try:
        pattern = Pattern.parse(text)
    except RequestInvalid:
        return
    assert pattern.matches(name) in {True, False}


PIECES = {"a": "a", "b": "b", "/": "/", "?": "[^/]", "*": "[^/]*", "[^a]": "[^a/]", "{a,b/}": "(?:a|b/)"}


@given(st.lists(st.sampled_from(list(PIECES)), min_size=1, max_size=6), st.text("ab/", max_size=8))
def test_a_pattern_without_double_stars_is_a_regular_expression(pieces: list[str], name: str) -> None:
    pattern = "".join(pieces)
    assume("**" not in pattern)
    expression = "".join(PIECES[piece] for piece in pieces)
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


@given(st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=5), st.text("ab/", max_size=9))
def test_whole_segments_match_segment_by_segment(segments: list[str], name: str) -> None:
    def reference(pattern: list[str], rest: list[str]) -> bool:
        if not pattern or not rest:
            return not rest and not pattern
        if pattern == ["**"]:
            return True
        if pattern[0] == "**":
            return reference(pattern[1:], rest) or reference(pattern, rest[1:])
        return pattern[0] in {"*", rest[0]} and reference(pattern[1:], rest[1:])

    parts = name.split("/")
    assume(all(parts))
    assert matches("/".join(segments), name) == reference(segments, parts)
