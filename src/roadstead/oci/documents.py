"""JSON, read so strictly that no two readers can understand it differently."""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from typing import Any, NoReturn

from roadstead.errors import ManifestInvalid
from roadstead.oci.excerpts import excerpt

DEEPEST_NESTING = 64
# An index of 20,000 manifests with platforms and annotations has about 200,000 of them.
MOST_VALUES = 250_000
LARGEST_INTEGER = 2**63 - 1
SMALLEST_INTEGER = -(2**63)

# Nineteen digits and a sign.  Longer ones are refused before they are converted, which costs quadratic time.
_LONGEST_INTEGER = 20

# Never backtracks and never fails, so that it is linear on unterminated strings too.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class _Unacceptable(Exception):
    """What `json` takes and we do not: the reason, and what to do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


_TOO_DEEP = (
    f"it is nested deeper than {DEEPEST_NESTING} levels",
    f"nest objects and arrays at most {DEEPEST_NESTING} deep",
)


def strict_json(data: bytes | str, *, what: str) -> Any:
    """The value of a JSON text.  `what` names it in a refusal ("the manifest").

    Refused, beside what JSON itself refuses: text that is not UTF-8 or begins with a byte order mark, a key
    twice in an object, NaN and infinities, integers that do not fit 64 bits, lone surrogates and NUL
    characters, nesting deeper than `DEEPEST_NESTING`, and more than `MOST_VALUES` values.

    Time grows with the number of values, up to about half a second: give long texts to a thread.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", errors="strict")
        _limit_values(text)
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
        _check_strings_and_depth(value)
    except UnicodeDecodeError as error:
        raise ManifestInvalid(
            f"{what} is not UTF-8 text: byte {error.start} cannot be read",
            remedy="send JSON encoded in UTF-8",
        ) from None
    except json.JSONDecodeError as error:
        raise ManifestInvalid(
            f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            remedy="send one JSON document, with no byte order mark before it and nothing after it",
        ) from None
    except RecursionError:
        raise _refusal(what, *_TOO_DEEP) from None
    except _Unacceptable as error:
        raise _refusal(what, error.reason, error.remedy) from None
    return value


def _refusal(what: str, reason: str, remedy: str) -> ManifestInvalid:
    return ManifestInvalid(f"{what} cannot be accepted: {reason}", remedy=remedy)


def _limit_values(text: str) -> None:
    """Refuses, before it costs anything, a text of a million tiny values.

    Each value but the first follows a comma or opens its container.  Strings may hold those characters, too,
    and are left out of the count only when it matters.
    """
    if len(text) > MOST_VALUES and _punctuation(text) > MOST_VALUES:
        count = _punctuation(_STRING.sub("", text))
        if count > MOST_VALUES:
            raise _Unacceptable(f"it holds more than {MOST_VALUES} values", "split it into several documents")


def _punctuation(text: str) -> int:
    return text.count(",") + text.count("[") + text.count("{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _Unacceptable(f"the key {excerpt(key)} stands twice in one object", "name every key once")
        seen.add(key)
    raise AssertionError  # fewer members than pairs means that a key repeats


def _constant(text: str) -> NoReturn:
    raise _Unacceptable(f"{text} is not a JSON number", "send finite numbers")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Unacceptable(f"the number {excerpt(text)} is too large", "send numbers that fit 64 bits")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER or not SMALLEST_INTEGER <= int(text) <= LARGEST_INTEGER:
        raise _Unacceptable(f"the integer {excerpt(text)} does not fit 64 bits", "send smaller integers")
    return int(text)


def _check_strings_and_depth(value: object) -> None:
    level: list[Any] = [[value]]
    for _ in range(DEEPEST_NESTING + 1):
        level = _containers_within(level)
        if not level:
            return
    raise _Unacceptable(*_TOO_DEEP)


def _containers_within(containers: list[Any]) -> list[Any]:
    """The objects and arrays one level deeper; the strings on the way are checked."""
    within: list[Any] = []
    for container in containers:
        values = chain(container, container.values()) if isinstance(container, dict) else container
        for value in values:
            if isinstance(value, str):
                _check_string(value)
            elif isinstance(value, (dict, list)):
                within.append(value)
    return within


def _check_string(text: str) -> None:
    # Both parse, and fail later: a surrogate when it is encoded, a NUL when a database stores it.
    if "\0" in text:
        raise _Unacceptable("a string holds the character NUL", "leave the character out")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Unacceptable(
                "a string holds half of a surrogate pair", "write characters above U+FFFF as whole pairs"
            ) from None
