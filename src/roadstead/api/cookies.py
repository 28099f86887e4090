"""The session's cookie: what a request brings, and what an answer sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from roadstead.config.settings import Settings
from roadstead.identity.principals import Principal
from roadstead.identity.sessions.rules import (
    SAFE_METHODS,
    TOKEN_HEADER,
    ForgedRequest,
    check_origin,
    check_token,
    csrf_token,
)
from roadstead.identity.sessions.service import Begun, Sessions
from roadstead.registry.calls import Message, Scope, Send

# Harbor's name, which its tools send.
SESSION = "sid"
# Harbor's tools look for this one beside the header with the token, and send both back.  We never read it.
_BESIDE_THE_TOKEN = "_gorilla_csrf"  # noqa: S105 - a cookie's name
# In the scope of a request with a session: the session's secret.
_SECRET = "roadstead.session"  # noqa: S105 - a key of the scope
_LONGEST = 128


def session_cookie(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The secret of the session, if the request has one.

    Two different ones are none: another host of our domain may have set the second.
    """
    found = set(_cookies(headers, SESSION))
    secret = found.pop() if len(found) == 1 else ""
    return secret if 0 < len(secret) <= _LONGEST and secret.isascii() else None


def _cookies(headers: Iterable[tuple[bytes, bytes]], name: str) -> Iterable[str]:
    for key, value in headers:
        if key == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                found, _, text = pair.strip().partition("=")
                if found == name:
                    yield text.strip('"')


async def signed_in_by_cookie(request: Request, sessions: Sessions, settings: Settings) -> Principal | None:
    """Whose session's cookie the request has.  Raises `ForgedRequest` where another site's page may have made it."""
    secret = session_cookie(request.scope["headers"])
    known = await sessions.principal_of(secret) if secret is not None else None
    if secret is None or known is None:
        return None
    request.scope[_SECRET] = secret
    if request.method not in SAFE_METHODS:
        check_site(request, settings)
        check_token(secret, one_header(request, TOKEN_HEADER))
    return known


def check_site(request: Request, settings: Settings) -> None:
    """Raises `ForgedRequest` for a request that a page of another site made."""
    hosts = {urlsplit(url).netloc.lower() for url in settings.external_urls} | {_host(request.scope)}
    hosts.discard("")
    check_origin(one_header(request, "origin"), one_header(request, "sec-fetch-site"), hosts)


def _host(scope: Mapping[str, Any]) -> str:
    """The server has seen to it that there is one, and well formed."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    return found[0].decode("latin-1").lower() if len(found) == 1 else ""


def one_header(request: Request, name: str) -> str | None:
    """Raises `ForgedRequest` for one that comes twice."""
    found = request.headers.getlist(name)
    if len(found) > 1:
        raise ForgedRequest(f"the header {name} came twice", remedy="send it once")
    return found[0] if found else None


def telling_token(scope: Scope, send: Send) -> Send:
    """Let answers to a session's requests hand out its token, for the next request that changes something."""

    async def sending(message: Message) -> None:
        secret: str = scope.get(_SECRET, "")
        starts = message["type"] == "http.response.start"
        if secret and starts and (scope["method"] in SAFE_METHODS or message["status"] == 403):
            message = {**message, "headers": [*message["headers"], *_token_headers(scope, secret)]}
        await send(message)

    return sending


def _token_headers(scope: Scope, secret: str) -> list[tuple[bytes, bytes]]:
    token = csrf_token(secret).encode()
    headers = [(TOKEN_HEADER.lower().encode(), token), (b"cache-control", b"no-store")]
    if not list(_cookies(scope["headers"], _BESIDE_THE_TOKEN)):
        value = f"{_BESIDE_THE_TOKEN}=1; Path=/; HttpOnly; SameSite=Lax"
        headers.append((b"set-cookie", value.encode()))
    return headers


def set_session(scope: Mapping[str, Any], settings: Settings, begun: Begun) -> str:
    """The `Set-Cookie` of a session that began."""
    return _set_cookie(scope, settings, begun.secret, begun.lifetime)


def clear_session(scope: Mapping[str, Any], settings: Settings) -> str:
    return _set_cookie(scope, settings, "", 0)


def _set_cookie(scope: Mapping[str, Any], settings: Settings, value: str, lifetime: int) -> str:
    named = [url for url in settings.external_urls if urlsplit(url).netloc.lower() == _host(scope)]
    address: str = [*named, *settings.external_urls, scope["scheme"]][0]
    secure = "; Secure" if address.startswith("https") else ""
    return f"{SESSION}={value}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"
