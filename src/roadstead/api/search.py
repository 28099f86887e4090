"""Search: projects and repositories by a part of their names."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from roadstead.api.callers import Caller
from roadstead.api.projects import ProjectAnswer, project_answer
from roadstead.api.services import Asked
from roadstead.api.shapes import Number, Shape
from roadstead.db.list_requests import Clause, ListRequest

router = APIRouter(tags=["search"])
# Of each kind.  Whoever wants more lists projects or repositories, page by page.
MOST_FOUND = 200


class FoundRepository(Shape):
    project_id: Number
    project_name: str
    project_public: bool
    repository_name: str
    pull_count: Number
    artifact_count: Number


class Found(Shape):
    project: list[ProjectAnswer]
    repository: list[FoundRepository]
    # Charts are artifacts like all others.
    chart: list[dict[str, str]]


@router.get("/search", response_model_exclude_none=True)
async def search(
    caller: Caller,
    services: Asked,
    q: Annotated[str, Query(max_length=255, description="A part of a name; empty is everything.")],
) -> Found:
    """Projects and repositories that the caller may see, of each kind at most 200."""
    projects, _ = await services.directory.list(
        caller, ListRequest(1, MOST_FOUND), name=q, owner="", public=None
    )
    clauses = (Clause("name", "fuzzy", (q,)),) if q else ()
    request = ListRequest(1, MOST_FOUND, clauses, (("name", False),))
    repositories, _ = await services.repositories.everywhere(caller, request)
    return Found(
        project=[project_answer(project) for project in projects],
        repository=[
            FoundRepository(
                project_id=each.project_id,
                project_name=each.project,
                project_public=each.public,
                repository_name=each.name,
                pull_count=each.pull_count,
                artifact_count=each.artifact_count,
            )
            for each in repositories
        ],
        chart=[],
    )
