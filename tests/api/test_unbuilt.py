"""What Harbor has and this registry does not says so, in the answer, in the OpenAPI document and in the docs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.api.harbor_operations import OPERATIONS
from tests.registry.registries import Registry

from roadstead.api.server import PREFIX, create_web
from roadstead.api.unbuilt import UNBUILT

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "harbor-compatibility.md"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, which takes a while to make."""
    return create_web().openapi()


@cache
def described() -> set[tuple[str, str]]:
    """`(method, path)` of every operation, parameters without their names."""
    paths = document()["paths"]
    return {(method.upper(), _bare(path)) for path, item in paths.items() for method in item}


def _bare(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", path).rstrip("/")


@pytest.mark.parametrize(("method", "path"), UNBUILT)
def test_what_is_not_built_is_described(method: str, path: str) -> None:
    operation = document()["paths"][PREFIX + path][method.lower()]
    assert "501" in operation["responses"]
    assert not any(status.startswith("2") for status in operation["responses"])
    named = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
    assert named == set(re.findall(r"\{([^}]+)\}", path))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_harbor_has_is_here(method: str, path: str) -> None:
    assert (method, _bare(PREFIX + path)) in described()


async def test_whoever_is_signed_in_is_told(registry: Registry) -> None:
    answer = await registry.alice.get("/api/v2.0/registries")
    assert (answer.status, answer.codes) == (501, ["UNSUPPORTED"])
    assert "not built yet" in answer.json["errors"][0]["message"]


async def test_nobody_else_is(registry: Registry) -> None:
    assert (await registry.anon.get("/api/v2.0/registries")).status == 401


@pytest.mark.parametrize(("method", "path"), UNBUILT[::9])
async def test_every_method_and_path_answers_the_same(registry: Registry, method: str, path: str) -> None:
    answer = await registry.root.request(method, PREFIX + re.sub(r"\{[^}]+\}", "1", path))
    assert answer.status == 501, answer


def test_the_page_lists_exactly_what_is_not_built() -> None:
    rows = re.findall(r"^\| `([A-Z ]+)` \| `(/[^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {(method, path) for methods, path in rows for method in methods.split()}
    assert listed == set(UNBUILT)
