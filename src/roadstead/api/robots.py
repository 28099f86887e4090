"""Robots."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import Id, Name, Number, Secret, Shape, Text, Time
from roadstead.db.listing import Clause, ListRequest, take
from roadstead.errors import RequestInvalid
from roadstead.oci.excerpts import excerpt
from roadstead.projects.robots.queries import StoredRobot
from roadstead.projects.robots.rules import Block, RobotDraft

router = APIRouter(prefix="/robots", tags=["robot"])
RobotId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The robot's number.")]
_NEVER = -1
_MOST_BLOCKS = 1000


class Access(Shape):
    resource: Name = ""
    action: Name = ""
    effect: Name | None = None


class RobotPermission(Shape):
    kind: Name = ""
    namespace: Name = ""
    access: Annotated[list[Access], Field(max_length=_MOST_BLOCKS)] | None = None

    def block(self) -> Block:
        accesses = self.access or []
        for access in accesses:
            if access.effect not in {None, "", "allow"}:
                raise RequestInvalid(
                    f"there is no effect {excerpt(access.effect or '')} here: permissions only allow",
                    remedy="leave out what is not to be allowed",
                )
        return Block(self.kind, self.namespace, tuple(f"{a.resource}:{a.action}" for a in accesses))


class RobotCreate(Shape):
    name: Name = ""
    description: Text | None = None
    level: Name = ""
    duration: Number | None = None
    disable: bool | None = None
    permissions: Annotated[list[RobotPermission], Field(max_length=_MOST_BLOCKS)] | None = None

    def draft(self) -> RobotDraft:
        return RobotDraft(
            name=self.name,
            level=self.level,
            duration=self.duration,
            blocks=[permission.block() for permission in self.permissions or []],
            description=self.description or "",
            disabled=bool(self.disable),
        )


class RobotUpdate(RobotCreate):
    """`name` is the full name, with the prefix."""


class RobotCreated(Shape):
    id: Id
    name: Name
    secret: Secret
    creation_time: Time
    expires_at: Number


class RobotSec(Shape):
    secret: Secret | None = None


class Robot(Shape):
    id: Id
    name: Name
    description: Text
    level: Name
    duration: Number
    editable: bool = True
    disable: bool
    # In seconds since 1970; -1 is never.
    expires_at: Number
    permissions: list[RobotPermission]
    creator_type: Name
    creator_ref: Number
    creation_time: Time
    update_time: Time
    # When it last signed in, to the hour; not there if it never did.
    last_use_time: Time | None = None


@router.get("", response_model=list[Robot], response_model_exclude_none=True)
async def ListRobot(  # noqa: N802 - Harbor's operation names
    request: Request, response: Response, caller: Caller, services: Asked, listing: Listing
) -> list[Robot]:
    """Robots of the system; with `q=Level=project,ProjectID=7` those of a project."""
    rest, project_id = _whose(listing)
    robots, total = await services.robots.list(caller, project_id, rest)
    tell(request, response, listing, total)
    return [_shown(robot) for robot in robots]


@router.post("", status_code=201)
async def CreateRobot(  # noqa: N802 - Harbor's operation names
    response: Response, caller: Caller, services: Asked, body: Annotated[RobotCreate, Body()]
) -> RobotCreated:
    """A new robot.  This is the only time that its secret is shown."""
    robot, secret = await services.robots.create(caller, body.draft())
    response.headers["Location"] = f"/api/v2.0/robots/{robot.id}"
    return RobotCreated(
        id=robot.id,
        name=robot.full_name,
        secret=secret,
        creation_time=robot.created_at,
        expires_at=_seconds(robot.expires_at),
    )


@router.get("/{robot_id}", response_model_exclude_none=True)
async def GetRobotByID(caller: Caller, services: Asked, robot_id: RobotId) -> Robot:  # noqa: N802 - Harbor's
    return _shown(await services.robots.get(caller, robot_id))


@router.put("/{robot_id}", response_class=Response)
async def UpdateRobot(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, robot_id: RobotId, body: Annotated[RobotUpdate, Body()]
) -> Response:
    """Replaces description, permissions, duration and `disable`.  The duration counts from the creation."""
    await services.robots.update(caller, robot_id, body.draft())
    return Response(status_code=200)


@router.patch("/{robot_id}", response_model_exclude_none=True)
async def RefreshSec(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, robot_id: RobotId, body: Annotated[RobotSec, Body()]
) -> RobotSec:
    """Another secret: the one given, or with none a generated one, which only this answer shows."""
    secret = await services.robots.refresh(caller, robot_id, body.secret)
    return RobotSec() if body.secret else RobotSec(secret=secret)


@router.delete("/{robot_id}", response_class=Response)
async def DeleteRobot(caller: Caller, services: Asked, robot_id: RobotId) -> Response:  # noqa: N802 - Harbor's
    """The robot, and the robots that it made."""
    await services.robots.delete(caller, robot_id)
    return Response(status_code=200)


def _whose(listing: ListRequest) -> tuple[ListRequest, int | None]:
    """The request without `Level` and `ProjectID`, and the project whose robots are meant."""
    rest, taken = take(listing, "Level", "ProjectID", "level", "project_id")
    level = taken.get("Level") or taken.get("level")
    project = taken.get("ProjectID") or taken.get("project_id")
    match _exactly(level) if level else "system":
        case "system":
            return rest, None
        case "project" if project is not None:
            number = _exactly(project)
            if number.isascii() and number.isdecimal() and len(number) < 19 and int(number):
                return rest, int(number)
            raise RequestInvalid(
                "ProjectID is the number of a project", remedy="write q=Level=project,ProjectID=7"
            )
        case "project":
            raise RequestInvalid(
                "robots of projects are listed project by project", remedy="write q=Level=project,ProjectID=7"
            )
    raise RequestInvalid("Level is system or project", remedy="write q=Level=project,ProjectID=7")


def _exactly(clause: Clause) -> str:
    if clause.op != "exact":
        raise RequestInvalid(f"{clause.key} has one value here", remedy=f"write {clause.key}=value")
    return clause.values[0]


def _seconds(milliseconds: int | None) -> int:
    return _NEVER if milliseconds is None else milliseconds // 1000


def _shown(robot: StoredRobot) -> Robot:
    return Robot(
        id=robot.id,
        name=robot.full_name,
        description=robot.description,
        level=robot.level,
        duration=robot.duration,
        disable=robot.disabled,
        expires_at=_seconds(robot.expires_at),
        permissions=[_permission(placed.block) for placed in robot.blocks],
        creator_type="robot" if robot.creator_is_robot else "local",
        creator_ref=robot.creator_id or 0,
        creation_time=robot.created_at,
        update_time=robot.updated_at,
        last_use_time=robot.last_used_at,
    )


def _permission(block: Block) -> RobotPermission:
    parts = (permission.partition(":") for permission in block.permissions)
    accesses = [Access(resource=resource, action=action) for resource, _, action in parts]
    return RobotPermission(kind=block.kind, namespace=block.namespace, access=accesses)
