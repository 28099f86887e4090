"""The keys of trusted issuers: fetched when they are needed, and kept for a while.

A token that names a key that nobody has heard of asks for the keys again, at most once a minute for each issuer, so
that made-up names cost the issuer nothing.  An issuer that does not answer is asked again no sooner; what it said
last is good for an hour.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import structlog

from roadstead.clients.outgoing import Outgoing, Unreachable, check_url
from roadstead.errors import RequestInvalid, Unavailable
from roadstead.identity.federation.keys import KeySet, KeySetInvalid, PublicKey, read_keys
from roadstead.identity.federation.queries import StoredIssuer
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

MAX_DOCUMENT = 64 * 1024
# In milliseconds.
FRESH = 300_000
USABLE = 3_600_000
ASK_AGAIN = 60_000
_DISCOVERY = "/.well-known/openid-configuration"


class IssuerSilent(Unavailable):
    """We trust the issuer, and cannot fetch its keys."""

    def __init__(self) -> None:
        super().__init__(
            "the keys of the token's issuer cannot be fetched now",
            remedy="try again in a minute; the log of the registry has the reason",
            retry_after=ASK_AGAIN // 1000,
        )


@dataclass(slots=True)
class _Known:
    """What one issuer said.  Times are in milliseconds since 1970."""

    # `updated_at` of the issuer's row: a changed row is asked anew.
    version: int
    keys: KeySet | None = None
    fetched_at: int = 0
    asked_at: int | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class IssuerKeys:
    """One for each process."""

    def __init__(self, outgoing: Outgoing, *, clock: Clock = now_ms) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._known: dict[int, _Known] = {}

    async def key(self, issuer: StoredIssuer, key_id: str, algorithm: str) -> PublicKey | None:
        """The issuer's key of that id for that algorithm, or None.  Raises `IssuerSilent`."""
        known = self._known.get(issuer.id)
        if known is None or known.version != issuer.updated_at:
            known = self._known[issuer.id] = _Known(issuer.updated_at)
        if self._should_ask(known, key_id, algorithm):
            async with known.asking:
                # Whoever waited here finds what the one before was told.
                if self._should_ask(known, key_id, algorithm):
                    await self._ask(issuer, known)
        if known.keys is None or self._clock() - known.fetched_at >= USABLE:
            raise IssuerSilent
        return known.keys.get((key_id, algorithm))

    def _should_ask(self, known: _Known, key_id: str, algorithm: str) -> bool:
        now = self._clock()
        fresh = known.keys is not None and now - known.fetched_at < FRESH
        if fresh and known.keys is not None and (key_id, algorithm) in known.keys:
            return False
        return known.asked_at is None or now - known.asked_at >= ASK_AGAIN

    async def _ask(self, issuer: StoredIssuer, known: _Known) -> None:
        known.asked_at = self._clock()
        try:
            document = issuer.jwks if issuer.jwks is not None else await self._fetch_keys(issuer)
            known.keys = read_keys(document)
            known.fetched_at = self._clock()
        except (Unreachable, RequestInvalid, KeySetInvalid) as error:
            log.warning("federation.keys_not_fetched", issuer=issuer.name, reason=str(error))

    async def _fetch_keys(self, issuer: StoredIssuer) -> object:
        if issuer.jwks_uri is not None:
            return await self._document(issuer.jwks_uri)
        found = await self._document(issuer.issuer.rstrip("/") + _DISCOVERY)
        if not isinstance(found, dict) or found.get("issuer") != issuer.issuer:
            raise KeySetInvalid("the discovery document is another issuer's")
        uri = found.get("jwks_uri")
        if not isinstance(uri, str) or _origin(check_url(uri)) != _origin(issuer.issuer):
            raise KeySetInvalid("the discovery document names keys elsewhere; set jwks_uri if that is right")
        return await self._document(uri)

    async def _document(self, url: str) -> Any:
        fetched = await self._outgoing.get(url, limit=MAX_DOCUMENT)
        if fetched.status != 200:
            raise KeySetInvalid(f"the answer's status is {fetched.status}")
        try:
            return json.loads(fetched.body)
        except (ValueError, RecursionError):
            raise KeySetInvalid("the answer is no JSON") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
