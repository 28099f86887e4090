"""What the bodies of the API are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

LARGEST = 2**63 - 1


class Shape(BaseModel):
    """A JSON object.  Fields that we do not know are passed over, as Harbor passes them over: a body never sets
    what its shape does not name.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    return text


def _rfc3339(milliseconds: int) -> str:
    found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Text that both databases can keep.
Text = Annotated[str, Field(max_length=4096), AfterValidator(_storable)]
Name = Annotated[str, Field(max_length=255), AfterValidator(_storable)]
Secret = Annotated[str, Field(max_length=1024), AfterValidator(_storable)]
# Numbers that both databases can keep.
Number = Annotated[int, Field(ge=-LARGEST - 1, le=LARGEST)]
Id = Annotated[int, Field(ge=1, le=LARGEST)]
# Milliseconds since 1970 inside; RFC 3339 outside.
Time = Annotated[
    int,
    PlainSerializer(_rfc3339, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}),
]


class ErrorEntry(Shape):
    code: str
    message: str
    detail: dict[str, Any] | None = None


class ErrorDocument(Shape):
    errors: list[ErrorEntry]
