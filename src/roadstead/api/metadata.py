"""The metadata of a project, one key at a time.  The same checks as for changing the project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Text
from roadstead.errors import Invalid

router = APIRouter(tags=["projectMetadata"])

_ALL = "/projects/{project_name_or_id}/metadatas"
_ONE = _ALL + "/{meta_name}"
MetadataBody = Annotated[dict[Name, Text], Field(max_length=100)]
Key = Annotated[str, Path(max_length=255, description="The key.")]


# harborapi leaves the slash out, and Harbor answers to both.
@router.get(f"{_ALL}/")
@router.get(_ALL, include_in_schema=False)
async def listProjectMetadatas(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> dict[str, str]:
    return dict(await services.directory.metadata(caller, project))


@router.post(f"{_ALL}/", response_class=Response)
@router.post(_ALL, response_class=Response, include_in_schema=False)
async def addProjectMetadatas(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, body: Annotated[MetadataBody, Body()]
) -> Response:
    """Set one key that has no value yet."""
    if len(body) != 1:
        raise Invalid("only one key and its value can be set at a time", remedy="send one")
    await services.directory.add_metadata(caller, project, body)
    return Response()


@router.get(_ONE)
async def getProjectMetadata(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, meta_name: Key
) -> dict[str, str]:
    """Empty where the key has no value."""
    found = await services.directory.metadata(caller, project)
    return {key: value for key, value in found.items() if key == meta_name}


@router.put(_ONE, response_class=Response)
async def updateProjectMetadata(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project: ProjectRef,
    meta_name: Key,
    body: Annotated[MetadataBody, Body()],
) -> Response:
    """Set one key: the body holds it and its value."""
    await services.directory.set_metadata(caller, project, meta_name, body.get(meta_name, ""))
    return Response()


@router.delete(_ONE, response_class=Response)
async def deleteProjectMetadata(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, meta_name: Key
) -> Response:
    await services.directory.unset_metadata(caller, project, meta_name)
    return Response()
