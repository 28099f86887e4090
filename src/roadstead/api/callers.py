"""Who calls the API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from roadstead.api import watching
from roadstead.api.cookies import signed_in_by_cookie
from roadstead.api.services import Asked, Services
from roadstead.errors import Unauthenticated
from roadstead.identity.authentication import PasswordHandedOver
from roadstead.identity.credentials import authorization_header
from roadstead.identity.principals import Principal

API = "api"
# What a password that must be changed is good for.
_CHANGING_IT = frozenset({"getCurrentUserInfo", "updateUserPassword"})
# Where the process itself says who calls, as its own command line does.  No header can set it.
OPERATOR_IN_SCOPE = "roadstead.operator"


class RegistryTokenShown(Unauthenticated):
    """A token for `/v2` says what may be pulled and pushed, and nothing about administration."""

    def __init__(self) -> None:
        super().__init__(
            "tokens of /service/token are not good here",
            remedy="sign in with a name and a password or secret",
        )


async def _caller(request: Request, services: Asked) -> Principal:
    """Whoever the request says it is from, `ANONYMOUS` included.  What they may do, services decide."""
    operator: Principal | None = request.scope.get(OPERATOR_IN_SCOPE)
    if operator is not None:
        await watching.check_mode(request, services)
        return operator
    address = request.client.host if request.client else ""
    known = await _known(request, services, address)
    # For whoever finds out that this answer was overtaken.
    request.state.known = known
    if known.scopes is not None:
        raise RegistryTokenShown
    request.scope["roadstead.user"] = known.username
    caller = known.at(API, address=address, request_id=request.scope.get("roadstead.request_id", ""))
    # For the audit log, should the request be refused.
    request.state.caller = caller
    if caller.must_change and request.scope["route"].name not in _CHANGING_IT:
        raise PasswordHandedOver(caller)
    await watching.check_mode(request, services)
    return caller


async def _known(request: Request, services: Services, address: str) -> Principal:
    """By the header, if there is one; then a cookie counts for nothing.  Else by the session's cookie."""
    header = authorization_header(request.scope["headers"])
    if header is None:
        known = await signed_in_by_cookie(request, services.sessions, services.settings)
        if known is not None:
            return known
    return await services.authenticator.authenticate(
        header, client=address, door=API, request_id=request.scope.get("roadstead.request_id", "")
    )


# A handler's parameter: `caller: Caller`.
Caller = Annotated[Principal, Depends(_caller)]
