"""What the registry says of itself: `ping`, `health`, `systeminfo`, `statistic`, `schedule`, `icon`, `version`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import Shape, Time
from roadstead.errors import NotFound

router = APIRouter()
# Beside the versions of the API.
unversioned = APIRouter()

# The Harbor that clients may take us for.
HARBOR_VERSION = "v2.14.0-00000000"


class ComponentHealthStatus(Shape):
    name: str
    status: str
    error: str | None = Field(default=None, exclude_if=lambda error: error is None)


class OverallHealthStatus(Shape):
    status: str
    components: list[ComponentHealthStatus]


class PublicInfo(Shape):
    """What anybody may know."""

    auth_mode: str
    primary_auth_mode: bool
    self_registration: bool
    banner_message: str
    oidc_provider_name: str


class GeneralInfo(PublicInfo):
    """What whoever is signed in may know."""

    has_ca_root: bool
    project_creation_restriction: str
    harbor_version: str
    external_url: str
    registry_url: str
    read_only: bool
    registry_storage_provider_name: str
    notification_enable: bool
    current_time: str


class Storage(Shape):
    total: int
    free: int


class SystemInfo(Shape):
    storage: list[Storage]


class Statistic(Shape):
    private_project_count: int
    private_repo_count: int
    public_project_count: int
    public_repo_count: int
    total_project_count: int
    total_repo_count: int
    total_storage_consumption: int


class ScheduleTask(Shape):
    id: int
    vendor_type: str
    vendor_id: int
    cron: str
    # JSON, as text.
    extra_attrs: str
    creation_time: Time
    update_time: Time


class ApiVersion(Shape):
    version: str


@router.get("/ping", tags=["ping"], response_class=PlainTextResponse)
async def getPing() -> str:  # noqa: N802 - Harbor's operation names
    """The process answers; nothing else is asked."""
    return "Pong"


@router.get("/health", tags=["health"])
async def getHealth(services: Asked) -> OverallHealthStatus:  # noqa: N802 - Harbor's operation names
    """Whether the parts work, as of the last ten seconds.  Always 200: the body says it."""
    parts = await services.state.health()
    shown = [
        ComponentHealthStatus(name=part.name, status=_health(bool(part.error)), error=part.error or None)
        for part in parts
    ]
    return OverallHealthStatus(status=_health(any(part.error for part in parts)), components=shown)


@router.get("/systeminfo", tags=["systeminfo"])
async def getSystemInfo(  # noqa: N802 - Harbor's operation names
    request: Request, caller: Caller, services: Asked
) -> GeneralInfo | PublicInfo:
    """How people sign in; and, for those who are, what this registry is."""
    values = await services.configurations.everything()
    public = {
        "auth_mode": values["auth_mode"],
        "primary_auth_mode": values["primary_auth_mode"],
        "self_registration": values["self_registration"],
        "banner_message": values["banner_message"],
        "oidc_provider_name": "",
    }
    if caller.anonymous:
        return PublicInfo.model_validate(public)
    await services.authority.signed_in(caller)
    known = services.settings.external_urls
    address = known[0] if known else f"{request.url.scheme}://{request.url.netloc}"
    return GeneralInfo.model_validate(
        {
            **public,
            "has_ca_root": False,
            "project_creation_restriction": values["project_creation_restriction"],
            "harbor_version": HARBOR_VERSION,
            "external_url": address,
            "registry_url": urlsplit(address).netloc,
            "read_only": values["read_only"],
            "registry_storage_provider_name": services.settings.storage.driver,
            "notification_enable": values["notification_enable"],
            "current_time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )


@router.get("/systeminfo/volumes", tags=["systeminfo"])
async def getVolumes(caller: Caller, services: Asked) -> SystemInfo:  # noqa: N802 - Harbor's operation names
    """How large the disk with the blobs is, and how much of it is free."""
    volume = await services.state.volume(caller)
    return SystemInfo(storage=[Storage(total=volume.total, free=volume.free)])


@router.get("/systeminfo/getcert", tags=["systeminfo"], response_class=Response)
async def getCert() -> Response:  # noqa: N802 - Harbor's operation names
    """Harbor keeps a certificate of its own authority for download; there is none here."""
    raise NotFound("no root certificate is kept here", remedy="ask whoever runs the registry for it")


@router.get("/statistics", tags=["statistic"])
async def getStatistic(caller: Caller, services: Asked) -> Statistic:  # noqa: N802 - Harbor's operation names
    """How many projects and repositories the caller may see; for administrators all of them, and their bytes."""
    found = await services.state.statistics(caller)
    return Statistic(
        private_project_count=found.private_projects,
        private_repo_count=found.private_repositories,
        public_project_count=found.public_projects,
        public_repo_count=found.public_repositories,
        total_project_count=found.total_projects,
        total_repo_count=found.total_repositories,
        total_storage_consumption=found.storage,
    )


@router.get("/schedules", tags=["schedule"])
async def listSchedules(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, listing: Listing, request: Request, response: Response
) -> list[ScheduleTask]:
    """What the clock asks for.  What has no cron expression is done every so many seconds (`@every 900s`)."""
    found = await services.state.schedules(caller)
    tell(request, response, listing, len(found))
    tasks = [
        ScheduleTask(
            id=number,
            vendor_type=schedule.name.replace("-", "_").upper(),
            vendor_id=-1,
            cron=schedule.cron or f"@every {schedule.seconds}s",
            extra_attrs=json.dumps({}),
            creation_time=schedule.next_at,
            update_time=schedule.next_at,
        )
        for number, schedule in enumerate(found, start=1)
    ]
    return tasks[listing.offset : listing.offset + listing.page_size]


@router.get("/icons/{digest}", tags=["icon"], response_class=Response)
async def getIcon(  # noqa: N802 - Harbor's operation names
    digest: Annotated[str, Path(max_length=255, description="Of the icon.")],  # noqa: ARG001 - there is none
) -> Response:
    """Icons of artifacts are not kept: there is none."""
    raise NotFound("no icon has that digest", remedy="show one of your own")


@unversioned.get("/api/version", tags=["version"])
async def getVersion() -> ApiVersion:  # noqa: N802 - Harbor's operation names
    """Which version of Harbor's API this is."""
    return ApiVersion(version="v2.0")


def _health(failed: bool) -> str:
    return "unhealthy" if failed else "healthy"
