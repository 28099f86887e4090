"""The list of endpoints in `docs/reference/rest-api.md`, made from the OpenAPI document."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from roadstead.api.server import PREFIX, create_web

# What stands above it in the page is written by people.
MARK = "<!-- Made from the OpenAPI document by `make generated`: change the handlers. -->\n"
_METHODS = ("get", "head", "post", "put", "patch", "delete")
_UNTAGGED = "other"


def rest_page(page: str) -> str:
    """The page with the list as it is now."""
    return page.partition(MARK)[0] + MARK + endpoint_tables()


def endpoint_tables() -> str:
    """A table of operations for each tag, tags by name, paths as they are sent."""
    by_tag: dict[str, list[str]] = defaultdict(list)
    for path, item in sorted(create_web().openapi()["paths"].items()):
        for method in _METHODS:
            if method in item:
                operation = item[method]
                by_tag[operation.get("tags", [_UNTAGGED])[0]].append(_row(path, method, operation))
    return "".join(
        _table(tag, rows) for tag, rows in sorted(by_tag.items(), key=lambda found: found[0].lower())
    )


def _table(tag: str, rows: list[str]) -> str:
    head = "| method | path | answers | what it does |\n|---|---|--:|---|\n"
    return f"\n### {tag}\n\n{head}{''.join(rows)}"


def _row(path: str, method: str, operation: dict[str, Any]) -> str:
    success = ", ".join(code for code in operation["responses"] if code.startswith("2"))
    about = operation.get("description", "").partition("\n\n")[0] or f"`{operation['operationId']}`"
    text = " ".join(about.split()).replace("|", "\\|")
    return f"| `{method.upper()}` | `{path.removeprefix(PREFIX)}` | {success} | {text} |\n"
