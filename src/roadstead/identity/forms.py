"""The parameters of a token request, from a query string or an urlencoded body: one parser for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from roadstead.errors import RequestInvalid

# Room for the largest scopes that are allowed, and for the rest of the form.
MAX_FORM_BYTES = 8 * 1024
MAX_FIELDS = 200


class Form:
    """Names and values as they were sent, percent-decoded."""

    def __init__(self, fields: Mapping[str, Sequence[bytes]]) -> None:
        self._fields = fields

    @classmethod
    def parse(cls, data: bytes) -> Form:
        """Raises `RequestInvalid`."""
        if len(data) > MAX_FORM_BYTES:
            raise RequestInvalid(
                f"the parameters of a token request have at most {MAX_FORM_BYTES} bytes",
                remedy="ask for several tokens",
            )
        if data.count(b"&") >= MAX_FIELDS:
            raise RequestInvalid(f"a token request has at most {MAX_FIELDS} parameters", remedy="send fewer")
        fields: dict[str, list[bytes]] = {}
        for pair in data.split(b"&"):
            name, _, value = pair.partition(b"=")
            if name:
                fields.setdefault(_decoded(_unquoted(name)), []).append(_unquoted(value))
        return cls(fields)

    def many(self, name: str) -> list[str]:
        return [_decoded(value) for value in self._fields.get(name, ())]

    def raw(self, name: str) -> bytes | None:
        """The one value, as bytes.  Raises `RequestInvalid` if there are several: we do not guess."""
        values = self._fields.get(name, ())
        if len(values) > 1:
            raise RequestInvalid(
                f"the parameter {name} may stand once", remedy="send one value", parameter=name
            )
        return values[0] if values else None

    def one(self, name: str) -> str | None:
        """The same as text."""
        value = self.raw(name)
        return None if value is None else _decoded(value)


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RequestInvalid("a parameter is not UTF-8", remedy="encode it as UTF-8") from None
