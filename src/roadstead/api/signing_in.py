"""`/c/login` and `/c/log_out`: signing in with a browser, at Harbor's addresses."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roadstead.api.cookies import check_site, clear_session, session_cookie, set_session
from roadstead.api.dialect import refusal
from roadstead.api.services import Services
from roadstead.errors import RequestInvalid, RoadsteadError, TooLarge
from roadstead.identity.credentials import Password
from roadstead.identity.forms import MAX_FORM_BYTES, Form
from roadstead.identity.principals import Principal

PORTAL = "portal"
FORM_TYPE = "application/x-www-form-urlencoded"
_NO_STORE = {"Cache-Control": "no-store"}


class SigningIn:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def routes(self) -> list[Route]:
        return [
            Route("/c/login", self.login, methods=["POST"], name="login"),
            Route("/c/log_out", self.log_out, methods=["GET", "POST"], name="log-out"),
        ]

    async def login(self, request: Request) -> Response:
        """A form with `principal` and `password`; the answer sets the cookie of a new session."""
        try:
            check_site(request, self._settings)
            known = await self._known(request, await _form(request))
            begun = await self._services.sessions.begin(
                known, user_agent=request.headers.get("user-agent", "")
            )
            before = session_cookie(request.scope["headers"])
            if before is not None:
                await self._services.sessions.end(before)
        except RoadsteadError as error:
            return _refused(error)
        cookie = set_session(request.scope, self._settings, begun)
        return Response(headers={"Set-Cookie": cookie, **_NO_STORE})

    async def log_out(self, request: Request) -> Response:
        """End the session of the cookie, if there is one."""
        try:
            check_site(request, self._settings)
            secret = session_cookie(request.scope["headers"])
            known = await self._services.sessions.principal_of(secret) if secret else None
            if secret is not None and known is not None:
                await self._services.sessions.end(secret)
                actor = known.at(PORTAL, address=_client(request), request_id=_request_id(request))
                self._services.notes.note(actor, "logout", "user", known.username, outcome="success")
        except RoadsteadError as error:
            return _refused(error)
        cookie = clear_session(request.scope, self._settings)
        return Response(headers={"Set-Cookie": cookie, **_NO_STORE})

    async def _known(self, request: Request, form: Form) -> Principal:
        shown = Password(form.one("principal") or "", form.raw("password") or b"")
        address, request_id = _client(request), _request_id(request)
        known = await self._services.authenticator.sign_in(
            shown, client=address, live=True, door=PORTAL, request_id=request_id
        )
        request.scope["roadstead.user"] = known.username
        return known.at(PORTAL, address=address, request_id=request_id)


async def _form(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise RequestInvalid(f"a sign-in is a form of the type {FORM_TYPE}", remedy="send the form so")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_FORM_BYTES:
            raise TooLarge(f"a sign-in has at most {MAX_FORM_BYTES} bytes", remedy="send less")
    return Form.parse(bytes(data))


def _refused(error: RoadsteadError) -> Response:
    answer = refusal(error)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _client(request: Request) -> str:
    return request.client.host if request.client else ""


def _request_id(request: Request) -> str:
    found: str = request.scope.get("roadstead.request_id", "")
    return found
