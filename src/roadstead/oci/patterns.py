r"""Doublestar patterns, by which policies choose repositories and tags.

    *       any characters but "/", or none           [a-z]   one character of a class; never "/"
    **      any whole segments, or none               [^a-z]  one character outside it; "!" does as well
    ?       one character but "/"                     {a,b}   either; may be nested, and empty
    \x      the character x itself

`**` means segments where it stands as one: between slashes, or at an end of the pattern.  Elsewhere, as in
`a**`, it is `*`.  Alternatives count as if the pattern were written out once for each.  At the end, after a
slash, `**` is one segment at least: `a/**` does not match `a`, as in version 1 of Go's doublestar, which Harbor has.

People write patterns, and some are hostile: nothing here backtracks, and no alternatives are written out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import lru_cache

from roadstead.errors import RequestInvalid
from roadstead.oci.automata import Automaton, Builder, Symbol
from roadstead.oci.excerpts import excerpt

LONGEST_PATTERN = 1024
MOST_WILDCARDS = 32
MOST_ALTERNATIVES = 128
DEEPEST_NESTING = 8

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that exists is well formed."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises `RequestInvalid`."""
        _automaton(text)
        return cls(text)

    def matches(self, name: str) -> bool:
        """Whether the pattern means the whole of `name`, which has no slash at either end."""
        return _automaton(self.text).accepts(name)


@lru_cache(maxsize=1024)
def _automaton(text: str) -> Automaton:
    if not text or len(text) > LONGEST_PATTERN:
        raise RequestInvalid(
            f"the pattern {excerpt(text)} does not have 1 to {LONGEST_PATTERN} characters",
            remedy="write '**' for everything, and several patterns for many names",
            limit=LONGEST_PATTERN,
        )
    if _UNPRINTABLE.search(text):
        raise _refused(text, "holds a control character", remedy="leave control characters out")
    return _Translation(text).automaton()


def _refused(text: str, what: str, *, remedy: str) -> RequestInvalid:
    return RequestInvalid(f"the pattern {excerpt(text)} {what}", remedy=remedy)


@dataclass(frozen=True, slots=True)
class _Class:
    """The inside of brackets."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def __call__(self, character: str) -> bool:
        found = any(first <= character <= last for first, last in self.ranges)
        return found != self.negated and character != "/"


def _anything(_: str) -> bool:
    return True


def _no_slash(character: str) -> bool:
    return character != "/"


_States = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a name may stand at one point of the pattern, apart by what came before.

    The slashes beside a `**` that stands for no segment are not in the name.  So whoever comes to a `**`, or
    goes from it to a slash, must know how it came there.
    """

    # At the beginning of a segment, and within one.
    fresh: _States = ()
    inside: _States = ()
    # Behind a `**`: within whatever it swallowed, within that if it was but a `*`, and where it began.
    swallowing: _States = ()
    narrow: _States = ()
    untouched: _States = ()
    # Before a slash that is perhaps not in the name, since `**` follows; and behind such a `**`.
    unslashed: _States = ()
    vanished: _States = ()

    @property
    def before_character(self) -> _States:
        return self.fresh + self.inside + self.narrow

    @property
    def before_slash(self) -> _States:
        return self.fresh + self.inside + self.swallowing

    @property
    def at_the_end(self) -> _States:
        return self.before_slash


