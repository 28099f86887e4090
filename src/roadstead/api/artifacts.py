"""Artifacts: Harbor's tag `artifact`, but for tags (`api/tags.py`)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectName, RepositoryPath
from roadstead.api.references import ArtifactReference, LabelId
from roadstead.api.repositories import repository_location
from roadstead.api.services import Asked
from roadstead.api.shapes import Id, Number, Shape, Time
from roadstead.errors import NotFound
from roadstead.registry.artifacts.additions import Addition
from roadstead.registry.artifacts.views import ArtifactView, Place, Row, Wanted

router = APIRouter(tags=["artifact"])
LIST = "/projects/{project_name}/repositories/{repository_name}/artifacts"
ONE = f"{LIST}/{{reference}}"
# What Harbor writes for a time that never was: the first moment of year 1.
NEVER = -62_135_596_800_000


class Platform(Shape):
    architecture: str | None = None
    os: str | None = None
    # Harbor's own spelling, apostrophes and all.
    os_version: Annotated[str | None, Field(alias="'os.version'")] = None
    os_features: Annotated[list[str] | None, Field(alias="'os.features'")] = None
    variant: str | None = None


class Reference(Shape):
    parent_id: Number
    child_id: Number | None = None
    child_digest: str
    platform: Platform | None = None
    annotations: dict[str, Any] | None = None
    urls: list[str] | None = None


class TagAnswer(Shape):
    repository_id: Number
    artifact_id: Number
    name: str
    push_time: Time
    pull_time: Time
    immutable: bool = False


class LabelAnswer(Shape):
    id: Number
    name: str
    description: str
    color: str
    scope: str
    project_id: Number
    creation_time: Time
    update_time: Time


class AccessoryAnswer(Shape):
    id: Number
    artifact_id: Number
    subject_artifact_id: Number
    subject_artifact_digest: str
    subject_artifact_repo: str
    size: Number
    digest: str
    type: str
    icon: str = ""
    creation_time: Time


class AdditionLink(Shape):
    href: str
    absolute: bool = False


class Artifact(Shape):
    id: Number
    type: str
    media_type: str
    manifest_media_type: str
    artifact_type: str
    project_id: Number
    repository_id: Number
    repository_name: str
    digest: str
    size: Number
    icon: str = ""
    push_time: Time
    pull_time: Time
    extra_attrs: dict[str, Any]
    annotations: dict[str, Any] | None = None
    references: list[Reference] | None = None
    tags: list[TagAnswer] | None = None
    labels: list[LabelAnswer] | None = None
    addition_links: dict[str, AdditionLink]
    accessories: list[AccessoryAnswer] | None = None


class LabelBody(Shape):
    id: Id


def _wanted(*, with_tag: bool, with_label: bool, with_accessory: bool, with_immutable_status: bool) -> Wanted:
    return Wanted(with_tag, with_label, with_accessory, with_immutable_status)


def tag_answer(row: Row, *, pulled_at: int | None, immutable: bool = False) -> TagAnswer:
    return TagAnswer(
        repository_id=row["repository_id"],
        artifact_id=row["manifest_id"],
        name=row["name"],
        push_time=row["updated_at"],
        pull_time=pulled_at or NEVER,
        immutable=immutable,
    )


def accessory_answer(row: Row, place: str) -> AccessoryAnswer:
    return AccessoryAnswer(
        id=row["id"],
        artifact_id=row["id"],
        subject_artifact_id=row["subject_id"],
        subject_artifact_digest=row["subject_digest"],
        subject_artifact_repo=place,
        size=row["total_size"] or row["size"],
        digest=row["digest"],
        type=row["type"],
        creation_time=row["pushed_at"],
    )


def artifact_answer(view: ArtifactView) -> Artifact:
    row, place = view.row, view.place
    covers = view.immutable or (lambda _: False)
    tags = [
        tag_answer(tag, pulled_at=row["pulled_at"], immutable=covers(tag["name"])) for tag in view.tags or ()
    ]
    accessories = [accessory_answer(each, place.name.full) for each in view.accessories or ()]
    return Artifact(
        id=row["id"],
        type=view.type,
        media_type=view.details.get("media_type") or row["media_type"],
        manifest_media_type=row["media_type"],
        artifact_type=row["artifact_type"] or row["media_type"],
        project_id=place.project_id,
        repository_id=place.repository_id,
        repository_name=place.name.full,
        digest=row["digest"],
        size=view.size or row["size"],
        push_time=row["pushed_at"],
        pull_time=row["pulled_at"] or NEVER,
        extra_attrs=view.details.get("extra_attrs", {}),
        annotations=view.details.get("annotations"),
        references=_references(view) or None,
        tags=tags or None,
        labels=[_label(each) for each in view.labels or ()] or None,
        addition_links=_addition_links(view, place),
        accessories=accessories or None,
    )


def _references(view: ArtifactView) -> list[Reference]:
    described = view.details.get("references") or [{"digest": digest} for digest in view.children]
    return [
        Reference(
            parent_id=view.row["id"],
            child_id=view.children.get(each["digest"]),
            child_digest=each["digest"],
            platform=_platform(each.get("platform")),
            annotations=each.get("annotations"),
        )
        for each in described
    ]


def _platform(platform: dict[str, Any] | None) -> Platform | None:
    if platform is None:
        return None
    return Platform(
        architecture=platform.get("architecture"),
        os=platform.get("os"),
        os_version=platform.get("os.version"),
        os_features=platform.get("os.features"),
        variant=platform.get("variant"),
    )


def _label(row: Row) -> LabelAnswer:
    return LabelAnswer(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        color=row["color"],
        scope="g" if row["project_id"] is None else "p",
        project_id=row["project_id"] or 0,
        creation_time=row["created_at"],
        update_time=row["updated_at"],
    )


def _addition_links(view: ArtifactView, place: Place) -> dict[str, AdditionLink]:
    base = f"{repository_location(place.name.project, place.name.path)}/artifacts/{view.row['digest']}"
    return {name: AdditionLink(href=f"{base}/additions/{name}") for name in view.additions}


@router.get(LIST)
async def listArtifacts(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    listing: Listing,
    request: Request,
    response: Response,
    with_tag: bool = True,
    with_label: bool = False,
    with_accessory: bool = False,
    with_immutable_status: bool = False,
) -> list[Artifact]:
    """The repository's artifacts, those pushed last first: those with a tag, and those that are no part of another.

    Filters beside columns: `tags=*`, `tags=nil`, `tags=~part`, `tags=v1`, `labels=(1 2)`, `type=IMAGE`, `base=*`
    for all that there are.
    """
    wanted = _wanted(
        with_tag=with_tag,
        with_label=with_label,
        with_accessory=with_accessory,
        with_immutable_status=with_immutable_status,
    )
    views, total = await services.artifacts.page(caller, project_name, path, listing, wanted)
    tell(request, response, listing, total)
    return [artifact_answer(view) for view in views]


@router.post(LIST, status_code=201, response_class=Response)
async def CopyArtifact(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    *,
    request: Request,
    origin: Annotated[
        str,
        Query(
            alias="from", max_length=512, description="project/repository:tag, or project/repository@digest."
        ),
    ],
) -> Response:
    """Copy an artifact here, with its children, what refers to it, and its tags.  No bytes move."""
    source = services.copies.source(origin)
    await services.copies.copy(caller, project_name, path, source)
    location = f"{request.scope['roadstead.path']}/{source.reference}"
    return Response(status_code=201, headers={"Location": location})


@router.get(ONE)
async def getArtifact(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    with_tag: bool = True,
    with_label: bool = False,
    with_accessory: bool = False,
    with_immutable_status: bool = False,
) -> Artifact:
    wanted = _wanted(
        with_tag=with_tag,
        with_label=with_label,
        with_accessory=with_accessory,
        with_immutable_status=with_immutable_status,
    )
    return artifact_answer(await services.artifacts.get(caller, project_name, path, reference, wanted))


@router.delete(ONE, response_class=Response)
async def deleteArtifact(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
) -> Response:
    """Delete the artifact with every tag on it, and with what refers to it."""
    await services.artifacts.delete(caller, project_name, path, reference)
    return Response(status_code=200)


@router.get(f"{ONE}/accessories")
async def listAccessories(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[AccessoryAnswer]:
    """What refers to the artifact: signatures, SBOMs and the like."""
    rows, total = await services.artifacts.accessories(caller, project_name, path, reference, listing)
    tell(request, response, listing, total)
    place = f"{project_name}/{path}"
    return [accessory_answer(row, place) for row in rows]


@router.get(f"{ONE}/additions/vulnerabilities", response_class=Response)
async def getVulnerabilitiesAddition(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
) -> Response:
    """Nothing yet: there is no scanner."""
    await services.artifacts.get(caller, project_name, path, reference, Wanted(tags=False))
    raise NotFound("no scanner registration configured for the project", remedy="scan it with your own tools")


@router.get(f"{ONE}/additions/{{addition}}", response_class=Response)
async def getAddition(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    addition: Annotated[Addition, Path(description="What to read out of the artifact.")],
) -> Response:
    """Something out of the artifact: an image's history, a chart's values or readme, a model's files."""
    content = await services.additions.read(caller, project_name, path, reference, addition)
    # Strangers wrote it: no browser is to take it for a page.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return Response(content.body, media_type=content.type, headers=headers)


@router.post(f"{ONE}/labels", response_class=Response)
async def addLabel(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    body: LabelBody,
) -> Response:
    """Put a label on the artifact: the registry's, or one of this project."""
    await services.artifacts.add_label(caller, project_name, path, reference, body.id)
    return Response(status_code=200)


@router.delete(f"{ONE}/labels/{{label_id}}", response_class=Response)
async def removeLabel(  # noqa: N802 - Harbor's operation names
    *,
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    path: RepositoryPath,
    reference: ArtifactReference,
    label_id: LabelId,
) -> Response:
    await services.artifacts.remove_label(caller, project_name, path, reference, label_id)
    return Response(status_code=200)
