"""Groups of people, and who is in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import Id, Name, Number, Shape, Text
from roadstead.api.users import UserId, UserSearchRespItem
from roadstead.db.list_requests import Clause
from roadstead.identity.groups.queries import Group

router = APIRouter(prefix="/usergroups", tags=["usergroup"])
GroupId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The group's number.")]
Part = Annotated[str, Query(max_length=255, description="A part of it.")]


class UserGroup(Shape):
    id: Number | None = None
    group_name: Name | None = None
    # 1 LDAP, 2 HTTP, 3 OIDC; 0 is kept here.
    group_type: Number | None = None
    ldap_group_dn: Text | None = None

    @classmethod
    def of(cls, group: Group) -> UserGroup:
        return cls(
            id=group.id,
            group_name=group.name,
            group_type=group.kind,
            ldap_group_dn=group.ldap_dn or None,
        )


class UserGroupSearchItem(Shape):
    id: Id
    group_name: Name
    group_type: Number


class UserGroupMember(Shape):
    """Either of the two."""

    user_id: Id | None = None
    username: Name | None = None


Sent = Annotated[UserGroup | None, Body()]


@router.get("", response_model_exclude_none=True)
async def listUserGroups(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    group_name: Part = "",
    ldap_group_dn: Annotated[str, Query(max_length=1000, description="All of it.")] = "",
) -> list[UserGroup]:
    """Every group."""
    more = []
    if group_name:
        more.append(Clause("group_name", "fuzzy", (group_name,)))
    if ldap_group_dn:
        more.append(Clause("ldap_group_dn", "exact", (ldap_group_dn,)))
    asked = replace(listing, clauses=(*listing.clauses, *more))
    groups, total = await services.groups.everybody(caller, asked)
    tell(request, response, listing, total)
    return [UserGroup.of(group) for group in groups]


@router.post("", status_code=201, response_class=Response)
async def createUserGroup(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, usergroup: Sent = None
) -> Response:
    """A group without anybody in it."""
    sent = usergroup or UserGroup()
    created = await services.groups.create(
        caller, sent.group_name or "", sent.group_type or 0, sent.ldap_group_dn or ""
    )
    return Response(status_code=201, headers={"Location": f"/api/v2.0/usergroups/{created}"})


@router.get("/search")
async def searchUserGroups(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    groupname: Annotated[str, Query(max_length=255, description="A part of the name.")],
) -> list[UserGroupSearchItem]:
    """Groups with that in their names, for anybody who is signed in."""
    groups, total = await services.groups.search(caller, groupname, replace(listing, clauses=(), sort=()))
    tell(request, response, listing, total)
    return [
        UserGroupSearchItem(id=found.id, group_name=found.name, group_type=found.kind) for found in groups
    ]


@router.get("/{group_id}", response_model_exclude_none=True)
async def getUserGroup(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, group_id: GroupId
) -> UserGroup:
    """One group."""
    return UserGroup.of(await services.groups.get(caller, group_id))


@router.put("/{group_id}", response_class=Response)
async def updateUserGroup(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, group_id: GroupId, usergroup: Sent = None
) -> Response:
    """Give it another name."""
    await services.groups.rename(caller, group_id, (usergroup or UserGroup()).group_name or "")
    return Response()


@router.delete("/{group_id}", response_class=Response)
async def deleteUserGroup(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, group_id: GroupId
) -> Response:
    """What its people had by it ends with their next request."""
    await services.groups.delete(caller, group_id)
    return Response()


@router.get("/{group_id}/users")
async def listUserGroupMembers(  # noqa: N802 - as Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    group_id: GroupId,
) -> list[UserSearchRespItem]:
    """Who is in it.  Harbor leaves that to the directory."""
    members, total = await services.groups.members(caller, group_id, listing)
    tell(request, response, listing, total)
    return [UserSearchRespItem(user_id=found.id, username=found.username) for found in members]


@router.post("/{group_id}/users", status_code=201, response_class=Response)
async def addUserGroupMember(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, group_id: GroupId, member: UserGroupMember
) -> Response:
    """Put somebody into it, by `user_id` or by `username`."""
    added = await services.groups.add_member(
        caller, group_id, user_id=member.user_id, username=member.username or ""
    )
    location = f"/api/v2.0/usergroups/{group_id}/users/{added}"
    return Response(status_code=201, headers={"Location": location})


@router.delete("/{group_id}/users/{user_id}", response_class=Response)
async def removeUserGroupMember(  # noqa: N802 - as Harbor's operation names
    caller: Caller, services: Asked, group_id: GroupId, user_id: UserId
) -> Response:
    """Take somebody out of it."""
    await services.groups.remove_member(caller, group_id, user_id)
    return Response()
