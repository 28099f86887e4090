"""What robots can be given."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter

from roadstead.api.callers import Caller
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Shape

router = APIRouter(prefix="/permissions", tags=["permissions"])


class Permission(Shape):
    resource: Name
    action: Name


class Permissions(Shape):
    # Null for whoever can hand out nothing in the system.
    system: list[Permission] | None
    project: list[Permission]


@router.get("")
async def getPermissions(caller: Caller, services: Asked) -> Permissions:  # noqa: N802 - Harbor's operation names
    """The permissions that exist for robots, by kind."""
    system, project = await services.robots.grantable(caller)
    return Permissions(system=None if system is None else _shown(system), project=_shown(project))


def _shown(permissions: Iterable[str]) -> list[Permission]:
    parts = (permission.partition(":") for permission in permissions)
    return [Permission(resource=resource, action=action) for resource, _, action in parts]
