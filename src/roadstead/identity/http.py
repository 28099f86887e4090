"""The token service: `GET` and `POST /service/token`.

https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/.  A scope that is denied makes a
token with less in it, never an error; wrong credentials are always an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roadstead.errors import (
    Conflict,
    Denied,
    Invalid,
    RequestInvalid,
    RoadsteadError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from roadstead.identity.authentication import Authenticator
from roadstead.identity.challenges import BASIC
from roadstead.identity.credentials import (
    MalformedCredentials,
    Password,
    authorization_header,
    parse_authorization,
)
from roadstead.identity.federation.exchange import Exchange
from roadstead.identity.forms import MAX_FORM_BYTES, Form
from roadstead.identity.principals import ANONYMOUS, Principal
from roadstead.identity.scopes import GrantedScope, RequestedScope, parse_scopes
from roadstead.identity.tokens import TokenIssuer

Grants = Callable[[Principal, list[RequestedScope]], Awaitable[list[GrantedScope]]]

PATH = "/service/token"
FORM_TYPE = "application/x-www-form-urlencoded"
# OAuth 2.0 Token Exchange, RFC 8693.
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105 - the beginning of a name
_SUBJECT_TYPES = frozenset({f"{_TOKEN_TYPE}jwt", f"{_TOKEN_TYPE}id_token"})
_ISSUED_TYPE = f"{_TOKEN_TYPE}access_token"
# What a document with credentials or tokens in it asks of every cache.
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_STATUSES: Sequence[tuple[type[RoadsteadError], HTTPStatus, str]] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED, "invalid_grant"),
    (TooManyRequests, HTTPStatus.TOO_MANY_REQUESTS, "slow_down"),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE, "temporarily_unavailable"),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "invalid_request"),
    (Denied, HTTPStatus.FORBIDDEN, "access_denied"),
    # An account that has as many login tokens as one may have.
    (Conflict, HTTPStatus.CONFLICT, "access_denied"),
    (Invalid, HTTPStatus.BAD_REQUEST, "invalid_request"),
)


class TokenService:
    """Hands out tokens.  What may be in them, `grants` says: the token service knows no project."""

    def __init__(
        self,
        authenticator: Authenticator,
        issuer: TokenIssuer,
        grants: Grants,
        *,
        service: str,
        exchange: Exchange | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._issuer = issuer
        self._grants = grants
        self._service = service
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.get, methods=["GET"], name="token"),
            Route(PATH, self.post, methods=["POST"], name="token-oauth"),
        ]

    async def get(self, request: Request) -> Response:
        """Docker's protocol: Basic credentials or none, parameters in the query.

        `account` and `client_id` are for the reader of logs: who asks is what the credentials say.
        """
        try:
            form = Form.parse(request.scope["query_string"])
            for name in ("account", "client_id"):
                form.raw(name)
            offline = form.one("offline_token") == "true"
            principal = await self._basic(request)
            return await self._answer(request, form, principal, offline=offline)
        except RoadsteadError as error:
            return _refusal(error, {})

    async def post(self, request: Request) -> Response:
        """Docker's OAuth 2 protocol: a password or a refresh token in an urlencoded body."""
        try:
            form = await _body(request)
            form.raw("client_id")
            if self._exchange is not None and form.one("grant_type") == EXCHANGE:
                return await self._exchanged(request, form, self._exchange)
            principal = await self._granted_by(form, _client(request))
            return await self._answer(request, form, principal, offline=form.one("access_type") == "offline")
        except RoadsteadError as error:
            return _refusal(error, {"error": _status(error)[1], "error_description": error.message})

    async def _basic(self, request: Request) -> Principal:
        header = authorization_header(request.scope["headers"])
        match parse_authorization(header) if header is not None else None:
            case None:
                return ANONYMOUS
            case Password() as credentials:
                return await self._authenticator.sign_in(credentials, client=_client(request), live=True)
        # A token that could fetch the next one would never end.
        raise MalformedCredentials(
            "the token service takes Basic credentials", remedy="sign in with a password"
        )

    async def _granted_by(self, form: Form, client: str) -> Principal:
        match form.one("grant_type"):
            case "password":
                username, password = form.one("username") or "", form.raw("password") or b""
                if not username and not password:
                    return ANONYMOUS
                return await self._authenticator.sign_in(
                    Password(username, password), client=client, live=True
                )
            case "refresh_token":
                return await self._authenticator.renew(form.one("refresh_token") or "")
        raise RequestInvalid("grant_type is password or refresh_token", remedy="send one of the two")

    async def _exchanged(self, request: Request, form: Form, exchange: Exchange) -> Response:
        """A token of a trusted issuer for what stands in place of a robot's password for some minutes."""
        if form.one("subject_token_type") not in _SUBJECT_TYPES:
            raise RequestInvalid(
                "the subject token is a JSON Web Token", remedy=f"send subject_token_type={_TOKEN_TYPE}jwt"
            )
        if form.one("requested_token_type") not in {None, "", _ISSUED_TYPE}:
            raise RequestInvalid("only access tokens are issued", remedy="leave out requested_token_type")
        robot = form.one("audience") or form.one("client_id") or ""
        here = _here(ANONYMOUS, request)
        # Networks that are shut out are shut out here, too.
        await self._grants(here, [])
        exchanged = await exchange.exchange(form.one("subject_token") or "", robot, here)
        answer = {
            "access_token": exchanged.secret,
            "issued_token_type": _ISSUED_TYPE,
            # It is shown as the password of this user, and is no bearer token.
            "token_type": "N_A",
            "username": exchanged.username,
            "expires_in": exchanged.expires_in,
        }
        return JSONResponse(answer, headers=_HEADERS)

    async def _answer(self, request: Request, form: Form, principal: Principal, *, offline: bool) -> Response:
        service = form.one("service")
        if service is not None and service != self._service:
            raise RequestInvalid(
                f"this token service is for {self._service}", remedy="use the service of the challenge"
            )
        here = _here(principal, request)
        granted = await self._grants(here, parse_scopes(form.many("scope")))
        token = self._issuer.access_token(principal, granted)
        answer: dict[str, object] = {
            "token": token.text,
            "access_token": token.text,
            "token_type": "Bearer",
            "expires_in": token.expires_in,
            "issued_at": datetime.fromtimestamp(token.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "scope": " ".join(str(scope) for scope in granted if scope.actions),
        }
        # A short-lived login token gets nothing that outlives it.
        if offline and not principal.anonymous and principal.until is None:
            answer["refresh_token"] = self._issuer.refresh_token(principal).text
        return JSONResponse(answer, headers=_HEADERS)


async def _body(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise RequestInvalid(f"the body of a token request is {FORM_TYPE}", remedy="send the form so")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_FORM_BYTES:
            raise TooLarge(
                f"the body of a token request has at most {MAX_FORM_BYTES} bytes",
                remedy="ask for several tokens",
            )
    return Form.parse(bytes(data))


def _here(principal: Principal, request: Request) -> Principal:
    request_id = request.scope.get("roadstead.request_id", "")
    return principal.at("registry", address=_client(request), request_id=request_id)


def _client(request: Request) -> str:
    # A Unix socket's peer has no address.
    return request.client.host if request.client else ""


def _status(error: RoadsteadError) -> tuple[HTTPStatus, str]:
    for family, status, name in _STATUSES:
        if isinstance(error, family):
            return status, name
    return HTTPStatus.INTERNAL_SERVER_ERROR, "server_error"


def _refusal(error: RoadsteadError, more: dict[str, object]) -> Response:
    status, _ = _status(error)
    headers = dict(_HEADERS)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = BASIC
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    parts = [
        {"code": part.code, "message": part.message, "detail": {**part.facts, "remedy": part.remedy}}
        for part in error.parts
    ]
    return JSONResponse({**more, "errors": parts}, status, headers)