class _Translation:
    """One reading of a pattern, from left to right, into an automaton."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._builder = Builder()
        self._wildcards = self._alternatives = self._depth = 0

    def automaton(self) -> Automaton:
        start = self._builder.state()
        places = self._sequence(_Places(fresh=(start,)))
        return self._builder.build(start, places.at_the_end)

    def _sequence(self, places: _Places) -> _Places:
        """Up to the end of the pattern, or of the alternative."""
        while self._at < len(self._text) and not (self._depth and self._text[self._at] in ",}"):
            places = self._item(places)
        return places

    def _item(self, places: _Places) -> _Places:
        character = self._next()
        match character:
            case "*":
                return self._star(places)
            case "{":
                return self._group(places)
            case "}":
                raise self._unbalanced("}")
            case "?":
                return self._one(places, _no_slash)
            case "[":
                self._count_wildcard()
                return self._one(places, self._class())
            case "\\":
                character = self._escaped()
        return self._slash(places) if character == "/" else self._one(places, character)

    def _one(self, places: _Places, symbol: Symbol) -> _Places:
        return _Places(inside=(self._builder.step(places.before_character, symbol),))

    def _slash(self, places: _Places) -> _Places:
        behind = self._builder.step(places.before_slash, "/")
        return _Places(
            fresh=self._met((behind, *places.untouched)),
            unslashed=self._met(places.before_slash + places.vanished),
        )

    def _star(self, places: _Places) -> _Places:
        self._count_wildcard()
        first = self._at
        while self._at < len(self._text) and self._text[self._at] == "*":
            self._at += 1
        if self._at == first + 1:
            return self._double_star(places)
        return _Places(inside=(self._builder.loop(places.before_character, _no_slash),))

    def _double_star(self, places: _Places) -> _Places:
        within = places.inside + places.narrow
        inside = (self._builder.loop(within, _no_slash),) if within else ()
        if not places.fresh:
            return _Places(inside=inside, vanished=places.unslashed)
        # Only to save states: nothing but a slash, or the end, can follow here.
        whole = self._text[self._at : self._at + 1] in {"", "/"}
        return _Places(
            inside=inside,
            swallowing=(self._builder.loop(places.fresh, _anything),),
            narrow=() if whole else (self._builder.loop(places.fresh, _no_slash),),
            untouched=places.fresh,
            vanished=places.unslashed,
        )

    def _group(self, places: _Places) -> _Places:
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise _refused(
                self._text,
                f"nests braces deeper than {DEEPEST_NESTING}",
                remedy="write several patterns, or longer alternatives",
            )
        ends = [self._alternative(places)]
        while (mark := self._next(missing="{")) == ",":
            ends.append(self._alternative(places))
        if mark != "}":
            raise self._unbalanced("{")
        self._depth -= 1
        return _Places(
            *(
                self._met(tuple(state for end in ends for state in getattr(end, place.name)))
                for place in fields(_Places)
            )
        )

    def _alternative(self, places: _Places) -> _Places:
        self._alternatives += 1
        if self._alternatives > MOST_ALTERNATIVES:
            raise _refused(
                self._text,
                f"has more than {MOST_ALTERNATIVES} alternatives",
                remedy="write several patterns",
            )
        return self._sequence(places)

    def _met(self, states: _States) -> _States:
        """One state instead of several, lest they multiply."""
        distinct = tuple(dict.fromkeys(states))
        return (self._builder.state(distinct),) if len(distinct) > 1 else distinct

    def _class(self) -> _Class:
        negated = self._text[self._at : self._at + 1] in {"^", "!"}
        if negated:
            self._at += 1
        ranges: list[tuple[str, str]] = []
        while (first := self._next(missing="[")) != "]":
            first = last = self._escaped() if first == "\\" else first
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._next(missing="[")
                last = self._escaped() if last == "\\" else last
            if last < first:
                raise _refused(
                    self._text,
                    f"has a class from {excerpt(first)} back to {excerpt(last)}",
                    remedy="write the lower end of a range first",
                )
            ranges.append((first, last))
        if not ranges:
            raise _refused(self._text, "has an empty class", remedy=r"write '\[' for the bracket itself")
        return _Class(tuple(ranges), negated)

    def _next(self, *, missing: str = "") -> str:
        if self._at == len(self._text):
            raise self._unbalanced(missing)
        self._at += 1
        return self._text[self._at - 1]

    def _escaped(self) -> str:
        return self._next(missing="\\")

    def _count_wildcard(self) -> None:
        self._wildcards += 1
        if self._wildcards > MOST_WILDCARDS:
            raise _refused(
                self._text,
                f"has more than {MOST_WILDCARDS} stars and classes",
                remedy="write several patterns, or a broader one",
            )

    def _unbalanced(self, mark: str) -> RequestInvalid:
        return _refused(
            self._text,
            f"has a '{mark}' that stands alone",
            remedy=f"close what was opened, or write '\\{mark}' for the character itself",
        )
