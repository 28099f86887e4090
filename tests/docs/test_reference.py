"""The reference pages name everything that there is, and nothing that there is not."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from tests.docs.pages import DOCS, ROOT, headings

import roadstead
from roadstead.api.reference import rest_page
from roadstead.cli.reference import command_page
from roadstead.config.catalogue import values
from roadstead.errors import RoadsteadError
from roadstead.registry.http import Route
from roadstead.registry.routes import routes

SOURCE = ROOT / "src" / "roadstead"
_EVENT_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
# `{"code": "USAGE"}`: what the command line makes up without an exception of ours.
_COMMAND_LINE_CODE = re.compile(r'"code": "([A-Z_]+)"')


def _all_errors(family: type[RoadsteadError]) -> Iterator[type[RoadsteadError]]:
    yield family
    for child in family.__subclasses__():
        yield from _all_errors(child)


def _import_everything() -> None:
    for module in pkgutil.walk_packages(roadstead.__path__, "roadstead."):
        if not module.name.startswith("roadstead.testing") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def test_every_error_code_has_an_entry_and_every_entry_a_code() -> None:
    _import_everything()
    codes = {error.code for error in _all_errors(RoadsteadError) if error.__module__.startswith("roadstead.")}
    failures = (SOURCE / "cli" / "failures.py").read_text(encoding="utf-8")
    assert set(headings("errors.md", "###")) == codes | set(_COMMAND_LINE_CODE.findall(failures))


@pytest.mark.parametrize("code", headings("errors.md", "###"))
def test_an_error_s_entry_has_causes_a_remedy_and_an_example(code: str) -> None:
    text = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    entry = " ".join(text.partition(f"### `{code}`\n")[2].partition("\n##")[0].split())
    for part in ("**Causes:**", "**Remedy:**", "**Example:**"):
        assert part in entry, f"{code} has no {part}"


def _event_kinds() -> set[str]:
    """What every `record(conn, KIND, …)` of the outbox names.

    A function that is given the kind is called with it in its module: there, every text of that form is one.
    """
    kinds: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        recorders = {
            alias.asname or alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom) and node.module == "roadstead.events.outbox"
            for alias in node.names
            if alias.name == "record"
        }
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in recorders:
                kinds |= _kinds_named(path, module, node.args[1])
    return kinds


def _kinds_named(path: Path, module: ast.Module, kind: ast.expr) -> set[str]:
    name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    if isinstance(kind, ast.Constant):
        return {str(kind.value)}
    assert isinstance(kind, ast.Name), f"{path.name}: an event's kind is a constant, or given"
    found = getattr(importlib.import_module(name), kind.id, None)
    if isinstance(found, str):
        return {found}
    return {
        str(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and _EVENT_KIND.fullmatch(str(node.value))
    }


def test_every_kind_of_event_has_an_entry_and_every_entry_a_kind() -> None:
    assert set(headings("events.md", "##")) == _event_kinds()


def test_the_page_of_the_command_line_is_current() -> None:
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert page == command_page(), "run: make generated"


def test_the_list_of_endpoints_is_current() -> None:
    page = (DOCS / "reference" / "rest-api.md").read_text(encoding="utf-8")
    assert page == rest_page(page), "run: make generated"


def _limits(heading: str) -> list[tuple[str, str]]:
    """`(value, where)` of each row of a table in limits.md."""
    text = (DOCS / "reference" / "limits.md").read_text(encoding="utf-8")
    part = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    return re.findall(r"^\| .+ \| `([^`]+)` \| `([^`]+)` \|$", part, re.MULTILINE)


@pytest.mark.parametrize(("value", "name"), _limits("Limits that can be set"))
def test_a_limit_that_can_be_set_has_its_default(value: str, name: str) -> None:
    defaults = {setting.name: setting.default for setting in values()}
    assert str(defaults[name]) == value


@pytest.mark.parametrize(("value", "where"), _limits("Limits that are fixed"))
def test_a_limit_that_is_fixed_has_its_value(value: str, where: str) -> None:
    module, _, name = where.rpartition(".")
    assert str(getattr(importlib.import_module(module), name)) == value


def test_every_setting_that_a_page_names_exists() -> None:
    sections = {setting.name.partition(".")[0] for setting in values() if "." in setting.name}
    names = {setting.name for setting in values()}
    kinds = set(headings("events.md", "##"))
    pattern = re.compile(rf"`((?:{'|'.join(sorted(sections))})\.[a-z_.]+)`")
    for page in DOCS.rglob("*.md"):
        for found in pattern.findall(page.read_text(encoding="utf-8")):
            known = found in names or any(name.startswith(f"{found}.") for name in names)
            # `registry/http.py` and the like are files; checks and events are called like sections.
            known = known or found in kinds or _is_check(found)
            assert known or found.endswith((".py", ".md", ".example.com")), f"{page.name}: {found}"


def _is_check(name: str) -> bool:
    checks = importlib.import_module("roadstead.cli.checks")
    return name in checks.names()


def _routes() -> tuple[Route, ...]:
    anything = MagicMock()
    return routes(
        blobs=anything,
        uploads=anything,
        manifests=anything,
        tags=anything,
        referrers=anything,
        catalog=anything,
    )


@pytest.mark.parametrize("found", _routes(), ids=lambda found: found.path)
def test_every_path_and_method_is_on_the_page_of_the_api(found: Route) -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    rows = text.partition(f"| `{found.path}` |")[2]
    assert rows, f"{found.path} is missing"
    # The rows of one path: the next path begins a row of its own.
    own = re.split(r"^(?:\| `/|$)", rows, flags=re.MULTILINE)[0]
    methods = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE)` \|", own))
    assert methods == set(found.endpoints) - {"HEAD"}


@pytest.mark.parametrize("path", ["/service/token", "/livez", "/readyz"])
def test_every_other_path_is_on_the_page_of_the_api(path: str) -> None:
    assert f"`{path}`" in (DOCS / "reference" / "api.md").read_text(encoding="utf-8")


def test_files_that_pages_name_exist() -> None:
    pattern = re.compile(r"`([a-z_]+(?:/[\w.-]+)*/[\w.-]+\.(?:py|yaml)|(?:tests|scripts)/[\w./-]*)`")
    places = (ROOT, SOURCE, ROOT / "tests")
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for name in pattern.findall(page.read_text(encoding="utf-8")):
            assert any((place / name).exists() for place in places), f"{page.name}: {name}"
