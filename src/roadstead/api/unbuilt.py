"""What Harbor's API has and this registry does not, or not yet: every path says so, to whoever is signed in.

A feature that is built takes its lines out of the table; `docs/reference/harbor-compatibility.md` follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from roadstead.api.callers import Caller
from roadstead.api.services import Asked
from roadstead.api.shapes import ErrorDocument
from roadstead.errors import NotBuilt

# Path, methods, Harbor's tag.
_TABLE: Sequence[tuple[str, str, str]] = (
    ("/ldap/ping", "POST", "Ldap"),
    ("/ldap/users/search", "GET", "Ldap"),
    ("/ldap/users/import", "POST", "Ldap"),
    ("/ldap/groups/search", "GET", "Ldap"),
    ("/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan", "POST", "scan"),
    (
        "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/stop",
        "POST",
        "scan",
    ),
    (
        "/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/scan/{report_id}/log",
        "GET",
        "scan",
    ),
    ("/p2p/preheat/providers", "GET", "preheat"),
    ("/p2p/preheat/instances/ping", "POST", "preheat"),
    ("/p2p/preheat/instances", "GET POST", "preheat"),
    ("/p2p/preheat/instances/{preheat_instance_name}", "GET DELETE PUT", "preheat"),
    ("/projects/{project_name}/preheat/policies", "POST GET", "preheat"),
    ("/projects/{project_name}/preheat/policies/{preheat_policy_name}", "GET PUT POST DELETE", "preheat"),
    ("/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions", "GET", "preheat"),
    (
        "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}",
        "GET PATCH",
        "preheat",
    ),
    (
        "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/tasks",
        "GET",
        "preheat",
    ),
    (
        "/projects/{project_name}/preheat/policies/{preheat_policy_name}/executions/{execution_id}/tasks/{task_id}/logs",
        "GET",
        "preheat",
    ),
    ("/projects/{project_name}/preheat/providers", "GET", "preheat"),
    ("/projects/{project_name_or_id}/webhook/policies", "GET POST", "webhook"),
    ("/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}", "GET PUT DELETE", "webhook"),
    ("/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions", "GET", "webhook"),
    (
        "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks",
        "GET",
        "webhook",
    ),
    (
        "/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks/{task_id}/log",
        "GET",
        "webhook",
    ),
    ("/projects/{project_name_or_id}/webhook/lasttrigger", "GET", "webhook"),
    ("/projects/{project_name_or_id}/webhook/jobs", "GET", "webhookjob"),
    ("/projects/{project_name_or_id}/webhook/events", "GET", "webhook"),
    ("/replication/policies", "GET POST", "replication"),
    ("/replication/policies/{id}", "GET DELETE PUT", "replication"),
    ("/replication/executions", "GET POST", "replication"),
    ("/replication/executions/{id}", "GET PUT", "replication"),
    ("/replication/executions/{id}/tasks", "GET", "replication"),
    ("/replication/executions/{id}/tasks/{task_id}/log", "GET", "replication"),
    ("/replication/adapters", "GET", "registry"),
    ("/replication/adapterinfos", "GET", "registry"),
    ("/registries", "POST GET", "registry"),
    ("/registries/ping", "POST", "registry"),
    ("/registries/{id}", "GET DELETE PUT", "registry"),
    ("/registries/{id}/info", "GET", "registry"),
    ("/scans/all/metrics", "GET", "scanAll"),
    ("/scans/schedule/metrics", "GET", "scanAll"),
    ("/system/oidc/ping", "POST", "oidc"),
    ("/system/gc", "GET", "gc"),
    ("/system/gc/{gc_id}", "GET PUT", "gc"),
    ("/system/gc/{gc_id}/log", "GET", "gc"),
    ("/system/gc/schedule", "GET POST PUT", "gc"),
    ("/system/scanAll/schedule", "GET PUT POST", "scanAll"),
    ("/system/scanAll/stop", "POST", "scanAll"),
    ("/jobservice/pools", "GET", "jobservice"),
    ("/jobservice/pools/{pool_id}/workers", "GET", "jobservice"),
    ("/jobservice/jobs/{job_id}", "PUT", "jobservice"),
    ("/jobservice/jobs/{job_id}/log", "GET", "jobservice"),
    ("/jobservice/queues", "GET", "jobservice"),
    ("/jobservice/queues/{job_type}", "PUT", "jobservice"),
    ("/schedules/{job_type}/paused", "GET", "schedule"),
    ("/retentions/metadatas", "GET", "Retention"),
    ("/retentions", "POST", "Retention"),
    ("/retentions/{id}", "GET PUT DELETE", "Retention"),
    ("/retentions/{id}/executions", "POST GET", "Retention"),
    ("/retentions/{id}/executions/{eid}", "PATCH", "Retention"),
    ("/retentions/{id}/executions/{eid}/tasks", "GET", "Retention"),
    ("/retentions/{id}/executions/{eid}/tasks/{tid}", "GET", "Retention"),
    ("/scanners", "GET POST", "scanner"),
    ("/scanners/ping", "POST", "scanner"),
    ("/scanners/{registration_id}", "GET PUT DELETE PATCH", "scanner"),
    ("/scanners/{registration_id}/metadata", "GET", "scanner"),
    ("/export/cve", "POST", "scan data export"),
    ("/export/cve/execution/{execution_id}", "GET", "scan data export"),
    ("/export/cve/executions", "GET", "scan data export"),
    ("/export/cve/download/{execution_id}", "GET", "scan data export"),
    ("/security/summary", "GET", "securityhub"),
    ("/security/vul", "GET", "securityhub"),
    ("/projects/{project_name_or_id}/scanner", "PUT", "project"),
    ("/projects/{project_name_or_id}/scanner/candidates", "GET", "project"),
)
# `(method, path)`.
UNBUILT: Sequence[tuple[str, str]] = tuple(
    (method, path) for path, methods, _ in _TABLE for method in methods.split()
)
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


async def _refuse(caller: Caller, services: Asked) -> None:
    """Not built yet."""
    await services.authority.signed_in(caller)
    raise NotBuilt(
        "this part of Harbor's API is not built yet",
        remedy="docs/reference/harbor-compatibility.md lists what is",
    )


def _router() -> APIRouter:
    router = APIRouter()
    for path, methods, tag in _TABLE:
        for method in methods.split():
            router.add_api_route(
                path,
                _refuse,
                methods=[method],
                name=_name(method, path),
                tags=[tag],
                status_code=501,
                response_model=ErrorDocument,
                response_description="Not built yet.",
                openapi_extra={"parameters": [_parameter(name) for name in _PARAMETER.findall(path)]},
            )
    return router


def _name(method: str, path: str) -> str:
    """An operation id of our own: Harbor's stays free for the operation that will be built."""
    words = [word[0].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", path) if word]
    return f"unbuilt{method.title()}{''.join(words)}"


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


router = _router()
