"""Labels: the registry's, and the projects' own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Name, Number, Shape, Text, Time
from roadstead.errors import Invalid
from roadstead.projects.labels.queries import StoredLabel
from roadstead.projects.labels.rules import LabelDraft

router = APIRouter(tags=["label"])

LabelId = Annotated[int, Path(ge=1, le=LARGEST, description="The label's number.")]
_GLOBAL, _PROJECT = "g", "p"


class LabelBody(Shape):
    name: Name = ""
    description: Text = ""
    color: Name = ""
    # Of the registry, "g", or of a project, "p".
    scope: Name = ""
    project_id: Number | None = None

    def draft(self) -> LabelDraft:
        return LabelDraft(self.name, self.description, self.color)


class LabelAnswer(Shape):
    id: Number
    name: str
    description: str | None = None
    color: str | None = None
    scope: str
    project_id: Number | None = None
    creation_time: Time
    update_time: Time


def label_answer(label: StoredLabel) -> LabelAnswer:
    """What is told of a label, here and on artifacts."""
    return LabelAnswer(
        id=label.id,
        name=label.name,
        description=label.description or None,
        color=label.color or None,
        scope=_GLOBAL if label.project_id is None else _PROJECT,
        project_id=label.project_id,
        creation_time=label.created_at,
        update_time=label.updated_at,
    )


def _project(scope: str, project_id: int | None) -> int | None:
    """The project, or None for the registry.  Raises `Invalid`."""
    if scope not in {_GLOBAL, _PROJECT}:
        raise Invalid(
            f"the scope is {_GLOBAL} or {_PROJECT}", remedy="say scope=g, or scope=p and project_id"
        )
    if scope == _GLOBAL:
        return None
    if project_id is None or project_id < 1:
        raise Invalid("a label of a project needs the project's number", remedy="give project_id")
    return project_id


@router.get("/labels", response_model_exclude_none=True)
async def ListLabels(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    name: Annotated[str, Query(max_length=255, description="A part of the name.")] = "",
    scope: Annotated[str, Query(max_length=16, description="g: the registry's, p: a project's.")] = "",
    project_id: Annotated[int | None, Query(ge=0, le=LARGEST, description="With scope=p.")] = None,
) -> list[LabelAnswer]:
    project = _project(scope, project_id)
    found, total = await services.labels.list(caller, project, listing, name=name)
    tell(request, response, listing, total)
    return [label_answer(label) for label in found]


@router.post("/labels", status_code=201, response_class=Response)
async def CreateLabel(  # noqa: N802 - Harbor's operation names
    request: Request, caller: Caller, services: Asked, body: LabelBody
) -> Response:
    project = _project(body.scope, body.project_id)
    made = await services.labels.create(caller, project, body.draft())
    return Response(status_code=201, headers={"Location": f"{request.scope['path']}/{made}"})


@router.get("/labels/{label_id}", response_model_exclude_none=True)
async def GetLabelByID(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, label_id: LabelId
) -> LabelAnswer:
    return label_answer(await services.labels.get(caller, label_id))


@router.put("/labels/{label_id}", response_class=Response)
async def UpdateLabel(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, label_id: LabelId, body: LabelBody
) -> Response:
    """Change name, description and color.  What it belongs to stays."""
    await services.labels.change(caller, label_id, body.draft())
    return Response()


@router.delete("/labels/{label_id}", response_class=Response)
async def DeleteLabel(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, label_id: LabelId
) -> Response:
    """Delete a label, and take it from every artifact."""
    await services.labels.delete(caller, label_id)
    return Response()
