"""The page of the audit log names every kind of entry that the code writes, and nothing that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.docs.pages import DOCS, ROOT

from roadstead.audit.event_types import EVENT_TYPES

SOURCE = ROOT / "src" / "roadstead"


def _written() -> Iterator[tuple[str, str]]:
    """`(operation, resource type)` of every entry whose kind is said where it is written."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                operation, resource = _kind(node)
                if isinstance(operation, ast.Constant) and isinstance(resource, ast.Constant):
                    yield str(operation.value), str(resource.value)


def _kind(call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    name = ast.unparse(call.func)
    if name in {"trail.record", "record_audit"}:
        return call.args[2], call.args[3]
    if name.endswith("notes.note"):
        return call.args[1], call.args[2]
    return None, None


def test_every_kind_of_entry_is_an_event_type() -> None:
    assert {f"{operation}_{resource}" for operation, resource in _written()} <= set(EVENT_TYPES)


def test_no_type_of_resource_has_an_underscore() -> None:
    assert not [resource for _, resource in _written() if "_" in resource]


def test_the_page_names_every_event_type_and_no_other() -> None:
    page = (DOCS / "reference" / "audit.md").read_text(encoding="utf-8")
    table = page.partition("## Event types")[2].partition("\n## ")[0].partition("|---|")[2]
    assert set(re.findall(r"`([a-z_-]+_[a-z-]+)`", table)) == set(EVENT_TYPES)
