"""Network rules: set through the API, and kept at every door."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.api.projects import API, add_member, send
from tests.registry.actors import Actor, basic
from tests.registry.asgi import Answer
from tests.registry.registries import Registry

from roadstead.identity.principals import OPERATOR

pytestmark = pytest.mark.anyio

# Where requests of these tests come from, unless they say otherwise.
HERE = "192.0.2.7"
OPEN: dict[str, list[str]] = {"registry": [], "api": [], "portal": []}


async def set_rules(actor: Actor, where: str, query: str = "", **rules: Sequence[str]) -> Answer:
    return await send(actor, "PUT", f"{where}/network-rules{query}", rules)


async def get_from(actor: Actor, address: str, target: str) -> Answer:
    return await actor.request("GET", target, client=address)


# ── setting them ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["/system", "/projects/a"])
async def test_rules_are_kept_and_shown(registry: Registry, where: str) -> None:
    assert (await registry.root.get(f"{API}{where}/network-rules")).json == OPEN
    answer = await set_rules(registry.root, where, api=["192.0.2.0/24", "fd00::/8"], registry=["10.0.0.1"])
    assert (answer.status, answer.body) == (200, b"")
    assert (await registry.root.get(f"{API}{where}/network-rules")).json == {
        "registry": ["10.0.0.1/32"],
        "api": ["192.0.2.0/24", "fd00::/8"],
        "portal": [],
    }
    assert (await set_rules(registry.root, where)).status == 200
    assert (await registry.root.get(f"{API}{where}/network-rules")).json == OPEN
    assert await registry.scalar("SELECT count(*) FROM events WHERE kind = 'network-rules.changed'") == 2
    assert await registry.scalar("SELECT count(*) FROM audit_log WHERE resource_type = 'network-rule'") == 2


@pytest.mark.parametrize(
    "network", ["", "10.0.0.1/8", "example.com", "10.0.0.0/33", "any", "1", "::/0/0", "é"]
)
async def test_what_is_no_network_is_refused(registry: Registry, network: str) -> None:
    for where in ("/system", "/projects/a"):
        assert (await set_rules(registry.root, where, registry=[network])).status == 400


async def test_too_many_networks_are_refused(registry: Registry) -> None:
    many = [f"10.{n // 256}.{n % 256}.0/24" for n in range(501)]
    assert (await set_rules(registry.root, "/projects/a", registry=many, portal=many)).status == 400


@pytest.mark.parametrize("where", ["/system", "/projects/a"])
async def test_whoever_would_shut_themselves_out_is_warned_first(registry: Registry, where: str) -> None:
    answer = await set_rules(registry.root, where, api=["10.0.0.0/8"])
    assert (answer.status, answer.codes) == (412, ["PRECONDITION"])
    entry = answer.json["errors"][0]
    assert HERE in entry["message"]
    assert "force=true" in entry["message"]
    assert (await registry.root.get(f"{API}{where}/network-rules")).json == OPEN
    # Another door is no danger.
    assert (await set_rules(registry.root, where, registry=["10.0.0.0/8"])).status == 200
    assert (await set_rules(registry.root, where, "?force=true", api=["10.0.0.0/8"])).status == 200
    shut = await registry.root.get(f"{API}{where}/network-rules")
    assert (shut.status, shut.codes) == (403, ["FORBIDDEN"])
    assert (await get_from(registry.root, "10.1.2.3", f"{API}{where}/network-rules")).status == 200


async def test_an_operator_is_never_shut_out(registry: Registry) -> None:
    assert (await set_rules(registry.root, "/system", "?force=true", api=["10.0.0.0/8"])).status == 200
    rules = registry.parts.services.network_rules
    assert (await rules.system(OPERATOR))["api"]
    await rules.replace_system(OPERATOR, {"api": ["10.9.9.9"]})
    await rules.replace_system(OPERATOR, {})
    assert (await registry.root.get(f"{API}/projects/a")).status == 200


async def test_R3_only_administrators_set_rules(registry: Registry) -> None:
    await add_member(registry.alice, "a", "bob", 4)
    for actor, project, system in (
        (registry.anon, 401, 401),
        (registry.mallory, 404, 403),
        (registry.bob, 403, 403),
        (registry.alice, 200, 403),
    ):
        assert (await set_rules(actor, "/projects/a")).status == project
        assert (await set_rules(actor, "/system")).status == system
    assert (await registry.bob.get(f"{API}/projects/a/network-rules")).status == 200
    assert (await registry.alice.get(f"{API}/system/network-rules")).status == 403


# ── keeping them ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_project_s_rules_count_for_whoever_pulls_and_pushes(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    blob = await registry.alice.push_blob("a/app", b"blob")
    await set_rules(registry.alice, "/projects/a", registry=["10.0.0.0/8"])
    for path in (
        f"/v2/a/app/manifests/{digest}",
        f"/v2/a/app/blobs/{blob}",
        "/v2/a/app/tags/list",
        f"/v2/a/app/referrers/{digest}",
    ):
        for person in (registry.alice, registry.root):
            refused = await person.get(path)
            assert (refused.status, refused.codes) == (403, ["DENIED"]), path
            assert HERE in refused.json["errors"][0]["message"]
        assert (await get_from(registry.alice, "10.2.3.4", path)).status == 200
        # Who may not know of the project learns nothing of its rules.
        assert (await registry.mallory.get(path)).status == 404
        assert (await registry.anon.get(path)).status == 401
    assert (await registry.alice.start("a/app")).status == 403
    assert (await registry.alice.put_manifest("a/app", "2", b"{}")).status == 403
    assert (await registry.alice.delete(f"/v2/a/app/manifests/{digest}")).status == 403
    # The API has rules of its own.
    assert (await registry.alice.get(f"{API}/projects/a")).status == 200


async def test_a_token_from_an_allowed_address_is_no_way_in_from_another(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    token = await registry.alice.with_token("repository:a/app:pull")
    await set_rules(registry.alice, "/projects/a", registry=["10.0.0.0/8"])
    assert (await token.pull("a/app", digest)).status == 403
    assert (await get_from(token, "10.0.0.1", f"/v2/a/app/manifests/{digest}")).status == 200


async def test_a_mount_from_a_project_whose_rules_shut_the_caller_out_is_an_upload(
    registry: Registry,
) -> None:
    blob = await registry.alice.push_blob("a/app", b"blob")
    await set_rules(registry.alice, "/projects/a", registry=["10.0.0.0/8"])
    assert (await registry.alice.mount("pub/app", blob, "a/app")).status == 202
    assert (await registry.alice.mount("pub/app", blob)).status == 202
    mounted = await registry.alice.request(
        "POST", f"/v2/pub/app/blobs/uploads/?mount={blob}&from=a/app", client="10.0.0.1"
    )
    assert mounted.status == 201


async def test_the_catalog_and_lists_leave_out_what_the_address_may_not_reach(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    await registry.alice.push_image("pub/app", "1")
    await set_rules(registry.root, "/projects/a", registry=["10.0.0.0/8"])
    assert (await registry.alice.get("/v2/_catalog")).json["repositories"] == ["pub/app"]
    assert (await get_from(registry.alice, "10.0.0.1", "/v2/_catalog")).json["repositories"] == [
        "a/app",
        "pub/app",
    ]
    await set_rules(registry.root, "/projects/a", "?force=true", api=["10.0.0.0/8"])
    for query in ("", "?name=a", "?q=name=a"):
        listed = await registry.alice.get(f"{API}/projects{query}")
        assert "a" not in [project["name"] for project in listed.json]
        assert listed["x-total-count"] == str(len(listed.json))
        near = await get_from(registry.alice, "10.0.0.1", f"{API}/projects{query}")
        assert "a" in [project["name"] for project in near.json]


async def test_R13_robots_and_counts_are_not_told_to_an_address_that_is_shut_out(registry: Registry) -> None:
    await registry.alice.push_image("a/app", "1")
    number = (await registry.alice.get(f"{API}/projects/a")).json["project_id"]
    block = {"kind": "project", "namespace": "a", "access": [{"resource": "repository", "action": "pull"}]}
    body = {"name": "ci", "level": "project", "duration": 30, "permissions": [block]}
    made = await send(registry.alice, "POST", "/robots", body)
    robot = f"{API}/robots/{made.json['id']}"
    await set_rules(registry.root, "/projects/a", "?force=true", api=["10.0.0.0/8"])
    for path in (robot, f"{API}/robots?q=Level=project,ProjectID={number}"):
        far, near = await registry.alice.get(path), await get_from(registry.alice, "10.0.0.1", path)
        assert (far.status, near.status) == (403, 200), path
    # Who may not know of the project learns nothing of its rules.
    assert (await registry.mallory.get(robot)).status == 404
    for address, expected in ((HERE, (0, 0)), ("10.0.0.1", (1, 1))):
        counts = (await get_from(registry.alice, address, f"{API}/statistics")).json
        assert (counts["private_project_count"], counts["private_repo_count"]) == expected


async def test_the_registry_s_rules_come_before_everything(registry: Registry) -> None:
    digest = await registry.alice.push_image("pub/app", "1")
    await set_rules(registry.root, "/system", registry=["10.0.0.0/8"])
    paths = [f"/v2/pub/app/manifests/{digest}", "/service/token?service=roadstead", "/v2/", "/v2/_catalog"]
    for person in (registry.anon, registry.alice, registry.root):
        for path in paths:
            far, near = await person.get(path), await get_from(person, "10.0.0.1", path)
            asked_to_sign_in = person.authorization is None and path in {"/v2/", "/v2/_catalog"}
            expected = (401, 401) if asked_to_sign_in else (403, 200)
            assert (far.status, near.status) == expected, (person.name, path)
    assert (await registry.alice.start("a/app")).status == 403
    assert (await registry.alice.get(f"{API}/projects")).status == 200


async def test_the_registry_s_rules_are_kept_by_the_api(registry: Registry) -> None:
    await set_rules(registry.root, "/system", "?force=true", api=["10.0.0.0/8"])
    for person in (registry.anon, registry.alice, registry.root):
        for path in ("/projects", "/projects/pub", "/labels?scope=g", "/projects/pub/summary"):
            assert (await person.get(API + path)).status == 403, (person.name, path)
            assert (await get_from(person, "10.0.0.1", API + path)).status == 200, (person.name, path)
    # Asked for a name and a password, nobody learns from the answer whether they were right.
    wrong = Actor(registry.app, "", basic("alice", "wrong"))
    assert (await wrong.get(f"{API}/projects")).status in {401, 403}


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP"]
)
async def test_nobody_forges_an_address(registry: Registry, header: str) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    await set_rules(registry.root, "/projects/a", "?force=true", registry=["10.0.0.0/8"], api=["10.0.0.0/8"])
    value = "for=10.0.0.1" if header == "Forwarded" else "10.0.0.1"
    for path in (f"/v2/a/app/manifests/{digest}", f"{API}/projects/a"):
        answer = await registry.alice.request("GET", path, headers={header: value})
        assert answer.status == 403


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.0.0.1", 200),
        ("::ffff:10.0.0.1", 200),
        ("fd00::1", 200),
        ("fe80::1", 403),
        ("11.0.0.1", 403),
        ("", 403),
        ("unix", 403),
    ],
)
async def test_addresses_of_both_families_are_known(registry: Registry, address: str, status: int) -> None:
    await set_rules(registry.root, "/projects/a", "?force=true", api=["10.0.0.0/8", "fd00::/8"])
    assert (await get_from(registry.alice, address, f"{API}/projects/a")).status == status


async def test_a_changed_rule_counts_with_the_next_request(registry: Registry) -> None:
    digest = await registry.alice.push_image("a/app", "1")
    assert (await registry.alice.pull("a/app", digest)).status == 200
    await set_rules(registry.alice, "/projects/a", registry=["10.0.0.0/8"])
    assert (await registry.alice.pull("a/app", digest)).status == 403
    await set_rules(registry.alice, "/projects/a", registry=["10.0.0.0/8", HERE])
    assert (await registry.alice.pull("a/app", digest)).status == 200
