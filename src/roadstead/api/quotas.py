"""Quotas: Harbor's tag `quota`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Id, Name, Number, Shape, Time
from roadstead.quota.service import ShownQuota

router = APIRouter(tags=["quota"])
QuotaId = Annotated[int, Path(ge=1, le=LARGEST)]


class QuotaRef(Shape):
    id: Number | None = None
    name: str | None = None
    owner_name: str | None = None


class Quota(Shape):
    id: Id
    ref: QuotaRef
    hard: dict[str, Number]
    used: dict[str, Number]
    creation_time: Time
    update_time: Time


class QuotaUpdate(Shape):
    # `storage` in bytes; -1 is no limit.
    hard: Annotated[dict[Name, Number], Field(max_length=20)] | None = None


def quota_answer(found: ShownQuota) -> Quota:
    return Quota(
        id=found.id,
        ref=QuotaRef(id=found.ref_id, name=found.ref_name, owner_name=found.owner_name),
        hard=dict(found.hard),
        used=dict(found.used),
        creation_time=found.created_at,
        update_time=found.updated_at,
    )


# Terraform's provider asks with the slash.
@router.get("/quotas/", include_in_schema=False)
@router.get("/quotas", response_model_exclude_none=True)
async def listQuotas(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    listing: Listing,
    *,
    reference: Annotated[
        str, Query(max_length=64, description="Of what: project, user or system; of projects without it.")
    ] = "",
    reference_id: Annotated[
        str, Query(max_length=64, description="Only of this project or user, by its number.")
    ] = "",
    request: Request,
    response: Response,
) -> list[Quota]:
    """Limits and usage, the newest first."""
    found, total = await services.quotas.list(caller, listing, reference=reference, reference_id=reference_id)
    tell(request, response, listing, total)
    return [quota_answer(quota) for quota in found]


@router.get("/quotas/{id}", response_model_exclude_none=True)
async def getQuota(caller: Caller, services: Asked, id: QuotaId) -> Quota:  # noqa: N802, A002 - Harbor's names
    return quota_answer(await services.quotas.get(caller, id))


@router.put("/quotas/{id}", response_class=Response)
async def updateQuota(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    id: QuotaId,  # noqa: A002 - Harbor's name
    body: QuotaUpdate,
) -> Response:
    """Set some limits; the others stay."""
    await services.quotas.update(caller, id, body.hard or {})
    return Response(status_code=200)
