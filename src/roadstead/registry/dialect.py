"""The OCI specification's error documents: our errors to its statuses and JSON, in one place."""

from __future__ import annotations

import json

from roadstead import errors
from roadstead.registry.calls import Header, Reply

# The nearest ancestor wins.
STATUSES: dict[type[BaseException], int] = {
    errors.RoadsteadError: 500,
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Unsupported: 405,
    errors.RequestTimeout: 408,
    errors.Conflict: 409,
    errors.Precondition: 412,
    errors.TooLarge: 413,
    errors.RangeInvalid: 416,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
    errors.InsufficientStorage: 507,
}
JSON_TYPE: Header = (b"content-type", b"application/json")


class Refusal(Exception):
    """An error together with headers that its answer must carry."""

    def __init__(self, error: errors.RoadsteadError, headers: list[Header]) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = headers


def status_of(error: errors.RoadsteadError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def document(error: errors.RoadsteadError) -> bytes:
    """`{"errors": [{"code", "message", "detail"}]}`, one entry for each part of the error."""
    entries = []
    for part in error.parts:
        detail: dict[str, object] = {key: value for key, value in part.facts.items() if value is not None}
        if part.remedy:
            detail["remedy"] = part.remedy
        entries.append({"code": part.code, "message": part.message, "detail": detail})
    return json.dumps({"errors": entries}, separators=(",", ":")).encode()


def refusal(error: errors.RoadsteadError, headers: list[Header] | None = None) -> Reply:
    """The answer that an error is."""
    sent: list[Header] = [JSON_TYPE, *(headers or ())]
    if error.retry_after is not None:
        sent.append((b"retry-after", str(error.retry_after).encode()))
    return Reply(status_of(error), sent, document(error))
