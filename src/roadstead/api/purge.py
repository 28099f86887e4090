"""`purge`: old audit entries, and when they go."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response
from fastapi.responses import PlainTextResponse

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Shape, Text, Time
from roadstead.audit.purge import Policy
from roadstead.errors import Invalid
from roadstead.projects.audit_purges import Execution, PurgeSchedule

router = APIRouter(prefix="/system/purgeaudit", tags=["purge"])

# As Harbor's.
MOST_HOURS = 240_000
MOST_TYPES = 200
PurgeId = Annotated[int, Path(ge=1, le=LARGEST, description="The run's number.")]


# Refusals are JSON here, too: only the log itself is text.
_WORDS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The log."}
}


class ScheduleObj(Shape):
    type: Text = ""
    cron: Text = ""


class Schedule(Shape):
    schedule: ScheduleObj | None = None
    parameters: dict[str, Any] | None = None


class ShownSchedule(ScheduleObj):
    next_scheduled_time: Time = 0


class ExecHistory(Shape):
    id: int
    job_name: str
    job_kind: str
    # JSON, as text.
    job_parameters: str
    job_status: str
    schedule: ShownSchedule
    creation_time: Time
    update_time: Time


@router.get("")
async def getPurgeHistory(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, listing: Listing, request: Request, response: Response
) -> list[ExecHistory]:
    """Runs of the last seven days, the newest first."""
    executions, total = await services.audit_purges.page(caller, listing)
    tell(request, response, listing, total)
    return [_executed(execution) for execution in executions]


@router.get("/schedule", responses={200: {"model": ExecHistory}}, response_model=None)
async def getPurgeSchedule(caller: Caller, services: Asked) -> ExecHistory | Response:  # noqa: N802 - Harbor's operation names
    """The schedule; nothing at all where there is none."""
    found = await services.audit_purges.schedule(caller)
    return Response() if found is None else _scheduled(found)


@router.post("/schedule", status_code=201, response_class=Response)
async def createPurgeSchedule(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, schedule: Annotated[Schedule, Body()]
) -> Response:
    """Set the schedule, or run once now.  `Location` names the run, or 0."""
    run = await _set(caller, services, schedule, permission="create")
    return Response(status_code=201, headers={"Location": f"/api/v2.0/system/purgeaudit/{run}"})


@router.put("/schedule", response_class=Response)
async def updatePurgeSchedule(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, schedule: Annotated[Schedule, Body()]
) -> Response:
    """Set the schedule, or run once now."""
    await _set(caller, services, schedule, permission="update")
    return Response()


@router.get("/{purge_id}")
async def getPurgeJob(caller: Caller, services: Asked, purge_id: PurgeId) -> ExecHistory:  # noqa: N802 - Harbor's operation names
    """One run."""
    return _executed(await services.audit_purges.one(caller, purge_id))


@router.put("/{purge_id}", response_class=Response)
async def stopPurge(caller: Caller, services: Asked, purge_id: PurgeId) -> Response:  # noqa: N802 - Harbor's operation names
    """Stop a run.  What it has deleted stays deleted."""
    await services.audit_purges.stop(caller, purge_id)
    return Response()


@router.get("/{purge_id}/log", response_class=Response, responses=_WORDS)
async def getPurgeJobLog(caller: Caller, services: Asked, purge_id: PurgeId) -> Response:  # noqa: N802 - Harbor's operation names
    """What a run did, in words."""
    return PlainTextResponse((await services.audit_purges.one(caller, purge_id)).log)


async def _set(caller: Caller, services: Asked, body: Schedule, *, permission: str) -> int:
    # Who may not is told so before what is wrong with the body.
    await services.authority.system(caller, f"purge-audit:{permission}")
    if body.schedule is None or not body.parameters:
        raise Invalid("a schedule has a type and parameters", remedy="send both schedule and parameters")
    policy = Policy(MOST_HOURS, ()) if body.schedule.type == "None" else _policy(body.parameters)
    found = await services.audit_purges.set(
        caller, body.schedule.type, body.schedule.cron, policy, permission=permission
    )
    return found or 0


def _policy(parameters: dict[str, Any]) -> Policy:
    hours = parameters.get("audit_retention_hour")
    if type(hours) is not int or not 1 <= hours <= MOST_HOURS:
        raise Invalid(
            f"audit_retention_hour is a whole number of hours from 1 to {MOST_HOURS}",
            remedy="say how old entries may become",
            limit=MOST_HOURS,
        )
    types = parameters.get("include_event_types")
    if not isinstance(types, str) or types.count(",") >= MOST_TYPES or len(types) > 4096 or "\0" in types:
        raise Invalid(
            "include_event_types is a text of event types with commas between them",
            remedy="GET /api/v2.0/auditlog-exts/events lists them; other_events are those that Harbor has not",
        )
    names = tuple(part for part in (part.strip() for part in types.split(",")) if part)
    return Policy(hours, names, dry_run=parameters.get("dry_run") is True)


def _executed(found: Execution) -> ExecHistory:
    return ExecHistory(
        id=found.id,
        job_name="PURGE_AUDIT_LOG",
        job_kind=found.trigger,
        job_parameters=json.dumps(dict(found.parameters)),
        job_status=found.status,
        schedule=ShownSchedule(type=found.trigger.title()),
        creation_time=found.created_at,
        update_time=found.updated_at,
    )


def _scheduled(found: PurgeSchedule) -> ExecHistory:
    return ExecHistory(
        id=1,
        job_name="",
        job_kind=found.cron,
        job_parameters=json.dumps(dict(found.parameters)),
        job_status="Pending",
        schedule=ShownSchedule(type=found.kind, cron=found.cron, next_scheduled_time=found.next_at),
        creation_time=found.created_at,
        update_time=found.updated_at,
    )
