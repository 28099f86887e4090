"""CVE allow lists: the shape that projects share with the registry, and the registry's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.services import Asked
from roadstead.api.shapes import Name, Number, Shape, Time
from roadstead.projects.allowlists import MOST_CVES, Allowlist, check_allowlist

router = APIRouter(tags=["SystemCVEAllowlist"])


class AllowlistItem(Shape):
    cve_id: Name = ""


class AllowlistAnswer(Shape):
    id: Number
    project_id: Number | None = None
    expires_at: Number | None = None
    items: list[AllowlistItem]
    creation_time: Time
    update_time: Time


class AllowlistBody(Shape):
    """`expires_at` is in seconds since 1970; 0, or none, is never."""

    project_id: Number | None = None
    expires_at: Annotated[int, Field(ge=0, le=2**53)] | None = None
    items: Annotated[list[AllowlistItem], Field(max_length=MOST_CVES)] | None = None

    def names(self) -> list[str]:
        return [item.cve_id for item in self.items or ()]

    def checked(self) -> Allowlist:
        return check_allowlist(self.names(), self.expires_at or None)


def allowlist_answer(found: Allowlist, *, project: int = 0, since: int = 0) -> AllowlistAnswer:
    """`since` is when whatever it belongs to was made."""
    return AllowlistAnswer(
        id=project,
        project_id=project or None,
        expires_at=found.expires_at,
        items=[AllowlistItem(cve_id=cve) for cve in found.cves],
        creation_time=since or found.updated_at,
        update_time=found.updated_at or since,
    )


@router.get("/system/CVEAllowlist", response_model_exclude_none=True)
async def getSystemCVEAllowlist(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked
) -> AllowlistAnswer:
    """CVEs that the registry allows wherever a project has no list of its own.  Kept, until there is a scanner."""
    return allowlist_answer(await services.allowlists.system(caller))


@router.put("/system/CVEAllowlist", response_class=Response)
async def putSystemCVEAllowlist(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, body: AllowlistBody
) -> Response:
    """Replace the list: what is left out is gone."""
    await services.allowlists.replace_system(caller, body.names(), body.expires_at or None)
    return Response()
