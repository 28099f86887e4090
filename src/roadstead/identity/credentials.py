"""What an `Authorization` header holds, as a value."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field

from roadstead.errors import Unauthenticated

MAX_HEADER = 12 * 1024
_REMEDY = "sign in again"


class MalformedCredentials(Unauthenticated):
    """The header is not what its scheme prescribes."""


@dataclass(frozen=True, slots=True)
class Password:
    """A user name and a password as they were sent.  Both empty is nobody."""

    username: str
    # The bytes, whatever their encoding: they are compared with what was hashed.
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    token: str = field(repr=False)


def authorization_header(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one `Authorization` of an ASGI scope's headers.

    Raises `MalformedCredentials` for more than one: which of them counts is not for us, or a proxy, to guess.
    """
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if len(found) > 1:
        raise MalformedCredentials(
            "the request has more than one Authorization header", remedy="send one, or none"
        )
    return found[0].decode("latin-1") if found else None


def parse_authorization(header: str) -> Password | Bearer | None:
    """None for an anonymous caller: an empty header, or Basic with neither name nor password.

    Raises `MalformedCredentials`.
    """
    if len(header) > MAX_HEADER:
        raise MalformedCredentials(f"an Authorization header has at most {MAX_HEADER} bytes", remedy=_REMEDY)
    scheme, _, rest = header.strip(" \t").partition(" ")
    value = rest.strip(" ")
    match scheme.lower():
        case "":
            return None
        case "bearer" if value:
            return Bearer(value)
        case "basic":
            credentials = _basic(value)
            return credentials if credentials.username or credentials.password else None
    raise MalformedCredentials("the Authorization header is neither Basic nor Bearer", remedy=_REMEDY)


def _basic(value: str) -> Password:
    try:
        name, separator, password = b64decode(value.encode("ascii"), validate=True).partition(b":")
        if separator:
            return Password(name.decode(), password)
    except (UnicodeError, binascii.Error):
        pass
    raise MalformedCredentials(
        "Basic credentials are the base64 of a user name in UTF-8, a colon and a password",
        remedy=_REMEDY,
    )
