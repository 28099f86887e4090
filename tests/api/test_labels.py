"""Labels through the API."""

from __future__ import annotations

import pytest
from tests.api.projects import API, add_member, send
from tests.registry.actors import Actor
from tests.registry.registries import Registry

pytestmark = pytest.mark.anyio


async def number_of(registry: Registry, project: str) -> int:
    return int(str(await registry.scalar("SELECT id FROM projects WHERE name = :p", p=project)))


async def make_label(actor: Actor, name: str, project: int | None = None, **more: object) -> int:
    place = {"scope": "g"} if project is None else {"scope": "p", "project_id": project}
    answer = await send(actor, "POST", "/labels", {"name": name, **place, **more})
    assert answer.status == 201, answer
    return int(answer["location"].removeprefix(f"{API}/labels/"))


async def test_a_label_of_the_registry_is_made_by_administrators_and_seen_by_all(registry: Registry) -> None:
    label = await make_label(registry.root, "old", color="#0065AB", description="no more", project_id=0)
    found = (await registry.anon.get(f"{API}/labels?scope=g")).json
    assert [(entry["id"], entry["name"], entry["color"], entry["scope"]) for entry in found] == [
        (label, "old", "#0065AB", "g")
    ]
    assert "project_id" not in found[0]
    for actor, status in ((registry.anon, 401), (registry.alice, 403)):
        assert (await send(actor, "POST", "/labels", {"name": "x", "scope": "g"})).status == status
        assert (await send(actor, "PUT", f"/labels/{label}", {"name": "x"})).status == status
        assert (await send(actor, "DELETE", f"/labels/{label}")).status == status


async def test_a_label_of_a_project_is_its_own(registry: Registry) -> None:
    a, b = await number_of(registry, "a"), await number_of(registry, "b")
    label = await make_label(registry.alice, "done", a)
    await make_label(registry.bob, "done", b)
    assert (await registry.alice.get(f"{API}/labels/{label}")).json["project_id"] == a
    listed = await registry.alice.get(f"{API}/labels?scope=p&project_id={a}&name=DON")
    assert [entry["id"] for entry in listed.json] == [label]
    assert (await registry.alice.get(f"{API}/labels?scope=p&project_id={b}")).status == 404
    assert (await registry.anon.get(f"{API}/labels?scope=p&project_id={a}")).status == 401


async def test_R2_a_label_of_another_project_is_no_label(registry: Registry) -> None:
    label = await make_label(registry.bob, "theirs", await number_of(registry, "b"))
    for method in ("GET", "PUT", "DELETE"):
        hidden = await send(registry.alice, method, f"/labels/{label}", {"name": "mine"})
        missing = await send(registry.alice, method, "/labels/999999", {"name": "mine"})
        assert hidden.status == missing.status == 404
        assert hidden.body.replace(str(label).encode(), b"") == missing.body.replace(b"999999", b"")
    assert (await registry.bob.get(f"{API}/labels/{label}")).json["name"] == "theirs"


async def test_R3_guests_read_labels_and_maintainers_change_them(registry: Registry) -> None:
    a = await number_of(registry, "a")
    label = await make_label(registry.alice, "done", a)
    await add_member(registry.alice, "a", "bob", 3)
    await add_member(registry.alice, "a", "mallory", 4)
    assert (await registry.bob.get(f"{API}/labels/{label}")).status == 200
    assert (await send(registry.bob, "PUT", f"/labels/{label}", {"name": "x"})).status == 403
    assert (
        await send(registry.mallory, "PUT", f"/labels/{label}", {"name": "x", "color": "#fff"})
    ).status == 200
    assert (await registry.bob.get(f"{API}/labels/{label}")).json["name"] == "x"


async def test_a_name_is_used_once_in_each_place(registry: Registry) -> None:
    a = await number_of(registry, "a")
    for actor, project in ((registry.root, None), (registry.alice, a)):
        await make_label(actor, "one", project)
        other = await make_label(actor, "two", project)
        place = {"scope": "g"} if project is None else {"scope": "p", "project_id": project}
        assert (await send(actor, "POST", "/labels", {"name": "one", **place})).status == 409
        assert (await send(actor, "PUT", f"/labels/{other}", {"name": "one"})).status == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "scope": "q"},
        {"name": "x", "scope": "p"},
        {"name": "", "scope": "g"},
        {"name": "  ", "scope": "g"},
        {"name": "x" * 129, "scope": "g"},
        {"name": "a\nb", "scope": "g"},
        {"name": "x", "scope": "g", "color": "red;background:url(x)"},
        {"name": "x", "scope": "g", "color": "#12345"},
        {"name": "x", "scope": "g", "description": "d" * 1001},
    ],
)
async def test_a_label_that_cannot_be_is_refused(registry: Registry, body: object) -> None:
    assert (await send(registry.root, "POST", "/labels", body)).status == 400


async def test_the_color_that_terraform_sends_for_none_is_kept(registry: Registry) -> None:
    label = await make_label(registry.root, "x", color="false", deleted=False, id=0)
    assert (await registry.root.get(f"{API}/labels/{label}")).json["color"] == "false"


async def test_a_label_stays_where_it_is(registry: Registry) -> None:
    a, b = await number_of(registry, "a"), await number_of(registry, "b")
    label = await make_label(registry.alice, "x", a)
    body = {"name": "y", "scope": "g", "project_id": b, "id": 7}
    assert (await send(registry.alice, "PUT", f"/labels/{label}", body)).status == 200
    found = (await registry.alice.get(f"{API}/labels/{label}")).json
    assert (found["id"], found["scope"], found["project_id"]) == (label, "p", a)


async def test_a_scope_is_asked_for(registry: Registry) -> None:
    for query in ("", "?scope=x", "?scope=p", "?scope=p&project_id=0"):
        assert (await registry.root.get(f"{API}/labels{query}")).status == 400


async def test_a_deleted_label_is_told_and_recorded(registry: Registry) -> None:
    label = await make_label(registry.root, "x")
    assert (await send(registry.root, "DELETE", f"/labels/{label}")).status == 200
    assert (await registry.root.get(f"{API}/labels/{label}")).status == 404
    kinds = await registry.sql("SELECT kind FROM events WHERE kind LIKE 'label.%' ORDER BY id")
    assert [kind for (kind,) in kinds] == ["label.created", "label.deleted"]
    assert await registry.scalar("SELECT count(*) FROM audit_log WHERE resource_type = 'label'") == 2
