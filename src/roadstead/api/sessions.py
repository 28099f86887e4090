"""Who is signed in, and short-lived login tokens.  Harbor has neither: the paths are ours."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.cookies import session_cookie
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Shape, Time
from roadstead.api.users import UserId
from roadstead.identity.login_tokens import DEFAULT_LIFETIME, MAX_LIFETIME, stored_id
from roadstead.identity.sessions.queries import StoredSession

router = APIRouter(prefix="/users", tags=["session"])
SessionId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="As the list has it.")]


class Session(Shape):
    id: Name
    kind: Annotated[str, Field(description="`browser` or `token`.")]
    name: Name
    address: Name
    user_agent: Name
    creation_time: Time
    last_seen_time: Time
    expiration_time: Time
    current: Annotated[bool, Field(description="Whether this request came in it.")] = False

    @classmethod
    def of(cls, session: StoredSession, *, current: str = "") -> Session:
        return cls(
            id=session.id,
            kind=session.kind,
            name=session.name,
            address=session.address,
            user_agent=session.user_agent,
            creation_time=session.created_at,
            last_seen_time=session.last_seen_at,
            expiration_time=session.expires_at,
            current=session.id == current,
        )


class LoginTokenReq(Shape):
    name: Name = ""
    lifetime_seconds: Annotated[int, Field(ge=1, le=MAX_LIFETIME)] = DEFAULT_LIFETIME


class LoginToken(Shape):
    id: Name
    name: Name
    token: Annotated[str, Field(description="Shown once.  Use it as the password, with your name.")]
    expiration_time: Time


@router.get("/current/sessions")
async def listOwnSessions(  # noqa: N802 - as Harbor's operation names
    request: Request, caller: Caller, services: Asked
) -> list[Session]:
    """One's own sessions and login tokens that are good, the latest first."""
    secret = session_cookie(request.scope["headers"])
    current = stored_id(secret) if secret is not None else ""
    return [Session.of(found, current=current) for found in await services.sessions.list(caller)]


@router.delete("/current/sessions/{session_id}", response_class=Response)
async def revokeOwnSession(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, session_id: SessionId
) -> Response:
    """End one of one's own sessions or login tokens, at once."""
    await services.sessions.revoke(caller, session_id)
    return Response()


@router.post("/current/tokens", status_code=201)
async def createLoginToken(  # noqa: N802 - as Harbor's operation names
    request: Request, response: Response, caller: Caller, services: Asked, token: LoginTokenReq
) -> LoginToken:
    """A token that stands for one's password, for twelve hours at most."""
    agent = request.headers.get("user-agent", "")
    issued = await services.sessions.create_token(
        caller, token.name, token.lifetime_seconds, user_agent=agent
    )
    session = stored_id(issued.secret)
    response.headers["Location"] = f"/api/v2.0/users/current/sessions/{session}"
    response.headers["Cache-Control"] = "no-store"
    return LoginToken(id=session, name=token.name, token=issued.secret, expiration_time=issued.expires_at)


@router.get("/{user_id}/sessions")
async def listUserSessions(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId
) -> list[Session]:
    """One's own; or, with the permission `session:list`, somebody else's."""
    return [Session.of(found) for found in await services.sessions.list(caller, user_id)]


@router.delete("/{user_id}/sessions", response_class=Response)
async def revokeUserSessions(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId
) -> Response:
    """End all of one's own sessions and login tokens; or, with `session:delete`, somebody else's."""
    await services.sessions.revoke_all(caller, user_id)
    return Response()
