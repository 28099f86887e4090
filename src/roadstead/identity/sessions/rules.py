"""Whether a request that comes with a cookie was meant by whoever the cookie is of.  Pure decisions.

A browser sends a cookie with whatever any page makes it send.  So a request that changes something must show the
session's own token, which only a page of ours can read, and must not say of itself that it comes from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from roadstead.errors import Denied

TOKEN_HEADER = "X-Harbor-CSRF-Token"  # noqa: S105 - a header's name
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What a browser says of a request that it made for a page of ours, or for the person themself.
_OWN_SITES = frozenset({"same-origin", "none"})


class ForgedRequest(Denied):
    """The request may have been made by somebody else's page."""


def csrf_token(secret: str) -> str:
    """The token of a session: nobody makes it without the session's secret, and it does not give that away."""
    return hmac.digest(secret.encode(), b"roadstead csrf", hashlib.sha256).hex()


def check_token(secret: str, shown: str | None) -> None:
    if shown is None or not hmac.compare_digest(shown.encode(), csrf_token(secret).encode()):
        raise ForgedRequest(
            f"a request with a session's cookie that changes something needs the header {TOKEN_HEADER}",
            remedy="take its value from the same header of any answer to a GET in this session",
        )


def check_origin(origin: str | None, site: str | None, hosts: Collection[str]) -> None:
    """`origin` and `site` are the headers `Origin` and `Sec-Fetch-Site`; `hosts` are our own names, with ports."""
    foreign = site is not None and site.lower() not in _OWN_SITES
    if foreign or (origin is not None and _host(origin) not in hosts):
        raise ForgedRequest(
            "a page of another site made this request",
            remedy="use this registry's own pages, or sign in with a name and a password in each request",
        )


def _host(origin: str) -> str:
    try:
        found = urlsplit(origin.lower())
    except ValueError:
        return ""
    return found.netloc if found.scheme in {"http", "https"} else ""
