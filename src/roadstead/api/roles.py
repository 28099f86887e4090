"""Roles: those that are built in, and those that administrators make.  Not in Harbor."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Name, Number, Shape, Text, Time
from roadstead.projects.members.queries import StoredRole
from roadstead.projects.members.roles import RoleDraft

router = APIRouter(tags=["role"])

RoleId = Annotated[int, Path(ge=1, le=LARGEST, description="The role's number.")]


class RolePermission(Shape):
    resource: Name
    action: Name


class RoleBody(Shape):
    name: Name
    description: Text = ""
    permissions: Annotated[list[RolePermission], Field(max_length=500, default_factory=list)]

    def draft(self) -> RoleDraft:
        return RoleDraft(
            self.name, self.description, {f"{wanted.resource}:{wanted.action}" for wanted in self.permissions}
        )


class RoleAnswer(Shape):
    id: Number
    name: str
    description: str
    built_in: bool
    permissions: list[RolePermission]
    creation_time: Time
    update_time: Time


def _answer(role: StoredRole) -> RoleAnswer:
    parts = [permission.partition(":") for permission in sorted(role.permissions)]
    return RoleAnswer(
        id=role.id,
        name=role.name,
        description=role.description,
        built_in=role.built_in,
        permissions=[RolePermission(resource=resource, action=action) for resource, _, action in parts],
        creation_time=role.created_at,
        update_time=role.updated_at,
    )


@router.get("/roles")
async def listRoles(  # noqa: N802 - as Harbor names operations
    request: Request, response: Response, caller: Caller, services: Asked, listing: Listing
) -> list[RoleAnswer]:
    """Every role that can be given, and what it may do."""
    found, total = await services.roles.list(caller, listing)
    tell(request, response, listing, total)
    return [_answer(role) for role in found]


@router.post("/roles", status_code=201, response_class=Response)
async def createRole(  # noqa: N802 - as Harbor names operations
    request: Request, caller: Caller, services: Asked, body: RoleBody
) -> Response:
    """Make a role of permissions that there are in projects."""
    made = await services.roles.create(caller, body.draft())
    return Response(status_code=201, headers={"Location": f"{request.scope['path']}/{made}"})


@router.get("/roles/{role_id}")
async def getRole(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, role_id: RoleId
) -> RoleAnswer:
    return _answer(await services.roles.get(caller, role_id))


@router.put("/roles/{role_id}", response_class=Response)
async def updateRole(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, role_id: RoleId, body: RoleBody
) -> Response:
    """Replace a role that people made, for everybody who has it."""
    await services.roles.replace(caller, role_id, body.draft())
    return Response()


@router.delete("/roles/{role_id}", response_class=Response)
async def deleteRole(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, role_id: RoleId
) -> Response:
    """Delete a role that people made and that nobody has."""
    await services.roles.delete(caller, role_id)
    return Response()
