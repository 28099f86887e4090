"""`auditlog`: who did what, of the whole registry and of a project."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectName
from roadstead.api.services import Asked
from roadstead.api.shapes import Shape, Time
from roadstead.audit.queries import Entry
from roadstead.db.list_requests import LONGEST_TEXT, ListRequest, parse_q

router = APIRouter(tags=["auditlog"])
of_projects = APIRouter(tags=["project"])

_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/jsonl": {}, "text/csv": {}},
        "description": "Every entry, the oldest first.",
    }
}


class AuditLog(Shape):
    """A change, in the shape of older versions of Harbor, which knew no refusals."""

    id: int
    username: str
    resource: str
    resource_type: str
    operation: str
    op_time: Time


class AuditLogExt(AuditLog):
    operation_description: str
    operation_result: bool
    # Ours, not Harbor's.
    outcome: Literal["success", "refused", "failed"]
    project_id: int | None
    client_address: str
    door: str
    request_id: str
    count: int
    details: dict[str, Any] | None


class AuditLogEventType(Shape):
    event_type: str


@router.get("/audit-logs")
async def listAuditLogs(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, listing: Listing, request: Request, response: Response
) -> list[AuditLog]:
    """What was done, the newest first.  Refusals and sign-ins that failed are in `/auditlog-exts` only."""
    entries, total = await services.audit_logs.page(caller, listing, successes=True)
    tell(request, response, listing, total)
    return [_plain(entry) for entry in entries]


@router.get("/audit-logs/export", response_class=StreamingResponse, responses=_EXPORTED)
async def exportAuditLogs(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    format: Annotated[Literal["jsonl", "csv"], Query(description="Lines of JSON, or a table.")] = "jsonl",  # noqa: A002 - the parameter's name
    q: Annotated[str, Query(max_length=LONGEST_TEXT, description="Filters, as those of a list.")] = "",
) -> StreamingResponse:
    """Every entry that there is now and that matches, the oldest first."""
    as_csv = format == "csv"
    lines = await services.audit_logs.export(caller, ListRequest(clauses=parse_q(q)), as_csv=as_csv)
    headers = {
        "Content-Disposition": f'attachment; filename="audit-log.{format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(
        lines, media_type="text/csv; charset=utf-8" if as_csv else "application/jsonl", headers=headers
    )


@router.get("/auditlog-exts")
async def listAuditLogExts(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, listing: Listing, request: Request, response: Response
) -> list[AuditLogExt]:
    """What was done, tried and refused, the newest first."""
    entries, total = await services.audit_logs.page(caller, listing)
    tell(request, response, listing, total)
    return [_whole(entry) for entry in entries]


@router.get("/auditlog-exts/events")
async def listAuditLogEventTypes(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked
) -> list[AuditLogEventType]:
    """What can be written down, as `disabled_audit_log_event_types` names it."""
    return [AuditLogEventType(event_type=name) for name in await services.audit_logs.event_types(caller)]


@of_projects.get("/projects/{project_name}/logs")
async def getLogs(  # noqa: N802, PLR0917 - Harbor's operation names; what a list takes
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[AuditLog]:
    """What was done in the project, the newest first."""
    entries, total = await services.audit_logs.project_page(caller, project_name, listing, successes=True)
    tell(request, response, listing, total)
    return [_plain(entry) for entry in entries]


@of_projects.get("/projects/{project_name}/auditlog-exts")
async def getLogExts(  # noqa: N802, PLR0917 - Harbor's operation names; what a list takes
    caller: Caller,
    services: Asked,
    project_name: ProjectName,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[AuditLogExt]:
    """What was done, tried and refused in the project, the newest first."""
    entries, total = await services.audit_logs.project_page(caller, project_name, listing)
    tell(request, response, listing, total)
    return [_whole(entry) for entry in entries]


def _plain(entry: Entry) -> AuditLog:
    return AuditLog(
        id=entry.id,
        username=entry.username,
        resource=entry.resource,
        resource_type=entry.resource_type,
        operation=entry.operation,
        op_time=entry.at,
    )


def _whole(entry: Entry) -> AuditLogExt:
    return AuditLogExt(
        id=entry.id,
        username=entry.username,
        resource=entry.resource,
        resource_type=entry.resource_type,
        operation=entry.operation,
        op_time=entry.at,
        operation_description=entry.description,
        operation_result=entry.outcome == "success",
        outcome=entry.outcome,  # type: ignore[arg-type]  # `trail.Outcome` wrote it
        project_id=entry.project_id,
        client_address=entry.address,
        door=entry.door,
        request_id=entry.request_id,
        count=entry.count,
        details=None if entry.payload is None else dict(entry.payload),
    )
