"""What a rule covers: pure decisions, from the form in which it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt
from roadstead.oci.patterns import Pattern

MOST_RULES = 15
MOST_SELECTORS = 10
KIND = "doublestar"
ACTION, TEMPLATE = "immutable", "immutable_template"
EVERYTHING = "**"
# The decorations of each place, and whether they mean what the pattern means, or all else.
_TAGS = {"": True, "matches": True, "excludes": False}
_REPOSITORIES = {"": True, "repoMatches": True, "repoExcludes": False}

StoredSelector = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RuleText:
    """The selectors of a rule, checked, as they are kept and shown."""

    tags: tuple[StoredSelector, ...]
    repositories: tuple[StoredSelector, ...]

    @property
    def stored(self) -> dict[str, object]:
        return {
            "tag_selectors": [dict(each) for each in self.tags],
            "scope_selectors": {"repository": [dict(each) for each in self.repositories]},
        }


@dataclass(frozen=True, slots=True)
class _Selector:
    pattern: Pattern
    wanted: bool

    def holds(self, name: str) -> bool:
        return (self.pattern.text == EVERYTHING or self.pattern.matches(name)) == self.wanted


@dataclass(frozen=True, slots=True)
class ImmutableRule:
    """All its selectors must hold."""

    repositories: tuple[_Selector, ...]
    tags: tuple[_Selector, ...]

    def in_repository(self, path: str) -> bool:
        return all(selector.holds(path) for selector in self.repositories)

    def covers(self, tag: str) -> bool:
        """Whether the tag is immutable, in a repository that the rule is for."""
        return all(selector.holds(tag) for selector in self.tags)


def parse_rule(
    tags: Sequence[StoredSelector],
    repositories: Sequence[StoredSelector],
    *,
    action: str = "",
    template: str = "",
) -> RuleText:
    """What a client sent, checked.  Raises `RequestInvalid`."""
    if action not in {"", ACTION} or template not in {"", TEMPLATE}:
        raise RequestInvalid(
            f"a rule's action is {ACTION!r}, and its template {TEMPLATE!r}", remedy="send these, or neither"
        )
    return RuleText(
        tuple(_checked(each, _TAGS, "tag_selectors") for each in _some(tags, "tag_selectors")),
        tuple(
            _checked(each, _REPOSITORIES, "scope_selectors.repository")
            for each in _some(repositories, "scope_selectors.repository")
        ),
    )


@lru_cache(maxsize=1024)
def read_rule(stored: str) -> ImmutableRule:
    """The inverse of `RuleText.stored`, from its JSON."""
    document = json.loads(stored)
    return ImmutableRule(
        tuple(_read(each, _REPOSITORIES) for each in document["scope_selectors"]["repository"]),
        tuple(_read(each, _TAGS) for each in document["tag_selectors"]),
    )


def _some(selectors: Sequence[StoredSelector], where: str) -> Sequence[StoredSelector]:
    if not 1 <= len(selectors) <= MOST_SELECTORS:
        raise RequestInvalid(
            f"{where} does not have 1 to {MOST_SELECTORS} selectors",
            remedy="write one selector, with the pattern '**' for everything",
            limit=MOST_SELECTORS,
        )
    return selectors


def _checked(selector: StoredSelector, decorations: Mapping[str, bool], where: str) -> StoredSelector:
    kind, decoration = selector.get("kind", ""), selector.get("decoration", "")
    if kind not in {"", KIND}:
        raise RequestInvalid(f"{where} has the kind {excerpt(kind)}", remedy=f"write {KIND}")
    if decoration not in decorations:
        raise RequestInvalid(
            f"{where} has the decoration {excerpt(decoration)}",
            remedy=f"use {' or '.join(filter(None, decorations))}",
        )
    pattern = selector.get("pattern", "")
    if pattern:
        Pattern.parse(pattern)
    return {"kind": KIND, "decoration": decoration, "pattern": pattern}


def _read(selector: StoredSelector, decorations: Mapping[str, bool]) -> _Selector:
    # Harbor's clients send no pattern, and mean all.
    return _Selector(Pattern.parse(selector["pattern"] or EVERYTHING), decorations[selector["decoration"]])
