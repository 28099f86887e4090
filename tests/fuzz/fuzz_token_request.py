"""Any query or body of a token request is a form of scopes, or a refusal that we can explain; any token is refused.

Run: `python tests/fuzz/fuzz_token_request.py [-max_total_time=60] [corpus]`
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["roadstead"]):
    from roadstead.errors import RoadsteadError
    from roadstead.identity.forms import Form
    from roadstead.identity.keys import KeyRing, SigningKey
    from roadstead.identity.scopes import MAX_SCOPES, parse_scopes
    from roadstead.identity.tokens import ACCESS, TokenIssuer, header_segment

from cryptography.hazmat.primitives.asymmetric import ec

_PRIVATE = ec.generate_private_key(ec.SECP256R1())
_KEY = SigningKey("token-signing-1", _PRIVATE, _PRIVATE.public_key(), None)


class _NoDatabase:
    async def read(self, *_: object, **__: object) -> list[object]:
        raise RoadsteadError("there is no database here")


def _issuer() -> TokenIssuer:
    # The clock stands still: a ring that was read just now does not ask its database.
    ring = KeyRing(_NoDatabase(), [_KEY], keep=60, clock=lambda: 0)  # type: ignore[arg-type]  # never asked
    return TokenIssuer(ring, service="roadstead", lifetime=60, refresh_lifetime=60, clock=lambda: 0)


_ISSUER = _issuer()
_HEADER = header_segment(ACCESS, _KEY.kid)


async def verify(text: str) -> None:
    for token in (text, f"{_HEADER}.{text}", f"{_HEADER}.{text}.{'A' * 86}"):
        with suppress(RoadsteadError):
            await _ISSUER.verify_access(token)
            raise AssertionError(token)


def one_input(data: bytes) -> None:
    with suppress(RoadsteadError):
        form = Form.parse(data)
        if len(parse_scopes(form.many("scope"))) > MAX_SCOPES:
            raise AssertionError(data)
        form.one("service")
        form.raw("password")
    asyncio.run(verify(data.decode("latin-1")))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
