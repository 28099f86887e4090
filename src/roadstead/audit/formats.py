"""Audit entries as text: lines of JSON, and rows of a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from roadstead.audit.queries import Entry

COLUMNS = (
    "id",
    "op_time",
    "username",
    "operation",
    "resource_type",
    "resource",
    "outcome",
    "description",
    "project_id",
    "client_address",
    "door",
    "request_id",
    "count",
    "details",
)
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def instant(milliseconds: int) -> str:
    found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(entry: Entry) -> dict[str, object]:
    """What leaves this registry of an entry, field by field."""
    return {
        "id": entry.id,
        "op_time": instant(entry.at),
        "username": entry.username,
        "operation": entry.operation,
        "resource_type": entry.resource_type,
        "resource": entry.resource,
        "outcome": entry.outcome,
        "description": entry.description,
        "project_id": entry.project_id,
        "client_address": entry.address,
        "door": entry.door,
        "request_id": entry.request_id,
        "count": entry.count,
        "details": entry.payload,
    }


def json_line(entry: Entry) -> str:
    return json.dumps(document(entry), separators=(",", ":")) + "\n"


def json_lines(entries: Sequence[Entry]) -> str:
    return "".join(map(json_line, entries))


def csv_head() -> str:
    return _rows([COLUMNS])


def csv_rows(entries: Sequence[Entry]) -> str:
    """Cells that a spreadsheet would run are made text, by an apostrophe before them."""
    return _rows([_cell(value) for value in document(entry).values()] for entry in entries)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _rows(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
