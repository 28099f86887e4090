"""The parts of a path that name something: projects by name or id, and repositories with slashes in them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Path

from roadstead.errors import NotFound
from roadstead.projects.authority import ProjectReference

MOST_DIGITS = 19


def _project(
    project_name_or_id: Annotated[
        str, Path(max_length=255, description="The project's name, or its number.")
    ],
    x_is_resource_name: Annotated[
        bool, Header(description="Take a name that looks like a number for a name.")
    ] = False,
) -> ProjectReference:
    if x_is_resource_name or not (project_name_or_id.isascii() and project_name_or_id.isdecimal()):
        return project_name_or_id
    if len(project_name_or_id) > MOST_DIGITS or int(project_name_or_id) >= 2**63:
        raise NotFound("there is no project with that number", remedy="check the number")
    return int(project_name_or_id)


def _repository(
    repository_name: Annotated[
        str,
        Path(
            max_length=1024,
            description="The repository's name without the project's.  A slash in it is encoded twice: `%252F`.",
        ),
    ],
) -> str:
    # The server decoded it once; clients encode it twice, so that no proxy takes the slash for its own.
    return unquote(repository_name)


# Parameters of handlers, for paths with `{project_name_or_id}` and `{repository_name}`.
ProjectRef = Annotated[ProjectReference, Depends(_project)]
ProjectName = Annotated[str, Path(max_length=255, description="The project's name.")]
RepositoryPath = Annotated[str, Depends(_repository)]
