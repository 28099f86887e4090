"""The artifacts of a whole project: Harbor's tag `project`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from roadstead.api.artifacts import Artifact, artifact_answer
from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.registry.artifacts.views import Wanted

router = APIRouter(tags=["project"])


@router.get("/projects/{project_name_or_id}/artifacts")
async def listArtifactsOfProject(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project: ProjectRef,
    listing: Listing,
    request: Request,
    response: Response,
    with_tag: bool = True,
    with_label: bool = False,
    with_accessory: bool = False,
    with_immutable_status: bool = False,
    latest_in_repository: Annotated[
        bool,
        Query(
            description="Of each repository only the last that matches `q`, in which is either `media_type` or"
            " `artifact_type`."
        ),
    ] = False,
) -> list[Artifact]:
    """The artifacts of the project's repositories that the caller may see, those pushed last first.

    Filters are those of a repository's artifacts.
    """
    wanted = Wanted(with_tag, with_label, with_accessory, with_immutable_status)
    views, total = await services.artifacts.in_project(
        caller, project, listing, wanted, latest=latest_in_repository
    )
    tell(request, response, listing, total)
    return [artifact_answer(view) for view in views]
