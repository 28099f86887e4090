"""Tokens that somebody else signed: read, and verified with that issuer's key and no other.

The header names a key and says an algorithm, and is believed in neither: the pair must be one of the issuer's own.
Keys and addresses of keys in it (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from roadstead.identity.federation.keys import ALGORITHMS, LONGEST_KEY_ID, PublicKey

MAX_TOKEN_BYTES = 7 * 1024
# The issuer's clock and ours may differ by this many seconds.
LEEWAY = 60
# Whatever its `exp` says, nobody shows a token that was issued longer ago than this, in seconds.
MAX_AGE = 24 * 3600

Claims = Mapping[str, Any]

_COMPACT = re.compile(r"([A-Za-z0-9_-]{8,2048})\.([A-Za-z0-9_-]{8,6144})\.[A-Za-z0-9_-]{16,1400}")
# One verifier for each algorithm: none of them can be talked into another.
_VERIFIERS = {name: PyJWS(algorithms=[name]) for name in sorted(ALGORITHMS)}


class ExternalTokenInvalid(ValueError):
    """Why a token is not good.  For the log, never for whoever showed it."""


@dataclass(frozen=True, slots=True)
class ExternalToken:
    """A token as it was shown.  Nothing in it is to be believed."""

    text: str = field(repr=False)
    key_id: str
    algorithm: str
    # Whose token it says it is.
    issuer: str

    @classmethod
    def parse(cls, text: str) -> ExternalToken:
        """Raises `ExternalTokenInvalid`."""
        shape = _COMPACT.fullmatch(text) if len(text) <= MAX_TOKEN_BYTES else None
        if shape is None:
            raise ExternalTokenInvalid("not a signed JSON Web Token, or too long")
        header, claims = _json(shape[1]), _json(shape[2])
        if "crit" in header or "b64" in header or "enc" in header:
            raise ExternalTokenInvalid("the header has an extension")
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.upper() != "JWT":
            raise ExternalTokenInvalid("the header's typ is not JWT")
        algorithm, key_id, issuer = header.get("alg"), header.get("kid"), claims.get("iss")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise ExternalTokenInvalid("the algorithm is none that is accepted")
        if not isinstance(key_id, str) or not 1 <= len(key_id) <= LONGEST_KEY_ID:
            raise ExternalTokenInvalid("the header names no key")
        if not isinstance(issuer, str):
            raise ExternalTokenInvalid("there is no issuer")
        return cls(text, key_id, algorithm, issuer)

    def verify(self, key: PublicKey, *, issuer: str, audience: str, now: int) -> Claims:
        """What the issuer says.  `key` is the issuer's of this id and algorithm; `now` is in seconds since 1970.

        Raises `ExternalTokenInvalid`.
        """
        try:
            payload = _VERIFIERS[self.algorithm].decode(self.text, key, algorithms=[self.algorithm])
            claims = json.loads(payload)
        except (PyJWTError, ValueError, TypeError, RecursionError):
            raise ExternalTokenInvalid("the signature is wrong") from None
        if not isinstance(claims, dict) or claims.get("iss") != issuer:
            raise ExternalTokenInvalid("the issuer is another")
        if not _is_for(claims.get("aud"), audience):
            raise ExternalTokenInvalid("the audience is another")
        _check_times(claims, now)
        return claims


def _json(segment: str) -> dict[str, Any]:
    try:
        found = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise ExternalTokenInvalid("not JSON in base64url") from None
    if not isinstance(found, dict):
        raise ExternalTokenInvalid("not a JSON object")
    return found


def _is_for(aud: object, audience: str) -> bool:
    """Whether we are who the token is for, or among those."""
    if isinstance(aud, list):
        return any(entry == audience for entry in aud if isinstance(entry, str))
    return isinstance(aud, str) and aud == audience


def _check_times(claims: Mapping[str, object], now: int) -> None:
    issued, ends = _time(claims, "iat"), _time(claims, "exp")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if ends + LEEWAY <= now:
        raise ExternalTokenInvalid("it has expired")
    if max(issued, begins) > now + LEEWAY:
        raise ExternalTokenInvalid("it is not good yet")
    if now - issued > MAX_AGE:
        raise ExternalTokenInvalid(f"it was issued more than {MAX_AGE} seconds ago")


def _time(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    # A truth value is a number to Python, and not-a-number compares with nothing.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        raise ExternalTokenInvalid(f"{name} is missing, or no time")
    return value
