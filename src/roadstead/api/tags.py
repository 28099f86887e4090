"""Tags of artifacts, as Harbor has them; and what happened to a tag, which Harbor does not tell."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from roadstead.api.artifacts import ONE, TagAnswer, tag_answer
from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectName, RepositoryPath
from roadstead.api.references import ArtifactReference, TagName
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Number, Shape, Time
from roadstead.oci.digests import Digest
from roadstead.oci.names import parse_tag

router = APIRouter(tags=["artifact"])
_TAG = "/projects/{project_name}/repositories/{repository_name}/tags/{tag_name}"


class NewTag(Shape):
    name: Name


class RestoreBody(Shape):
    # Where it did when it was deleted last, if this is left out.
    digest: Name | None = None


class Restored(Shape):
    digest: str


class TagChange(Shape):
    id: Number
    name: str
    deed: str
    digest: str
    previous: str | None = None
    username: str
    time: Time


@router.get(f"{ONE}/tags")
async def listTags(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    listing: Listing,
    request: Request,
    response: Response,
    with_immutable_status: bool = False,
) -> list[TagAnswer]:
    """The artifact's tags, those pushed last first."""
    views, total = await services.tags.page(
        caller, project_name, path, reference, listing, immutable=with_immutable_status
    )
    tell(request, response, listing, total)
    return [
        tag_answer(view.row, pulled_at=view.artifact["pulled_at"], immutable=bool(view.immutable))
        for view in views
    ]


@router.post(f"{ONE}/tags", status_code=201, response_class=Response)
async def createTag(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    body: NewTag,
) -> Response:
    """Tag the artifact.  A tag that the repository has already is a conflict: see PUT."""
    tag = parse_tag(body.name)
    await services.tags.create(caller, project_name, path, reference, tag)
    return Response(status_code=201)


@router.put(f"{ONE}/tags/{{tag_name}}", response_class=Response)
async def moveTag(  # noqa: N802 - named as Harbor's operations are
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    tag: TagName,
) -> Response:
    """Point the tag at the artifact, wherever in the repository it pointed."""
    await services.tags.move(caller, project_name, path, reference, tag)
    return Response(status_code=200)


@router.delete(f"{ONE}/tags/{{tag_name}}", response_class=Response)
async def deleteTag(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    tag: TagName,
) -> Response:
    """Remove the tag.  The artifact stays."""
    await services.tags.delete(caller, project_name, path, reference, tag)
    return Response(status_code=200)


@router.get(f"{_TAG}/history", response_model_exclude_none=True)
async def listTagHistory(  # noqa: N802 - named as Harbor's operations are
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    tag: TagName,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[TagChange]:
    """What happened to the tag, the latest first."""
    rows, total = await services.tags.history(caller, project_name, path, tag, listing)
    tell(request, response, listing, total)
    return [
        TagChange(
            id=row["id"],
            name=row["name"],
            deed=row["deed"],
            digest=row["digest"],
            previous=row["previous"],
            username=row["username"],
            time=row["at"],
        )
        for row in rows
    ]


@router.post(f"{_TAG}/restore")
async def restoreTag(  # noqa: N802 - named as Harbor's operations are
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    tag: TagName,
    body: RestoreBody | None = None,
) -> Restored:
    """Put a deleted tag back, while its manifest is there."""
    digest = Digest.parse(body.digest) if body is not None and body.digest else None
    return Restored(digest=await services.tags.restore(caller, project_name, path, tag, digest))
