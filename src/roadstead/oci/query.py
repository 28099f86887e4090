"""Query strings, read once and the same way for everybody who asks."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt

MOST_PARAMETERS = 200

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Query:
    """The parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    def get(self, name: str) -> str | None:
        """The parameter's value, or the first of several.  None when it is absent."""
        values = self._values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> tuple[str, ...]:
        return self._values.get(name, ())


_NOTHING = Query(MappingProxyType({}))


def parse_query(raw: bytes, *, single: Collection[str]) -> Query:
    """The parameters of a query string, in UTF-8, with percent escapes and `+` for a space undone.

    A parameter named in `single` may stand once; any other may repeat.  Only `&` separates.  A `+` is a space
    in every parameter, as HTML forms and Go's url.Values have it: clients write `%2B` for a plus sign, as in
    the `artifactType` of a `+json` type.

    Raises `RequestInvalid`.
    """
    if not raw:
        return _NOTHING
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MOST_PARAMETERS:
        raise RequestInvalid(
            f"the query string has more than {MOST_PARAMETERS} parameters",
            remedy="send fewer parameters in one request",
            limit=MOST_PARAMETERS,
        )
    values: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        key = _decoded(name)
        if key in values and key in single:
            raise RequestInvalid(
                f"the query parameter {excerpt(key)} stands more than once", remedy="send it once"
            )
        values[key] = (*values.get(key, ()), _decoded(value))
    return Query(values)


def _decoded(raw: bytes) -> str:
    if _BROKEN_ESCAPE.search(raw):
        raise RequestInvalid(
            "the query string has a % that two hex digits do not follow", remedy="write a percent sign as %25"
        )
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        raise RequestInvalid(
            "the query string is not UTF-8", remedy="percent-encode the UTF-8 bytes of the text"
        ) from None
    if _CONTROL.search(text):
        raise RequestInvalid(
            "the query string holds a control character", remedy="leave control characters out"
        )
    return text
