"""The challenge of a 401, in the one form that every client reads.

Each value is in double quotes.  Some clients read only the first `WWW-Authenticate` line, and take the last
of the words "bearer" and "basic" in it for the scheme; so the realm is spelt without the word "basic".
`service` and `scope` come back to us letter by letter: those are not touched.
"""

from __future__ import annotations

import re
from typing import Literal

BASIC = 'Basic realm="roadstead", charset="UTF-8"'

# What could end the quotes or the line.
_UNQUOTABLE = re.compile(r'[\x00-\x1f\x7f-\U0010ffff"\\]')
_BASIC = re.compile("basic", re.IGNORECASE)

BearerError = Literal["invalid_token", "insufficient_scope"]


def challenge(realm_url: str, service: str, scope: str = "", error: BearerError | None = None) -> str:
    """A Bearer challenge that sends the client to the token service at `realm_url`.

    A `scope` that could not be quoted unharmed is left out: the client then asks for none.
    """
    values = [("realm", _address(realm_url)), ("service", _UNQUOTABLE.sub("", service))]
    if scope and not _UNQUOTABLE.search(scope):
        values.append(("scope", scope))
    if error:
        values.append(("error", error))
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in values)


def _address(url: str) -> str:
    """The same address, with the letters percent-encoded that would mislead."""
    url = _UNQUOTABLE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), url)
    return _BASIC.sub(lambda found: f"%{ord(found[0][0]):02X}{found[0][1:]}", url)
