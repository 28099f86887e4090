"""The members of a project: people and groups, each with a role."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Name, Number, Shape, Text
from roadstead.errors import Invalid
from roadstead.projects.members.queries import Member
from roadstead.projects.members.rules import Whom

router = APIRouter(tags=["member"])

_ALL = "/projects/{project_name_or_id}/members"
_ONE = _ALL + "/{mid}"
MemberId = Annotated[int, Path(ge=1, le=LARGEST, description="The membership's number.")]
OptionalId = Annotated[int, Field(ge=0, le=LARGEST)]


class MemberUser(Shape):
    user_id: OptionalId | None = None
    username: Name | None = None


class MemberGroup(Shape):
    id: OptionalId | None = None
    group_name: Name | None = None
    group_type: Number | None = None
    ldap_group_dn: Text | None = None


class NewMember(Shape):
    """Of the ways to say who, the first counts: user_id, group id, username, ldap_group_dn, group_name."""

    role_id: Number = 0
    member_user: MemberUser | None = None
    member_group: MemberGroup | None = None
    # Not in Harbor.
    repositories: Annotated[
        Text, Field(description="A pattern: the role counts only in repositories that it fits.")
    ] = ""

    def whom(self) -> Whom:
        user, group = self.member_user or MemberUser(), self.member_group or MemberGroup()
        return Whom(
            user_id=user.user_id or None,
            group_id=group.id or None,
            username=user.username or "",
            ldap_group_dn=group.ldap_group_dn or "",
            group_name=group.group_name or "",
            group_type=group.group_type or 0,
        )


class ChangedMember(Shape):
    role_id: Number = 0
    repositories: Text | None = None


class MemberAnswer(Shape):
    id: Number
    project_id: Number
    entity_name: str
    role_name: str
    role_id: Number
    entity_id: Number
    # "u" or "g".
    entity_type: str
    repositories: str | None = None


def _answer(member: Member) -> MemberAnswer:
    return MemberAnswer(
        id=member.id,
        project_id=member.project_id,
        entity_name=member.name,
        role_name=member.role_name,
        role_id=member.role_id,
        entity_id=member.user_id or member.group_id or 0,
        entity_type="g" if member.user_id is None else "u",
        repositories=member.repositories or None,
    )


@router.get(_ALL, response_model_exclude_none=True)
async def listProjectMembers(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    project: ProjectRef,
    listing: Listing,
    entityname: Annotated[
        str, Query(max_length=255, description="The whole name of who is looked for.")
    ] = "",
) -> list[MemberAnswer]:
    found, total = await services.members.list(caller, project, listing, name=entityname)
    tell(request, response, listing, total)
    return [_answer(member) for member in found]


@router.post(_ALL, status_code=201, response_class=Response)
async def createProjectMember(  # noqa: N802 - Harbor's operation names
    request: Request, caller: Caller, services: Asked, project: ProjectRef, body: NewMember | None = None
) -> Response:
    """Give somebody a role.  The same person may have several, each for other repositories."""
    wanted = body or NewMember()
    made = await services.members.add(
        caller, project, wanted.whom(), wanted.role_id, repositories=wanted.repositories
    )
    return Response(status_code=201, headers={"Location": f"{request.scope['path']}/{made.id}"})


@router.get(_ONE, response_model_exclude_none=True)
async def getProjectMember(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, mid: MemberId
) -> MemberAnswer:
    return _answer(await services.members.get(caller, project, mid))


@router.put(_ONE, response_class=Response)
async def updateProjectMember(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, mid: MemberId, body: ChangedMember | None = None
) -> Response:
    """Give a member another role, and other repositories if they are named.  All else is passed over."""
    if body is None or not body.role_id:
        # Checked first, so that nobody learns who is there from how a bad request is answered.
        await services.authority.project(caller, project, "member:update")
        raise Invalid("role_id is missing", remedy="GET /api/v2.0/roles lists the roles")
    await services.members.change(caller, project, mid, body.role_id, repositories=body.repositories)
    return Response()


@router.delete(_ONE, response_class=Response)
async def deleteProjectMember(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, mid: MemberId
) -> Response:
    await services.members.remove(caller, project, mid)
    return Response()
