"""Harbor's error documents: our errors to its statuses and codes, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from roadstead import errors
from roadstead.api import watching
from roadstead.api.services import SERVICES
from roadstead.api.shapes import ErrorDocument
from roadstead.projects.access import Overtaken

# The nearest ancestor wins.
FAMILIES: Mapping[type[BaseException], tuple[int, str]] = {
    errors.RoadsteadError: (500, "UNKNOWN"),
    errors.Invalid: (400, "BAD_REQUEST"),
    errors.Unauthenticated: (401, "UNAUTHORIZED"),
    errors.Denied: (403, "FORBIDDEN"),
    errors.NotFound: (404, "NOT_FOUND"),
    errors.Unsupported: (405, "METHOD_NOT_ALLOWED"),
    errors.RequestTimeout: (408, "REQUEST_TIMEOUT"),
    errors.Conflict: (409, "CONFLICT"),
    errors.Precondition: (412, "PRECONDITION"),
    errors.TooLarge: (413, "REQUEST_ENTITY_TOO_LARGE"),
    errors.TooManyRequests: (429, "TOO_MANY_REQUEST"),
    errors.NotBuilt: (501, "UNSUPPORTED"),
    errors.Unavailable: (503, "UNAVAILABLE"),
    errors.InsufficientStorage: (507, "UNAVAILABLE"),
}
_STATUS_CODES = dict(FAMILIES.values())
# Codes of the specification that Harbor's API keeps.
_KEPT = frozenset({"DENIED", "DIGEST_INVALID", "MANIFEST_INVALID", "PROJECTPOLICYVIOLATION"})
_GENERIC = "DENIED"

# What every operation may answer beside its success.
REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorDocument, "description": "The request cannot be right, whoever sends it."},
    401: {"model": ErrorDocument, "description": "Nobody is signed in, or the proof is not good."},
    403: {"model": ErrorDocument, "description": "The caller may not."},
    404: {"model": ErrorDocument, "description": "It is not there, or the caller may not know that it is."},
    405: {"model": ErrorDocument, "description": "Nothing here answers to this method."},
    409: {"model": ErrorDocument, "description": "Something of the kind is there already."},
    412: {"model": ErrorDocument, "description": "A rule, or the state of things, forbids it now."},
    413: {"model": ErrorDocument, "description": "The body is too large."},
    422: {"model": ErrorDocument, "description": "A parameter or a field is not of the form described here."},
    429: {"model": ErrorDocument, "description": "Slower, please."},
    503: {"model": ErrorDocument, "description": "A part of the registry does not answer.  Try again."},
}


def refusal(error: errors.RoadsteadError) -> JSONResponse:
    """`{"errors": [{"code", "message", "detail"}]}`."""
    status, code = next(FAMILIES[kind] for kind in type(error).__mro__ if kind in FAMILIES)
    entries = []
    for part in error.parts:
        detail = {key: value for key, value in part.facts.items() if value is not None}
        # A plain `Denied` is Harbor's FORBIDDEN; a feature's own says DENIED.
        own = part.code in _KEPT and not (
            part.code == _GENERIC and not getattr(type(part), "says_denied", False)
        )
        entries.append(_entry(part.code if own else code, _sentence(part), detail))
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse({"errors": entries}, status, headers)


def _sentence(error: errors.RoadsteadError) -> str:
    return f"{error.message}; {error.remedy}" if error.remedy else error.message


def _entry(code: str, message: str, detail: Mapping[str, object] | None = None) -> dict[str, object]:
    return {"code": code, "message": message, **({"detail": detail} if detail else {})}


def speak_harbor(app: FastAPI) -> None:
    """Let every failure of the application be one of Harbor's documents."""

    @app.exception_handler(errors.RoadsteadError)
    async def explained(request: Request, error: errors.RoadsteadError) -> JSONResponse:
        known = getattr(request.state, "known", None)
        if isinstance(error, Overtaken) and known is not None:
            request.scope[SERVICES].authenticator.forget(known)
        watching.refused(request, error)
        return refusal(error)

    @app.exception_handler(IntegrityError)
    async def overtaken(_request: Request, _error: IntegrityError) -> JSONResponse:
        return refusal(
            errors.Conflict("what the request depends on changed just now", remedy="look again, and repeat")
        )

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        # Never the input itself: it may hold a secret.
        entries = [
            _entry("UNPROCESSABLE_ENTITY", f"{'.'.join(map(str, found['loc']))}: {found['msg']}"[:500])
            for found in error.errors()[:20]
        ]
        return JSONResponse({"errors": entries}, 422)

    @app.exception_handler(HTTPException)
    async def unrouted(_request: Request, error: HTTPException) -> JSONResponse:
        code = _STATUS_CODES.get(error.status_code, "UNKNOWN")
        message = {404: "there is nothing at this path; check the address"}.get(error.status_code)
        entries = [_entry(code, message or str(error.detail))]
        return JSONResponse({"errors": entries}, error.status_code, error.headers)
