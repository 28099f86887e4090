"""Ids that are not the caller's, ids that are none, fields that are the server's, and keys that are nobody's.

All of it is made from the document that describes the API and from the rows of `permission_rows.py`: what is added
to the API is tried here too.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.registry.actors import Actor
from tests.security.permission_rows import API, PARAMS, ROWS, Maker, Row, request_for
from tests.security.stage import EVERYBODY, INSIDE, Somebody, Stage
from tests.security.test_permission_matrix import operations

from roadstead.db.tables import Base

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

# The administrator, for making requests that succeed, in the project `a`.
ROOT = EVERYBODY[0]
# The same in bob's project, where alice is nobody.
BOBS = replace(ROOT, place="b", path="only/b")
PROJECT_PARAMS = {"project_name", "project_name_or_id"}
# What every request may add to: who was refused, and what happened.
TOLD = {"audit_log", "events", "jobs", "sign_in_failures"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind is enough: nothing here depends on it."""
    return sqlite_url


@pytest.fixture
async def stage(anyio_backend: str, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage.open(tmp_path / "data", database_url) as opened:
        await opened.registry.root.push_image(f"b/{BOBS.path}", "1")
        await opened.registry.change("UPDATE users SET last_login_at = 4000000000000")
        yield opened


def rows(stage: Stage) -> Iterator[Row]:
    served = operations(stage.registry)
    yield from (row for row in ROWS if (row.method, row.path) in served)


def params_of(row: Row) -> list[str]:
    return re.findall(r"{(\w+)(?::\w+)?}", row.path)


async def everything(stage: Stage) -> dict[str, list[str]]:
    """Table → its rows as text."""
    return await stage.registry.parts.database.read(_everything)


def _everything(conn: Connection) -> dict[str, list[str]]:
    return {
        name: sorted(repr(tuple(row)) for row in conn.execute(text(f"SELECT * FROM {name}")))
        for name in Base.metadata.tables
        if name not in TOLD
    }


# ── R2: an id of somebody else's ────────────────────────────────────────────────────────────────────────


def foreign(row: Row) -> Iterator[tuple[str, Row]]:
    """The row with one of its ids from bob's project, each in turn."""
    for param in params_of(row):
        maker = row.params.get(param) or PARAMS[param]
        if param not in PROJECT_PARAMS:
            yield param, replace(row, params={**row.params, param: _from_b(maker)})


def _from_b(maker: Maker) -> Maker:
    async def made(stage: Stage, who: Somebody) -> object:
        return await maker(stage, BOBS)

    return made


# Parameters that name no row: every project has them, or none.
NO_ROW = {"meta_name", "addition", "digest"}
COPY = ("POST", f"{API}/projects/{{project_name}}/repositories/{{repository_name}}/artifacts")


async def test_R2_the_id_of_another_project_is_not_there_in_mine(stage: Stage) -> None:
    found = []
    for row in rows(stage):
        if not PROJECT_PARAMS & set(params_of(row)):
            continue
        for param, changed in foreign(row):
            # A tag's name is the same word everywhere, and a copy may make the repository that it goes to.
            if param in NO_ROW | {"reference", "tag_name"} or (row.method, row.path) == COPY:
                continue
            found += await refused(stage, changed, param, (stage.registry.alice, stage.registry.root))
    assert not found, "\n".join(["", *found])


async def test_R2_the_digest_of_another_project_is_not_there_in_mine(stage: Stage) -> None:
    digest = await stage.registry.root.push_image(f"b/{BOBS.path}", "theirs")

    async def theirs(stage: Stage, who: Somebody) -> object:
        return digest

    found = []
    for row in rows(stage):
        if "reference" in params_of(row):
            changed = replace(row, params={**row.params, "reference": theirs})
            found += await refused(stage, changed, "reference", (stage.registry.alice, stage.registry.root))
    assert not found, "\n".join(["", *found])


async def test_R2_the_id_of_a_thing_in_another_project_is_not_there(stage: Stage) -> None:
    found = []
    for row in rows(stage):
        if PROJECT_PARAMS & set(params_of(row)) or row.need.kind not in {"project", "repository"}:
            continue
        for param, changed in foreign(row):
            found += await refused(stage, changed, param, (stage.registry.alice,))
    assert not found, "\n".join(["", *found])


async def refused(stage: Stage, row: Row, param: str, actors: tuple[Actor, ...]) -> list[str]:
    """What went wrong: the answer must be 404, and every row as it was."""
    request = await request_for(row, stage, ROOT)
    before = await everything(stage)
    found = []
    for actor in actors:
        headers = {"Content-Type": "application/json"} if request.body else {}
        answer = await actor.request(row.method, request.target, request.body, headers)
        if answer.status != 404:
            found.append(f"{row} with a foreign {param}, as {actor.name}: {answer.status} {answer.body!r}")
    after = await everything(stage)
    found += [f"{row} with a foreign {param} changed {name}" for name in after if after[name] != before[name]]
    return found


# ── R16: an id that is none ─────────────────────────────────────────────────────────────────────────────

NO_IDS = ("0", "-1", "-0", str(2**63), str(2**63 - 1), str(2**64), "", "null", "me", "1.5", "1e3", "%00", "%20", "٣",
          "0x1", "--1", "true", "9" * 400)  # fmt: skip


async def test_R16_an_id_that_is_none_is_refused(stage: Stage) -> None:
    found = []
    for row in rows(stage):
        names = params_of(row)
        for param in names:
            if param in NO_ROW | {"tag_name"} or (row.method, row.path) == COPY:
                # A name of something that there may be, or that is made.
                continue
            request = await request_for(replace(row, params={**row.params, param: _marked}), stage, ROOT)
            before = await everything(stage)
            for number in NO_IDS:
                if number == "" and row.path.endswith("{" + param + "}"):
                    # That is the collection.
                    continue
                target = request.target.replace("MARKED", number).encode()
                headers = {"Content-Type": "application/json"} if request.body else {}
                answer = await stage.registry.root.request(row.method, target, request.body, headers)
                if answer.status not in {400, 404, 422}:
                    found.append(f"{row} with {param}={number[:30]!r}: {answer.status} {answer.body[:200]!r}")
            if await everything(stage) != before:
                found.append(f"{row} with {param} that is none changed something")
    assert not found, "\n".join(["", *found])


async def _marked(stage: Stage, who: Somebody) -> object:
    return "MARKED"


# ── R1: fields that are the server's ────────────────────────────────────────────────────────────────────

NUMBER, WORD, DAY = 424_242, "mass-assigned", "1999-09-09T09:09:09.000Z"
DAY_MS = 936_868_149_000
SERVER_OWNED: Mapping[str, object] = {
    **dict.fromkeys(
        (
            "id", "user_id", "owner_id", "project_id", "entity_id", "creator_ref", "creator_id", "account_id",
            "group_id", "repository_id", "artifact_id", "registry_id", "credential_epoch", "epoch", "expires_at",
            "charged", "repo_count", "pull_count", "artifact_count", "priority", "warned", "reserved", "role",
        ),
        NUMBER,
    ),
    **dict.fromkeys(
        (
            "owner_name", "password_hash", "secret", "salt", "kind", "creator_type", "place", "prefix", "level",
            "storage_key", "digest", "role_name", "entity_name", "entity_type", "username", "deed", "username",
        ),
        WORD,
    ),
    **dict.fromkeys(
        ("creation_time", "update_time", "created_at", "updated_at", "push_time", "pull_time", "last_login_at"),
        DAY,
    ),
    **dict.fromkeys(
        (
            "sysadmin_flag", "has_admin_role", "admin_role_in_auth", "admin", "editable", "visible", "disabled",
            "deleted", "immutable", "operator", "must_change", "deletion_protected", "public",
        ),
        True,
    ),
    "used": {"storage": NUMBER},
    "password_state": NUMBER,
}  # fmt: skip
FLAGS = (
    "SELECT count(*) FROM users WHERE admin",
    "SELECT count(*) FROM users WHERE disabled",
    "SELECT count(*) FROM projects WHERE public",
    "SELECT count(*) FROM projects WHERE deletion_protected",
)


def spellings(name: str) -> tuple[str, ...]:
    """As it is, and as other languages write it."""
    head, *tail = name.split("_")
    camel = head + "".join(part.capitalize() for part in tail)
    return name, camel, camel[0].upper() + camel[1:]


async def test_R1_no_body_sets_what_is_the_servers(stage: Stage) -> None:
    document = (await stage.registry.root.get(f"{API}/openapi.json")).json
    found = []
    for row in rows(stage):
        if row.body is None:
            continue
        asked = names_in(schema_of_body(document, row), document)
        extra = {
            spelling: value
            for name, value in SERVER_OWNED.items()
            if name not in asked
            for spelling in spellings(name)
        }
        found += await assigned(stage, row, extra)
    assert not found, "\n".join(["", *found])


async def assigned(stage: Stage, row: Row, extra: Mapping[str, object]) -> list[str]:
    """Whether any of these came to be: the request must do what it does without them."""
    request = await request_for(row, stage, ROOT)
    body = json.loads(request.body)
    if not isinstance(body, dict):
        return []
    flags = [await stage.registry.scalar(statement) for statement in FLAGS]
    sent = json.dumps(_nested(body, extra)).encode()
    headers = {"Content-Type": "application/json"}
    answer = await stage.registry.root.request(row.method, request.target, sent, headers)
    found = [] if answer.status == row.ok else [f"{row}: {answer.status} {answer.body!r}"]
    kept = await everything(stage)
    traces = (str(NUMBER), WORD, "1999", str(DAY_MS))
    found += [
        f"{row}: {name} has {line}"
        for name, lines in kept.items()
        for line in lines
        if any(trace in line for trace in traces)
    ]
    if [await stage.registry.scalar(statement) for statement in FLAGS] != flags:
        found.append(f"{row}: a flag was set")
    return found


def _nested(value: Any, extra: Mapping[str, object]) -> Any:
    """With these fields in the object, and in those within it whose keys are a schema's and not free."""
    if not isinstance(value, dict):
        return value
    inner = {key: _nested(part, extra) if key.startswith("member_") else part for key, part in value.items()}
    free = set(value) & {"auto_scan", "hard"}
    return {**(inner if free else {key: part for key, part in extra.items() if key not in value}), **inner}


def schema_of_body(document: Any, row: Row) -> Any:
    path = re.sub(r":\w+}", "}", row.path)
    operation = document["paths"].get(path, {}).get(row.method.lower(), {})
    content = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("schema", {})


def names_in(schema: Any, document: Any) -> set[str]:
    """Every property that a schema and what it refers to have."""
    found: set[str] = set()
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            reference = part.get("$ref")
            if reference and reference not in seen:
                seen.add(reference)
                waiting.append(document["components"]["schemas"][reference.rpartition("/")[2]])
            found |= set(part.get("properties", {}))
            waiting += part.values()
    return found


# ── R10: keys to filter and sort by ─────────────────────────────────────────────────────────────────────

COLUMNS = sorted({column.name for table in Base.metadata.tables.values() for column in table.columns})
# What no list may be asked about, whatever its shape says.
SECRET = {
    "password_hash",
    "credential_epoch",
    "storage_key",
    "hash_state",
    "payload",
    "value",
    "epoch",
    "claim",
}
RELATIONS = ("user__password_hash", "owner.password_hash", "users.password_hash", "passwordHash", "PasswordHash",
             "password_hash__icontains", "robot__secret", "creator__credential_epoch", "1", "*", "id;drop", "password",
             "secret", "salt")  # fmt: skip


# Keys that a list offers beyond what it shows, each of them known to be harmless: the row's path → keys.
_AUDIT = {"door", "outcome", "project_id"}
_REPOSITORY = {"path", "repository_id"}
OFFERED: Mapping[str, set[str]] = {
    f"{API}/projects": {"public"},
    f"{API}/projects/{{project_name}}/logs": _AUDIT,
    f"{API}/projects/{{project_name}}/repositories": _REPOSITORY,
    f"{API}/repositories": _REPOSITORY,
    f"{API}/audit-logs": _AUDIT,
    # It shows what the list shows, as lines.
    f"{API}/audit-logs/export": _AUDIT | {"id", "operation", "resource", "resource_type", "username"},
    f"{API}/quotas": {"reference", "reference_id"},
}


async def test_R10_a_list_is_filtered_and_sorted_by_what_it_shows_and_nothing_else(stage: Stage) -> None:
    document = (await stage.registry.root.get(f"{API}/openapi.json")).json
    found = []
    for row in rows(stage):
        operation = document["paths"].get(row.path, {}).get("get", {}) if row.method == "GET" else {}
        offered = {parameter["name"] for parameter in operation.get("parameters", [])}
        if not {"q", "sort"} & offered:
            continue
        shown = (names_in(operation["responses"]["200"], document) - SECRET) | OFFERED.get(row.path, set())
        target = (await request_for(replace(row, query=""), stage, ROOT)).target
        if "{project}" in row.query:
            # The same list as the row's without it.
            continue
        more = row.query.replace("?", "&")
        whole = await stage.registry.root.get(f"{target}?{more}")
        for key in [*COLUMNS, *RELATIONS]:
            for query in _queries(key, offered):
                answer = await stage.registry.root.get(f"{target}?{query}{more}")
                if answer.status == 400 or (key in shown and answer.status == 200):
                    continue
                if (answer.body, answer.get("x-total-count")) == (whole.body, whole.get("x-total-count")):
                    # A list that has an order of its own passes both over.
                    continue
                found.append(f"{row} with {query}: {answer.status}")
    assert not found, "\n".join(["", *found])


FORMS = ("%3D~a", "%3D1", "%3D%5B1~2%5D", "%3D%7Ba%20b%7D", "%3D%28a%20b%29")


def _queries(key: str, offered: set[str]) -> list[str]:
    """A filter, each time of another form, or a sort; of what is secret, both."""
    turn = sum(key.encode())
    queries = {"q": f"q={key}{FORMS[turn % len(FORMS)]}", "sort": f"sort={'-' * (turn % 2)}{key}"}
    found = [queries[name] for name in sorted(offered & set(queries))]
    return found if key in SECRET or key not in COLUMNS else [found[turn % len(found)]]


async def test_the_rows_have_a_maker_for_every_parameter(stage: Stage) -> None:
    for row in rows(stage):
        assert set(params_of(row)) <= set(PARAMS) | set(row.params), row


async def test_the_bobs_project_has_what_is_asked_for(stage: Stage) -> None:
    assert (await stage.registry.bob.pull(f"b/{BOBS.path}", "1")).status == 200
    assert (await stage.registry.alice.pull(f"b/{BOBS.path}", "1")).status == 404
    assert (await stage.registry.root.pull(f"a/{INSIDE}", "1")).status == 200
