"""The tokens that we sign, and read: ES256 and nothing else.

A verifier that reads a token's header lets its sender choose the algorithm or the key.  Ours does not: the
first segment of a good token is one of the few texts that our own keys give it, and whatever else stands
there, be it `none`, an embedded key, `crit` or a JWE, is no token.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jwt.api_jws import PyJWS
from jwt.exceptions import InvalidTokenError
from jwt.utils import base64url_encode

from roadstead.errors import RequestInvalid, Unauthenticated
from roadstead.identity.keys import KeyRing, SigningKey
from roadstead.identity.principals import Principal
from roadstead.identity.scopes import GrantedScope, access_list, narrow
from roadstead.telemetry.clock import Clock, now_ms

ISSUER = "roadstead"
ALGORITHM = "ES256"
ACCESS = "at+jwt"
REFRESH = "rt+jwt"
# Proxies cut headers off near this size, and every byte of it is work for anyone who asks.
MAX_TOKEN_BYTES = 8 * 1024
# Replicas' clocks may differ by this many seconds.
LEEWAY = 60

# One spelling each: no padding, and 64 bytes of signature.
_COMPACT = re.compile(r"([A-Za-z0-9_-]{16,512})\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{86}")
_JWS = PyJWS(algorithms=[ALGORITHM])


class TokenInvalid(Unauthenticated):
    """The token is not one of ours, or no longer good."""

    def __init__(self) -> None:
        super().__init__(
            "the token is not valid here, or has expired", remedy="ask the token service for a new one"
        )


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    # None: an anonymous caller's.
    user_id: int | None
    username: str
    epoch: int
    # What the token may be used for; nothing in a refresh token.
    scopes: Mapping[str, frozenset[str]]
    # In seconds since 1970.
    issued_at: int
    expires_at: int
    token_id: str

    @property
    def principal(self) -> Principal:
        return Principal(self.user_id, self.username, self.epoch, self.scopes)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    text: str
    # In seconds since 1970.
    issued_at: int
    # In seconds from then.
    expires_in: int


class TokenIssuer:
    """Signs tokens and verifies them.  `service` is the audience of all of them.

    Access and refresh tokens differ in `typ` and in `aud`, and neither passes for the other.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        service: str,
        lifetime: int,
        refresh_lifetime: int,
        clock: Clock = now_ms,
    ) -> None:
        self.ring = ring
        self._audiences = {ACCESS: service, REFRESH: f"{service}/refresh"}
        self._lifetimes = {ACCESS: lifetime, REFRESH: refresh_lifetime}
        self._clock = clock
        self._headers: dict[tuple[str, str], SigningKey] = {}
        self._headers_of: Mapping[str, SigningKey] | None = None

    def access_token(self, principal: Principal, granted: Sequence[GrantedScope]) -> IssuedToken:
        """Raises `RequestInvalid` if the grants do not fit into a token."""
        return self._issue(ACCESS, principal, {"access": access_list(granted)})

    def refresh_token(self, principal: Principal) -> IssuedToken:
        return self._issue(REFRESH, principal, {})

    async def verify_access(self, token: str) -> Claims:
        """Raises `TokenInvalid`, whatever is wrong with it."""
        return await self._verify(ACCESS, token)

    async def verify_refresh(self, token: str) -> Claims:
        """Raises `TokenInvalid`, whatever is wrong with it."""
        return await self._verify(REFRESH, token)

    def _issue(self, typ: str, principal: Principal, more: Mapping[str, object]) -> IssuedToken:
        now = self._clock() // 1000
        lifetime = self._lifetimes[typ]
        if principal.until is not None:
            # What comes of a short-lived token ends with it.
            lifetime = max(1, min(lifetime, principal.until // 1000 - now))
        key = self.ring.signing
        claims = {
            "iss": ISSUER,
            "aud": self._audiences[typ],
            "sub": "" if principal.user_id is None else str(principal.user_id),
            "name": principal.username,
            "epoch": principal.epoch,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(16),
            **more,
        }
        payload = json.dumps(claims, separators=(",", ":")).encode()
        text = _JWS.encode(payload, key.private, ALGORITHM, headers={"typ": typ, "kid": key.kid})
        if len(text) > MAX_TOKEN_BYTES:
            raise RequestInvalid(
                f"these scopes do not fit into a token of {MAX_TOKEN_BYTES} bytes",
                remedy="ask for several tokens",
            )
        return IssuedToken(text, now, lifetime)

    async def _verify(self, typ: str, token: str) -> Claims:
        shape = _COMPACT.fullmatch(token) if len(token) <= MAX_TOKEN_BYTES else None
        if shape is None:
            raise TokenInvalid
        key = self._key_for(typ, shape[1])
        if key is None and await self.ring.look_for_new():
            key = self._key_for(typ, shape[1])
        if key is None:
            raise TokenInvalid
        try:
            payload = _JWS.decode(token, key.public, algorithms=[ALGORITHM])
            return self._read(typ, json.loads(payload))
        except (InvalidTokenError, ValueError, TypeError, KeyError, RecursionError):
            raise TokenInvalid from None

    def _key_for(self, typ: str, segment: str) -> SigningKey | None:
        if self._headers_of is not self.ring.verifying:
            self._headers_of = self.ring.verifying
            self._headers = {
                (kind, header_segment(kind, kid)): key
                for kid, key in self._headers_of.items()
                for kind in (ACCESS, REFRESH)
            }
        return self._headers.get((typ, segment))

    def _read(self, typ: str, claims: dict[str, Any]) -> Claims:
        """What our own key signed; still, all of it must be there and of its type."""
        now = self._clock() // 1000
        issued, begins, ends = (_whole(claims[name]) for name in ("iat", "nbf", "exp"))
        subject = _text(claims["sub"])
        if (
            _text(claims["iss"]) != ISSUER
            or _text(claims["aud"]) != self._audiences[typ]
            or ends <= now
            or max(issued, begins) > now + LEEWAY
        ):
            raise TokenInvalid
        return Claims(
            user_id=int(subject) if subject else None,
            username=_text(claims["name"]),
            epoch=_whole(claims["epoch"]),
            scopes=narrow(map(_grant, claims["access"])) if typ == ACCESS else {},
            issued_at=issued,
            expires_at=ends,
            token_id=_text(claims["jti"]),
        )


def header_segment(typ: str, kid: str) -> str:
    """The first segment of every good token of this type by this key: PyJWT sorts the header's keys."""
    header = json.dumps({"alg": ALGORITHM, "kid": kid, "typ": typ}, separators=(",", ":"))
    return base64url_encode(header.encode()).decode()


def _grant(entry: Mapping[str, Any]) -> GrantedScope:
    return GrantedScope(_text(entry["type"]), _text(entry["name"]), frozenset(map(_text, entry["actions"])))


def _checked(kind: type) -> Callable[[object], Any]:
    def check(value: object) -> Any:
        if type(value) is not kind:
            raise TypeError(f"not {kind.__name__}")
        return value

    return check


_whole: Callable[[object], int] = _checked(int)
_text: Callable[[object], str] = _checked(str)
