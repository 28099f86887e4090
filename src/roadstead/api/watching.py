"""What is true of every request to the API beside what its handler does: the read-only mode, and the audit log."""

from __future__ import annotations

from fastapi import Request

from roadstead.api.services import SERVICES, Services
from roadstead.errors import Denied, RoadsteadError, Unauthenticated
from roadstead.identity.principals import Principal

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OPERATIONS = {"GET": "read", "HEAD": "read", "POST": "create", "DELETE": "delete"}
# Without it nobody could end the mode.
_ENDS_THE_MODE = "updateConfigurations"


async def check_mode(request: Request, services: Services) -> None:
    """Refuse what writes while the registry is read-only.  Raises `ReadOnly`."""
    if request.method not in _READING and request.scope["route"].name != _ENDS_THE_MODE:
        await services.configurations.check_writable()


def refused(request: Request, error: RoadsteadError) -> None:
    """Write down who was refused.  Whoever is yet to sign in was not."""
    caller: Principal | None = getattr(request.state, "caller", None)
    if caller is None or caller.operator or not isinstance(error, Denied | Unauthenticated):
        return
    if caller.anonymous and not isinstance(error, Denied):
        return
    services: Services = request.scope[SERVICES]
    project, project_id = _project(request)
    services.notes.note(
        caller,
        _OPERATIONS.get(request.method, "update"),
        "api",
        request.scope["path"],
        outcome="refused",
        description=error.message,
        project_id=project_id,
        project=project,
    )


def _project(request: Request) -> tuple[str, int | None]:
    """The project that the path names, by its name or by its id."""
    named: str = request.path_params.get("project_name", "")
    if named:
        return named, None
    reference: str = request.path_params.get("project_name_or_id", "")
    if not (reference.isascii() and reference.isdecimal()):
        return reference, None
    if request.headers.get("x-is-resource-name", "").lower() in {"true", "1"}:
        return reference, None
    return "", int(reference) if len(reference) < 19 else None
