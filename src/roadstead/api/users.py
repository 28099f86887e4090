"""Users: everybody's own account, and everybody's for those who administer."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import Id, Name, Secret, Shape, Text, Time
from roadstead.db.list_requests import Clause
from roadstead.db.tables.users import CHOSEN
from roadstead.errors import Precondition
from roadstead.identity.accounts.changes import Profile
from roadstead.identity.accounts.service import Draft
from roadstead.identity.queries import Account

router = APIRouter(prefix="/users", tags=["user"])
UserId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The user's number.")]
Part = Annotated[str, Query(max_length=255, description="A part of it.")]
_PROJECT_SCOPE = "/project/"
_SYSTEM_SCOPE = "/system"


class UserCreationReq(Shape):
    username: Name | None = None
    password: Secret | None = None
    email: Name | None = None
    realname: Name | None = None
    comment: Text | None = None
    # Only administrators may set it.
    sysadmin_flag: bool | None = None
    # Ours: the password is good for choosing another, and for nothing else.
    must_change_password: bool | None = None

    def draft(self) -> Draft:
        return Draft(
            self.username or "",
            self.password or "",
            Profile(self.email or "", self.realname or "", self.comment or ""),
            admin=bool(self.sysadmin_flag),
            must_change=bool(self.must_change_password),
        )


class UserProfile(Shape):
    email: Name | None = None
    realname: Name | None = None
    comment: Text | None = None

    def profile(self) -> Profile:
        return Profile(self.email or "", self.realname or "", self.comment or "")


class UserResp(Shape):
    user_id: Id
    username: Name
    email: Name | None = None
    realname: Name | None = None
    comment: Text | None = None
    sysadmin_flag: bool
    admin_role_in_auth: bool = False
    creation_time: Time
    update_time: Time
    # Ours, absent where it is never, or no.
    last_login_time: Time | None = None
    disabled: bool | None = None
    must_change_password: bool | None = None

    @classmethod
    def of(cls, account: Account) -> UserResp:
        return cls(
            user_id=account.id,
            username=account.username,
            email=account.email or None,
            realname=account.realname or None,
            comment=account.comment or None,
            sysadmin_flag=account.admin,
            creation_time=account.created_at,
            update_time=max(account.updated_at, account.created_at),
            last_login_time=account.last_login_at,
            disabled=account.disabled or None,
            must_change_password=account.password_state != CHOSEN or None,
        )


class UserSearchRespItem(Shape):
    user_id: Id
    username: Name


class UserSysAdminFlag(Shape):
    sysadmin_flag: bool | None = None


class PasswordReq(Shape):
    old_password: Secret | None = None
    new_password: Secret | None = None
    # Ours, for somebody else's password.
    must_change_password: bool | None = None


class UserDisabledFlag(Shape):
    disabled: bool


class OIDCCliSecretReq(Shape):
    secret: Secret | None = None


class Permission(Shape):
    resource: Name
    action: Name


@router.get("", response_model_exclude_none=True)
async def listUsers(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    username: Part = "",
    email: Part = "",
) -> list[UserResp]:
    """Everybody.  `q` and `sort` know `username`, `email`, `user_id`, `realname`, `sysadmin_flag` and others."""
    parts = {"username": username, "email": email}
    more = tuple(Clause(key, "fuzzy", (part,)) for key, part in parts.items() if part)
    asked = replace(listing, clauses=(*listing.clauses, *more))
    accounts, total = await services.accounts.everybody(caller, asked)
    tell(request, response, listing, total)
    return [UserResp.of(account) for account in accounts]


@router.post("", status_code=201, response_class=Response)
async def createUser(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user: UserCreationReq
) -> Response:
    """Add somebody: for administrators, and, where self-registration is on, for anybody."""
    account = await services.accounts.create(caller, user.draft())
    return Response(status_code=201, headers={"Location": f"/api/v2.0/users/{account.id}"})


@router.get("/current", response_model_exclude_none=True)
async def getCurrentUserInfo(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked
) -> UserResp:
    """Whoever asks."""
    return UserResp.of(await services.accounts.current(caller))


@router.get("/current/permissions")
async def getCurrentUserPermissions(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    scope: Annotated[str, Query(max_length=255, description="`/project/ID` or `/system`.")] = "",
    relative: Annotated[bool, Query(description="Leave the scope out of the resources.")] = False,
) -> list[Permission]:
    """What whoever asks may do there.  Nothing where there is nothing, or nothing that they may know of."""
    await services.authority.signed_in(caller)
    held: frozenset[str] = frozenset()
    project = scope.removeprefix(_PROJECT_SCOPE)
    if scope == _SYSTEM_SCOPE:
        held = await services.authority.system_permissions(caller)
    elif project != scope and project.isascii() and project.isdecimal() and int(project[:19]) < 2**63:
        found = await services.authority.look(caller, int(project[:19]))
        held = found.standing.permissions if found is not None else held
    pairs = (permission.partition(":") for permission in sorted(held))
    return [
        Permission(resource=resource if relative else f"{scope}/{resource}", action=action)
        for resource, _, action in pairs
    ]


@router.get("/search")
async def searchUsers(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    username: Annotated[str, Query(max_length=255, description="How the name begins.")],
) -> list[UserSearchRespItem]:
    """Numbers and names of those whose names begin so, for anybody who is signed in."""
    found, total = await services.accounts.search(caller, username, listing)
    tell(request, response, listing, total)
    return [UserSearchRespItem(user_id=user_id, username=name) for user_id, name in found]


@router.get("/{user_id}", response_model_exclude_none=True)
async def getUser(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId
) -> UserResp:
    """One's own account, or, for administrators, anybody's."""
    return UserResp.of(await services.accounts.get(caller, user_id))


@router.put("/{user_id}", response_class=Response)
async def updateUserProfile(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId, profile: UserProfile
) -> Response:
    """The e-mail address, the full name and the comment; what is left out becomes empty."""
    await services.accounts.update_profile(caller, user_id, profile.profile())
    return Response()


@router.delete("/{user_id}", response_class=Response)
async def deleteUser(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId
) -> Response:
    """What they pushed stays; what they may do ends with their next request."""
    await services.accounts.delete(caller, user_id)
    return Response()


@router.put("/{user_id}/sysadmin", response_class=Response)
async def setUserSysAdmin(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId, sysadmin_flag: UserSysAdminFlag
) -> Response:
    """Make somebody an administrator of the registry, or an ordinary user."""
    await services.accounts.set_admin(caller, user_id, bool(sysadmin_flag.sysadmin_flag))
    return Response()


@router.put("/{user_id}/disabled", response_class=Response)
async def setUserDisabled(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId, disabled: UserDisabledFlag
) -> Response:
    """Shut somebody out at once and keep their account, or let them in again.  Harbor has no such thing."""
    await services.accounts.set_disabled(caller, user_id, disabled.disabled)
    return Response()


@router.delete("/{user_id}/lock", response_class=Response)
async def unlockUser(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId
) -> Response:
    """Lift the lock that too many wrong passwords put on an account.  Harbor has no such thing."""
    await services.accounts.unlock(caller, user_id)
    return Response()


@router.put("/{user_id}/password", response_class=Response)
async def updateUserPassword(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, user_id: UserId, password: PasswordReq
) -> Response:
    """One's own, with `old_password`; or, for administrators, somebody else's without."""
    await services.accounts.set_password(
        caller,
        user_id,
        old=password.old_password or "",
        new=password.new_password or "",
        must_change=bool(password.must_change_password),
    )
    return Response()


@router.put("/{user_id}/cli_secret", response_class=Response)
async def setCliSecret(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    user_id: UserId,
    secret: OIDCCliSecretReq,  # noqa: ARG001 - Harbor's operation has it
) -> Response:
    """Harbor's stand-in for a password where OpenID Connect signs people in, which is not built here."""
    await services.accounts.get(caller, user_id)
    raise Precondition(
        "command-line secrets are for people who sign in by OpenID Connect, which is not built here",
        remedy="make a login token in its place: POST /api/v2.0/users/current/tokens",
    )
