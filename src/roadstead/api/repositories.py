"""Repositories: Harbor's tag `repository`, and the transfer to another project."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectName, RepositoryPath
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Number, Shape, Text, Time
from roadstead.registry.directory.changes import RepositoryChange
from roadstead.registry.directory.service import RepositoryInfo

router = APIRouter(tags=["repository"])
_LIST = "/projects/{project_name}/repositories"
_ONE = f"{_LIST}/{{repository_name}}"


class Repository(Shape):
    id: Number
    project_id: Number
    name: str
    description: str
    artifact_count: Number
    pull_count: Number
    creation_time: Time
    update_time: Time
    deletion_protected: bool


class RepositoryBody(Shape):
    description: Text | None = None
    deletion_protected: bool | None = None


class TransferBody(Shape):
    project: Name
    # The path in the other project; the same as before when it is left out.
    name: Name | None = None


def repository_answer(found: RepositoryInfo) -> Repository:
    return Repository(
        id=found.id,
        project_id=found.project_id,
        name=found.name,
        description=found.description,
        artifact_count=found.artifact_count,
        pull_count=found.pull_count,
        creation_time=found.created_at,
        update_time=found.updated_at,
        deletion_protected=found.deletion_protected,
    )


def repository_location(project: str, path: str) -> str:
    """As Harbor's: the slashes of the path encoded twice."""
    return f"/api/v2.0/projects/{project}/repositories/{quote(quote(path, safe=''), safe='')}"


@router.get("/repositories")
async def listAllRepositories(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, listing: Listing, request: Request, response: Response
) -> list[Repository]:
    """Those of the whole registry that the caller may see, the newest first."""
    rows, total = await services.repositories.everywhere(caller, listing)
    tell(request, response, listing, total)
    return [repository_answer(row) for row in rows]


@router.get(_LIST)
async def listRepositories(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    *,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[Repository]:
    """Those of the project that the caller may see, the newest first."""
    rows, total = await services.repositories.in_project(caller, project_name, listing)
    tell(request, response, listing, total)
    return [repository_answer(row) for row in rows]


@router.get(_ONE)
async def getRepository(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project_name: ProjectName, path: RepositoryPath
) -> Repository:
    return repository_answer(await services.repositories.get(caller, project_name, path))


@router.put(_ONE, response_class=Response)
async def updateRepository(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project_name: ProjectName, path: RepositoryPath, body: RepositoryBody
) -> Response:
    """Change the description, or whether the repository is protected from deletion."""
    change = RepositoryChange(body.description, body.deletion_protected)
    await services.repositories.update(caller, project_name, path, change)
    return Response(status_code=200)


@router.delete(_ONE, response_class=Response)
async def deleteRepository(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project_name: ProjectName, path: RepositoryPath
) -> Response:
    """Delete the repository with all its artifacts."""
    await services.repositories.delete(caller, project_name, path)
    return Response(status_code=200)


@router.post(f"{_ONE}/transfer", status_code=201, response_class=Response)
async def transferRepository(  # noqa: N802 - named as Harbor's operations are
    caller: Caller, services: Asked, project_name: ProjectName, path: RepositoryPath, body: TransferBody
) -> Response:
    """Take the repository into another project, with its tags, their history, labels of the registry and all else."""
    name = await services.repositories.transfer(caller, project_name, path, body.project, body.name or path)
    return Response(status_code=201, headers={"Location": repository_location(name.project, name.path)})
