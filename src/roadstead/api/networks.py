"""Network rules: from where people may come, door by door.  Not in Harbor."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Shape
from roadstead.projects.networks import MAX_NETWORKS, Rules

router = APIRouter(tags=["networkRule"])

Networks = Annotated[
    list[Name],
    Field(
        max_length=MAX_NETWORKS, default_factory=list, description="Such as 10.0.0.0/8.  None: open to all."
    ),
]
Force = Annotated[bool, Query(description="Even if the API would then refuse the caller's own address.")]


class NetworkRulesBody(Shape):
    registry: Networks
    api: Networks
    portal: Networks


def _answer(rules: Rules) -> NetworkRulesBody:
    return NetworkRulesBody(**{door: list(map(str, networks)) for door, networks in rules.items()})


@router.get("/system/network-rules")
async def getSystemNetworkRules(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked
) -> NetworkRulesBody:
    return _answer(await services.network_rules.system(caller))


@router.put("/system/network-rules", response_class=Response)
async def updateSystemNetworkRules(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, body: NetworkRulesBody, force: Force = False
) -> Response:
    """Replace the rules of the whole registry.  They count with the next request."""
    await services.network_rules.replace_system(caller, body.model_dump(), force=force)
    return Response()


@router.get("/projects/{project_name_or_id}/network-rules")
async def getProjectNetworkRules(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, project: ProjectRef
) -> NetworkRulesBody:
    return _answer(await services.network_rules.project(caller, project))


@router.put("/projects/{project_name_or_id}/network-rules", response_class=Response)
async def updateProjectNetworkRules(  # noqa: N802 - as Harbor names operations
    caller: Caller, services: Asked, project: ProjectRef, body: NetworkRulesBody, force: Force = False
) -> Response:
    """Replace the rules of a project.  They count with the next request."""
    await services.network_rules.replace_project(caller, project, body.model_dump(), force=force)
    return Response()
