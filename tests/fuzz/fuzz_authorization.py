"""Any `Authorization` header is somebody, nobody or a refusal that we can explain.

Run: `python tests/fuzz/fuzz_authorization.py [-max_total_time=60] [corpus]`
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["roadstead"]):
    from roadstead.errors import RoadsteadError
    from roadstead.identity.challenges import challenge
    from roadstead.identity.credentials import authorization_header, parse_authorization
    from roadstead.identity.rules import canonical_username
    from roadstead.identity.scopes import parse_scope


def one_input(data: bytes) -> None:
    with suppress(RoadsteadError):
        header = authorization_header([(b"authorization", data)])
        parse_authorization(header or "")
    with suppress(RoadsteadError):
        authorization_header((line, line) for line in data.split(b"\n"))
    text = data.decode(errors="ignore")
    canonical_username(text)
    line = challenge(text, text, text)
    if not line.isprintable() or line.count('"') % 2:
        raise AssertionError(line)
    scope = parse_scope(text)
    if scope is not None and parse_scope(str(scope)) != scope:
        raise AssertionError(text)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
