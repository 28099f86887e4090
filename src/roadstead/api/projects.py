"""Projects: making, finding, changing, renaming and deleting them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from roadstead.api.allowlists import AllowlistAnswer, AllowlistBody, allowlist_answer
from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.api.shapes import ErrorDocument, Name, Number, Shape, Text, Time
from roadstead.errors import Invalid, NotFound
from roadstead.projects.allowlists import Allowlist
from roadstead.projects.directory.queries import ProjectInfo
from roadstead.projects.directory.service import Draft
from roadstead.projects.roles import Role

router = APIRouter(tags=["project"])


class ProjectMetadata(Shape):
    """Texts, as in Harbor: flags are "true" or "false".  Keys of features that are not built are kept and shown."""

    public: Name | None = None
    deletion_protected: Name | None = None
    enable_content_trust: Name | None = None
    enable_content_trust_cosign: Name | None = None
    prevent_vul: Name | None = None
    severity: Name | None = None
    auto_scan: Name | None = None
    auto_sbom_generation: Name | None = None
    reuse_sys_cve_allowlist: Name | None = None
    retention_id: Name | None = None
    proxy_speed_kb: Name | None = None
    max_upstream_conn: Name | None = None
    proxy_cache_local_on_not_found: Name | None = None
    proxy_referrer_api: Name | None = None
    proxy_cache_filter_pattern: Text | None = None
    proxy_cache_filter_kind: Name | None = None

    def given(self) -> dict[str, str]:
        """What was sent.  Raises `Invalid` for a retention policy, of which there are none."""
        values: dict[str, str] = self.model_dump(exclude_none=True)
        if values.pop("retention_id", ""):
            raise Invalid("there is no such retention policy", remedy="leave retention_id out")
        return values


class ProjectBody(Shape):
    project_name: Name = ""
    public: bool | None = None
    metadata: ProjectMetadata | None = None
    cve_allowlist: AllowlistBody | None = None
    storage_limit: Number | None = None
    registry_id: Number | None = None

    def allowlist(self, project: int | None = None) -> Allowlist | None:
        if self.cve_allowlist is None:
            return None
        if self.cve_allowlist.project_id and self.cve_allowlist.project_id != project:
            raise Invalid("the allow list names another project", remedy="leave its project_id out")
        return self.cve_allowlist.checked()

    def metadata_given(self) -> dict[str, str]:
        return {} if self.metadata is None else self.metadata.given()

    def draft(self) -> Draft:
        metadata = self.metadata_given()
        if not metadata.get("public"):
            metadata["public"] = "true" if self.public else "false"
        return Draft(self.project_name, metadata, self.storage_limit, self.registry_id, self.allowlist())


class RenameBody(Shape):
    name: Name


class ProjectAnswer(Shape):
    project_id: Number
    owner_id: Number | None = None
    name: str
    creation_time: Time
    update_time: Time
    owner_name: str | None = None
    current_user_role_id: Number | None = None
    current_user_role_ids: list[Number]
    repo_count: Number
    metadata: dict[str, str] | None = None
    cve_allowlist: AllowlistAnswer | None = None


class Deletable(Shape):
    deletable: bool | None = None
    message: str | None = None


class QuotaPart(Shape):
    hard: dict[str, Number]
    used: dict[str, Number]


class SummaryAnswer(Shape):
    repo_count: Number
    project_admin_count: Number | None = None
    maintainer_count: Number | None = None
    developer_count: Number | None = None
    guest_count: Number | None = None
    limited_guest_count: Number | None = None
    quota: QuotaPart | None = None


def project_answer(found: ProjectInfo, *, detail: bool = True) -> ProjectAnswer:
    """What is told of a project, here and in searches."""
    own = Allowlist.read(found.cve_allowlist, updated_at=found.updated_at)
    return ProjectAnswer(
        project_id=found.id,
        owner_id=found.owner_id,
        name=found.name,
        creation_time=found.created_at,
        update_time=found.updated_at,
        owner_name=(found.owner_name or None) if detail else None,
        current_user_role_id=found.role_ids[0] if found.role_ids else None,
        current_user_role_ids=list(found.role_ids),
        repo_count=found.repo_count,
        metadata=dict(found.metadata) if detail else None,
        cve_allowlist=allowlist_answer(own, project=found.id, since=found.created_at) if detail else None,
    )


@router.get("/projects", response_model_exclude_none=True)
async def listProjects(  # noqa: N802 - Harbor's operation names
    *,
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    listing: Listing,
    name: Annotated[str, Query(max_length=255, description="A part of the name.")] = "",
    owner: Annotated[str, Query(max_length=255, description="The owner's whole name.")] = "",
    public: Annotated[bool | None, Query(description="Only public ones, or only private ones.")] = None,
    with_detail: Annotated[bool, Query(description="Metadata, the owner's name, the allow list.")] = True,
) -> list[ProjectAnswer]:
    """The projects that the caller may see, by name unless `sort` says otherwise."""
    found, total = await services.directory.list(caller, listing, name=name, owner=owner, public=public)
    tell(request, response, listing, total)
    return [project_answer(project, detail=with_detail) for project in found]


@router.head("/projects", response_class=Response)
async def headProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project_name: Annotated[str, Query(max_length=255)]
) -> Response:
    """Whether there is a project of that name that the caller may see."""
    if not await services.directory.exists(caller, project_name):
        raise NotFound("there is no such project, or you may not see it", remedy="check the name")
    return Response()


_NOT_BUILT: dict[int | str, dict[str, Any]] = {
    501: {
        "model": ErrorDocument,
        "description": "It would be a cache of another registry, which is not built yet.",
    }
}


@router.post("/projects", status_code=201, response_class=Response, responses=_NOT_BUILT)
async def createProject(  # noqa: N802 - Harbor's operation names
    request: Request,
    caller: Caller,
    services: Asked,
    body: ProjectBody,
    x_resource_name_in_location: Annotated[bool, Header(description="Name it by its name there.")] = False,
) -> Response:
    """Make a project, and its maker its administrator.

    `storage_limit` is in bytes, and counts for administrators of the registry only.
    """
    created = await services.directory.create(caller, body.draft())
    last = body.project_name if x_resource_name_in_location else str(created)
    return Response(status_code=201, headers={"Location": f"{request.scope['path']}/{last}"})


@router.get("/projects/{project_name_or_id}", response_model_exclude_none=True)
async def getProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> ProjectAnswer:
    return project_answer(await services.directory.get(caller, project))


@router.put("/projects/{project_name_or_id}", response_class=Response)
async def updateProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, body: ProjectBody
) -> Response:
    """Set the metadata that is sent, and replace the allow list if one is sent.  All else is passed over."""
    allowlist = body.allowlist(project if isinstance(project, int) else None)
    await services.directory.update(caller, project, body.metadata_given(), allowlist)
    return Response()


@router.delete("/projects/{project_name_or_id}", response_class=Response)
async def deleteProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> Response:
    """Delete a project that holds no repositories, with its members, robots and labels."""
    await services.directory.delete(caller, project)
    return Response()


@router.post("/projects/{project_name_or_id}/rename", response_class=Response)
async def renameProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, body: RenameBody
) -> Response:
    """Give a project another name, and its repositories and robots with it.  Not in Harbor."""
    await services.directory.rename(caller, project, body.name)
    return Response()


@router.get("/projects/{project_name_or_id}/_deletable", response_model_exclude_none=True)
async def getProjectDeletable(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> Deletable:
    reason = await services.directory.why_not_deletable(caller, project)
    return Deletable(message=reason) if reason else Deletable(deletable=True)


@router.get("/projects/{project_name_or_id}/summary", response_model_exclude_none=True)
async def getProjectSummary(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> SummaryAnswer:
    """How many repositories and members it has, and how much of its limit is used."""
    found = await services.directory.summary(caller, project)
    members = found.members or {}
    quota = await services.quotas.of_project(found.id) if found.shows_quota else None
    return SummaryAnswer(
        repo_count=found.repo_count,
        project_admin_count=members.get(Role.PROJECT_ADMIN),
        maintainer_count=members.get(Role.MAINTAINER),
        developer_count=members.get(Role.DEVELOPER),
        guest_count=members.get(Role.GUEST),
        limited_guest_count=members.get(Role.LIMITED_GUEST),
        quota=None if quota is None else QuotaPart(hard=dict(quota.hard), used=dict(quota.used)),
    )


@router.get("/projects/{project_name_or_id}/scanner")
async def getScannerOfProject(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef
) -> None:
    """The project's scanner.  There is none yet."""
    await services.authority.project(caller, project, "scanner:read")
    raise NotFound("the project has no scanner", remedy="scanners are not built yet")
