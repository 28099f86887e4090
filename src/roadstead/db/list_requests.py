"""What a client asks of an admin list: a page, filters, an order.

The texts follow Harbor's conventions: `q=name=~web,size=[1~9]`, `sort=-created,name`, `page`, `page_size`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote_to_bytes

from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt

LONGEST_TEXT = 2048
MOST_CLAUSES = 20
MOST_VALUES = 100
MOST_SORT_KEYS = 20
LARGEST_NUMBER = 2**63 - 1

Op = Literal["exact", "fuzzy", "range", "any", "all"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CLOSING: Mapping[str, tuple[str, Op]] = {"[": ("]", "range"), "{": ("}", "any"), "(": (")", "all")}
_SUFFIXES = frozenset({"exact", "icontains", "in", "gte", "lte", "gt", "lt"})


@dataclass(frozen=True, slots=True)
class Clause:
    """One filter as the client wrote it: nothing is known yet of the key, nor of the kind of its values.

    A range has two values, and an empty one is open; `exclusive` leaves its ends out.
    """

    key: str
    op: Op
    values: tuple[str, ...]
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which rows, in which order, and which page of them.  Pages count from 1."""

    page: int = 1
    page_size: int = 10
    clauses: tuple[Clause, ...] = ()
    # Keys, and whether they descend.
    sort: tuple[tuple[str, bool], ...] = ()

    def __post_init__(self) -> None:
        if self.page < 1 or self.page_size < 1 or self.offset > LARGEST_NUMBER - self.page_size:
            raise RequestInvalid(
                "there is no such page", remedy="count pages from 1, and ask for at least one row a page"
            )

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


def parse_q(text: str) -> tuple[Clause, ...]:
    """The clauses of a `q`, which must all hold.

    `k=v` is exact, `k=~v` contains, `k=[a~b]` a range, `k={a b}` any of, `k=(a b)` all of; commas separate.
    A backslash before a value takes the meaning from its first character.  `k__gte=v` and its kin say the
    same in Django's words.

    Raises `RequestInvalid`.
    """
    if not text:
        return ()
    parts = _unquoted(_bounded(text)).split(",")
    if len(parts) > MOST_CLAUSES:
        raise RequestInvalid(
            f"q has more than {MOST_CLAUSES} clauses", remedy="filter by fewer things", limit=MOST_CLAUSES
        )
    return tuple(_clause(part) for part in parts)


def parse_sort(text: str) -> tuple[tuple[str, bool], ...]:
    """The keys of a `sort` such as `a,-b`, each with whether it descends.  Raises `RequestInvalid`."""
    if not text:
        return ()
    parts = _bounded(text).split(",")
    if len(parts) > MOST_SORT_KEYS:
        raise RequestInvalid(
            f"sort has more than {MOST_SORT_KEYS} keys",
            remedy="sort by fewer things",
            limit=MOST_SORT_KEYS,
        )
    keys = tuple((part.strip().removeprefix("-"), part.strip().startswith("-")) for part in parts)
    if not all(key for key, _ in keys):
        raise RequestInvalid("sort has an empty key", remedy="write keys as in sort=name,-created")
    return keys


def take(request: ListRequest, *keys: str) -> tuple[ListRequest, dict[str, Clause]]:
    """The clauses of `keys`, for a list that answers those itself, and the request without them."""
    taken: dict[str, Clause] = {}
    for clause in request.clauses:
        if clause.key not in keys:
            continue
        if clause.key in taken:
            raise RequestInvalid(
                f"q has {excerpt(clause.key)} more than once", remedy="filter by it once in one request"
            )
        taken[clause.key] = clause
    rest = tuple(clause for clause in request.clauses if clause.key not in taken)
    return replace(request, clauses=rest), taken


def _bounded(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise RequestInvalid(
            f"q or sort is longer than {LONGEST_TEXT} characters",
            remedy="filter and sort by less at once",
            limit=LONGEST_TEXT,
        )
    return text


def _unquoted(text: str) -> str:
    # Harbor's own clients escape `q` twice.  As in Harbor, a text that is no escaped text stays what it is.
    try:
        if _BROKEN_ESCAPE.search(text) is None:
            text = unquote_to_bytes(text.replace("+", " ")).decode()
        else:
            text.encode()
    except UnicodeError:
        raise RequestInvalid("q is not UTF-8", remedy="percent-encode the UTF-8 bytes of the text") from None
    if _CONTROL.search(text):
        raise RequestInvalid("q holds a control character", remedy="leave control characters out")
    return text


def _clause(part: str) -> Clause:
    key, _, value = part.partition("=")
    key = key.strip()
    if not key or not value:
        raise RequestInvalid(
            f"the clause {excerpt(part)} of q is not key=value",
            remedy="write a key, '=' and a value; commas separate clauses, and no value holds one",
        )
    stem, mark, suffix = key.rpartition("__")
    if mark and stem and suffix in _SUFFIXES:
        return _suffixed(stem, suffix, value)
    if value.startswith("~"):
        if value == "~":
            raise RequestInvalid(f"{excerpt(part)} looks for nothing", remedy="write a text after '~'")
        return Clause(key, "fuzzy", (value[1:],))
    if value[0] in _CLOSING:
        return _bracketed(key, value)
    return Clause(key, "exact", (_plain(part, value),))


def _suffixed(key: str, suffix: str, value: str) -> Clause:
    if suffix == "in" and value.startswith("{"):
        return _bracketed(key, value)
    if value.startswith("~") or value[0] in _CLOSING:
        raise RequestInvalid(
            f"{excerpt(f'{key}__{suffix}')} takes a plain value, and {excerpt(value)} is a pattern",
            remedy="write either the suffix or the pattern; a backslash before the value makes it plain",
        )
    plain = _plain(key, value)
    if suffix in {"gte", "gt"}:
        return Clause(key, "range", (plain, ""), exclusive=suffix == "gt")
    if suffix in {"lte", "lt"}:
        return Clause(key, "range", ("", plain), exclusive=suffix == "lt")
    op: Op = "fuzzy" if suffix == "icontains" else "any" if suffix == "in" else "exact"
    return Clause(key, op, (plain,))


def _plain(part: str, value: str) -> str:
    plain = value.removeprefix("\\")
    if not plain:
        raise RequestInvalid(f"{excerpt(part)} has no value", remedy="write a backslash as two")
    return plain


def _bracketed(key: str, value: str) -> Clause:
    closing, op = _CLOSING[value[0]]
    if len(value) < 2 or value[-1] != closing:
        raise RequestInvalid(
            f"the value {excerpt(value)} of {excerpt(key)} does not end with '{closing}'",
            remedy=r"close it, without commas inside, or write '\' before a value that begins so",
        )
    return Clause(key, op, (_range if op == "range" else _members)(key, value[1:-1]))


def _range(key: str, inside: str) -> tuple[str, ...]:
    ends = tuple(_bare(end) for end in inside.split("~"))
    if len(ends) != 2 or not any(ends):
        raise RequestInvalid(
            f"the range of {excerpt(key)} has not two ends",
            remedy="write [min~max], of which one may be empty",
        )
    return ends


def _members(key: str, inside: str) -> tuple[str, ...]:
    members = tuple(filter(None, (_bare(member) for member in inside.split(" "))))
    if not members or len(members) > MOST_VALUES:
        raise RequestInvalid(
            f"the list of {excerpt(key)} has no values, or more than {MOST_VALUES}",
            remedy=f"give 1 to {MOST_VALUES} values, separated by spaces",
            limit=MOST_VALUES,
        )
    return members


def _bare(value: str) -> str:
    return value.strip().strip("\"'")
