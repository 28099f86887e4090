"""Ranks 1 and 2: everybody, every operation of the API and of `/v2`, and what each of them gets (R3, R13, R20).

What is expected comes from `projects/roles.py`, which is compared with the specification; what is found is
compared with both.  An operation without a row in `permission_rows.py` fails.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import pytest
from fastapi.routing import RouteContext, iter_route_contexts
from tests.registry.registries import Registry
from tests.security.permission_rows import (
    REGISTRY_ROWS,
    ROWS,
    RegistryRow,
    Request,
    Row,
    registry_request,
    request_for,
)
from tests.security.specification import drawn, lines, specified, spelled
from tests.security.stage import EVERYBODY, Somebody, Stage

from roadstead.api import unbuilt
from roadstead.projects.roles import OF_ANYBODY, OF_ROLE, Action, Permission, Role, allows

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

COLUMNS: Mapping[str, frozenset[Permission]] = {
    "anybody": OF_ANYBODY,
    "limited guest": OF_ROLE[Role.LIMITED_GUEST],
    "guest": OF_ROLE[Role.GUEST],
    "developer": OF_ROLE[Role.DEVELOPER],
    "maintainer": OF_ROLE[Role.MAINTAINER],
    "project admin": OF_ROLE[Role.PROJECT_ADMIN],
}


@pytest.fixture
async def stage(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage.open(tmp_path / "data", database_url) as opened:
        yield opened


def operations(registry: Registry) -> set[tuple[str, str]]:
    """What the API serves: method and path, read from the running application, without what is not built."""
    assert registry.app.api is not None
    found = set()
    for route in iter_route_contexts(registry.app.api.web.routes):
        assert route.path, route
        assert route.methods, f"{route.path} is a mount or a socket: no row can say who may use it"
        if endpoint_of(route).__module__ != unbuilt.__name__:
            found |= {(method, route.path) for method in route.methods}
    return found


def endpoint_of(route: RouteContext) -> object:
    return getattr(route.original_route, "endpoint", None)


def not_built(registry: Registry) -> list[tuple[str, str]]:
    """What the API has only to say that it is not there yet."""
    assert registry.app.api is not None
    return [
        (method, str(route.path))
        for route in iter_route_contexts(registry.app.api.web.routes)
        for method in sorted(route.methods or ())
        if endpoint_of(route).__module__ == unbuilt.__name__
    ]


# ── the specification ───────────────────────────────────────────────────────────────────────────────────


def test_every_role_has_what_the_specification_gives_it() -> None:
    assert specified() == COLUMNS


def test_the_specification_has_no_permission_that_is_not_known() -> None:
    known = frozenset().union(*COLUMNS.values())
    for resource, cells in lines().items():
        for cell in cells:
            assert spelled(resource, cell) <= known


# ── every operation has its row ─────────────────────────────────────────────────────────────────────────


async def test_R20_every_operation_has_its_rows(stage: Stage) -> None:
    served = operations(stage.registry)
    rows = {(row.method, row.path) for row in ROWS}
    assert sorted(served - rows) == []
    assert sorted(rows - served) == []


async def test_R20_every_path_of_the_registry_protocol_that_names_a_repository_has_its_rows(
    stage: Stage,
) -> None:
    app = stage.registry.app.registry
    assert app is not None
    served = {(method, route.path) for route in app.routes for method in route.endpoints}
    # Uploads belong to whoever began them: `test_matrix.py` has those rows.
    named = {row for row in served if "<name>" in row[1] and "<id>" not in row[1]}
    assert {(row.method, row.path) for row in REGISTRY_ROWS} == named


async def test_what_is_not_built_tells_strangers_nothing(stage: Stage) -> None:
    wrong = []
    asking = [who for who in EVERYBODY if who.name in {"sysadmin", "stranger", "anonymous", "token"}]
    for method, path in not_built(stage.registry):
        for who in asking:
            target = re.sub(r"{project_name(_or_id)?}", who.place, path)
            status = await stage.status(who, method, re.sub(r"{\w+}", "1", target), b"")
            if status != (401 if who.dead or who.anonymous else 501):
                wrong.append(f"{method} {path}: {who.name} gets {status}")
    assert not wrong, "\n".join(["", *wrong])


# ── everybody gets what they may ────────────────────────────────────────────────────────────────────────


def expected(row: Row, who: Somebody) -> int:
    if who.name in row.but:
        return row.but[who.name]
    if row.need.kind == "nothing":
        return row.ok
    if who.dead or who.anonymous:
        return _unsigned(row, who)
    if row.need.kind in {"sign-in", "person"}:
        return 412 if who.robot and row.need.kind == "person" else row.ok
    if _hidden(row, who):
        return 404
    return row.ok if _may(row, who) else 403


def _hidden(row: Row, who: Somebody) -> bool:
    """Whether they may not even know that it is there."""
    if row.need.kind in {"project", "repository"} and not who.knows:
        return True
    held = who.system if row.need.kind == "system" else who.project
    return bool(row.hidden) and row.hidden not in held


def _may(row: Row, who: Somebody) -> bool:
    if row.need.kind == "administrator":
        return who.username == "root"
    held = {"repository": who.here, "project": who.project, "system": who.system}
    return row.need.permission in held[row.need.kind]


def _unsigned(row: Row, who: Somebody) -> int:
    """What somebody without a good proof gets: in a public project, what anybody gets, if that is enough."""
    public = not who.dead and row.need.kind in {"project", "repository"} and who.knows
    return row.ok if public and _may(row, who) else 401


async def tried(stage: Stage, row: Row) -> list[tuple[Somebody, int]]:
    """The status that everybody gets, each with a request that succeeds for whoever may make it."""
    prepared: dict[tuple[str, str], Request] = {}
    found = []
    for who in EVERYBODY:
        key = (who.place, who.path)
        if key not in prepared:
            prepared[key] = await request_for(row, stage, who)
        status = await stage.status(who, row.method, prepared[key].target, prepared[key].body)
        found.append((who, status))
        if status < 300 and not row.reads:
            # It is used up.
            del prepared[key]
    return found


async def test_R20_everybody_gets_what_they_may(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    served = operations(stage.registry)
    wrong = []
    observed: dict[str, dict[str, set[bool]]] = {name: defaultdict(set) for name in COLUMNS}
    for row in ROWS:
        if (row.method, row.path) not in served:
            continue
        for who, status in await tried(stage, row):
            wanted = expected(row, who)
            if status != wanted and not (row.need.kind == "nothing" and who.dead and status == 401):
                wrong.append(f"{row}: {who.name} gets {status}, not {wanted}")
            if row.need.kind in {"project", "repository"} and who.name in observed:
                observed[who.name][row.need.permission].add(status == row.ok)
    with capsys.disabled():
        print(_table(observed))  # noqa: T201 - the table is for people
    assert not wrong, "\n".join(["", *wrong])
    assert _held(observed) == _tried_part(specified(), observed)


def _held(observed: Mapping[str, Mapping[str, set[bool]]]) -> dict[str, set[str]]:
    """What each role turned out to hold: all operations that take the permission went well."""
    return {
        role: {permission for permission, results in found.items() if results == {True}}
        for role, found in observed.items()
    }


def _tried_part(
    whole: Mapping[str, Iterable[str]], observed: Mapping[str, Mapping[str, set[bool]]]
) -> dict[str, set[str]]:
    return {role: set(whole[role]) & set(found) for role, found in observed.items()}


def _table(observed: Mapping[str, Mapping[str, set[bool]]]) -> str:
    asked = {permission for found in observed.values() for permission in found}
    return f"\n\nWhat the API was found to allow, of what it asks so far:\n{drawn(_held(observed), asked)}\n"


# ── and through /v2 ─────────────────────────────────────────────────────────────────────────────────────


def expected_of_registry(row: RegistryRow, who: Somebody) -> int:
    if who.token:
        # It is the administrator's, for one repository of one project.
        return row.ok
    if who.dead:
        return 401
    action = Action(row.action)
    may = allows(who.here, action)
    if action is Action.DELETE and "manifests" in row.path:
        # By tag: whoever may delete the tag.
        may = may or "tag:delete" in who.here
    if may:
        return row.ok
    if who.anonymous:
        return 401
    # Whoever may not even pull does not learn what is there; a refusal to push says nothing of that.
    hidden = action is Action.PULL or (action is Action.DELETE and not allows(who.here, Action.PULL))
    return 404 if hidden else 403


async def test_R20_everybody_gets_through_the_registry_protocol_what_they_may(stage: Stage) -> None:
    wrong = []
    for row in REGISTRY_ROWS:
        for who in EVERYBODY:
            target, body, headers = await registry_request(row, stage, who)
            answer = await stage.ask(who, row.method, target, body, headers)
            wanted = expected_of_registry(row, who)
            if answer.status != wanted:
                wrong.append(f"{row.method} {row.path}: {who.name} gets {answer.status}, not {wanted}")
    assert not wrong, "\n".join(["", *wrong])
