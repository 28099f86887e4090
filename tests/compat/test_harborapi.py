"""PyPI's client of Harbor's API, against a running server: each of its methods, and what it gets here."""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from harborapi import HarborAsyncClient
from harborapi.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PreconditionFailed,
    StatusError,
    Unauthorized,
)
from harborapi.models import (
    Access,
    Configurations,
    CVEAllowlist,
    CVEAllowlistItem,
    ImmutableRule,
    ImmutableSelector,
    Label,
    Project,
    ProjectMember,
    ProjectMetadata,
    ProjectReq,
    QuotaUpdateReq,
    Repository,
    RobotCreate,
    RobotPermission,
    RoleRequest,
    Schedule,
    ScheduleObj,
    Tag,
    Type,
    UserCreationReq,
    UserEntity,
    UserGroup,
    UserProfile,
)
from pydantic import BaseModel
from tests.compat.pushing import API, Pusher, unused

from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry

pytestmark = pytest.mark.anyio

SECRET = "Correct-Horse-10-Battery"
# Methods of features that are not built yet: they get 501, and become rows of their own with the feature.
_NOT_BUILT = """
    get_gc_schedule create_gc_schedule update_gc_schedule get_gc_jobs get_gc_log get_gc_job
    get_scan_all_metrics update_scan_all_schedule create_scan_all_schedule get_scan_all_schedule stop_scan_all_job
    stop_replication get_replication get_replication_tasks create_replication_policy get_replication_policies
    start_replication get_replications update_replication_policy get_replication_policy delete_replication_policy
    get_replication_task_log
    get_scan_exports get_scan_export export_scan_data download_scan_export
    get_webhook_jobs create_webhook_policy get_webhook_policies get_webhook_supported_events
    get_webhook_policy_last_trigger update_webhook_policy get_webhook_policy delete_webhook_policy
    scan_artifact get_artifact_scan_report_log stop_artifact_scan
    ping_ldap search_ldap_groups search_ldap_users import_ldap_users
    check_registry_status get_registry_adapters get_registry_info get_registry_providers update_registry get_registry
    delete_registry create_registry get_registries
    get_retention_policy create_retention_policy update_retention_policy delete_retention_policy get_retention_tasks
    get_retention_metadata get_retention_execution_task_log get_retention_executions start_retention_execution
    stop_retention_execution
    create_scanner get_scanners update_scanner get_scanner delete_scanner set_default_scanner ping_scanner_adapter
    get_scanner_metadata
    test_oidc
"""
# What Harbor itself has removed since: there is nothing at the path.
REMOVED = ["get_robots_v1", "create_robot_v1", "get_robot_v1", "update_robot_v1", "delete_robot_v1"]
NOT_BUILT = _NOT_BUILT.split()


@pytest.fixture
def push(running: RunningRegistry) -> Iterator[Pusher]:
    with Pusher(running) as pusher:
        yield pusher


def client_of(running: RunningRegistry, username: str, secret: str) -> HarborAsyncClient:
    client = HarborAsyncClient(url=f"{running.url}{API}", username=username, secret=secret)
    # A server that does not answer fails the test now, not after a minute of trying.
    client.retry = None
    return client


@pytest.fixture
async def harbor(anyio_backend: str, running: RunningRegistry) -> AsyncIterator[HarborAsyncClient]:
    client = client_of(running, ADMIN, PASSWORD)
    yield client
    await client.client.aclose()


@pytest.fixture
async def project(harbor: HarborAsyncClient) -> str:
    name = unused("project")
    await harbor.create_project(ProjectReq(project_name=name, metadata=ProjectMetadata(public="false")))
    return name


def number_in(location: str) -> int:
    return int(location.rpartition("/")[2])


async def new_user(harbor: HarborAsyncClient) -> tuple[str, int]:
    name = unused("person")
    wanted = UserCreationReq(
        username=name, password=SECRET, email=f"{name}@example.com", realname=name.title()
    )
    return name, number_in(await harbor.create_user(wanted))


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────


def methods() -> set[str]:
    return {
        name
        for name, member in vars(HarborAsyncClient).items()
        if inspect.iscoroutinefunction(member)
        and not name.startswith("_")
        # The verbs that the others are made of.
        and name not in {"get", "get_text", "get_file", "post", "put", "patch", "delete", "head"}
    }


def driven() -> dict[str, set[str]]:
    """Method of the client → the tests here that call it."""
    found: dict[str, set[str]] = {}
    for function in ast.parse(Path(__file__).read_text()).body:
        if isinstance(function, ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    found.setdefault(node.func.attr, set()).add(function.name)
    return found


def test_every_method_of_the_client_is_driven_or_said_to_be_missing() -> None:
    tests = driven()
    missing = {name for name in methods() if name not in tests}
    assert sorted(missing) == sorted([*NOT_BUILT, *REMOVED])
    for name in sorted(methods()):
        result = ", ".join(sorted(tests.get(name, ()))) or ("501" if name in NOT_BUILT else "404")
        print(f"{name:40} {result}")  # noqa: T201 - the table is for people


def arguments(method: Any) -> list[Any]:
    """Something for each parameter that has no default."""
    hints = typing.get_type_hints(method)
    return [
        _something(hints[name])
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]


def _something(kind: Any) -> Any:
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return kind.model_construct()
    if typing.get_origin(kind) is list:
        return []
    return 1 if kind is int or int in typing.get_args(kind) else "library"


@pytest.mark.parametrize("name", NOT_BUILT)
async def test_what_is_not_built_says_so(harbor: HarborAsyncClient, name: str) -> None:
    method = getattr(harbor, name)
    # This one gives whatever came for the file, and these want an argument that has a default.
    if name == "download_scan_export":
        assert b"UNSUPPORTED" in bytes(await method(1))
        return
    more = {"group_name": "developers"} if name == "search_ldap_groups" else {}
    with pytest.raises(StatusError) as caught:
        await method(*arguments(method), **more)
    assert caught.value.status_code == 501
    assert [error.code for error in caught.value.errors] == ["UNSUPPORTED"]


@pytest.mark.parametrize("name", REMOVED)
async def test_what_harbor_has_removed_is_not_there(harbor: HarborAsyncClient, name: str) -> None:
    method = getattr(harbor, name)
    with pytest.raises(StatusError) as caught:
        await method(*arguments(method))
    assert caught.value.status_code in {404, 405, 501}


# ── the registry as a whole ─────────────────────────────────────────────────────────────────────────────


async def test_the_registry_tells_of_itself(harbor: HarborAsyncClient) -> None:
    assert await harbor.ping() == "Pong"
    health = await harbor.health_check()
    assert health.status == "healthy"
    assert health.components
    info = await harbor.get_system_info()
    assert info.harbor_version
    assert info.auth_mode == "db_auth"
    volumes = await harbor.get_system_volume_info()
    assert volumes.storage
    assert volumes.storage[0].total
    statistics = await harbor.get_statistics()
    assert statistics.total_project_count
    with pytest.raises(NotFound):
        await harbor.get_icon("sha256:" + "0" * 64)
    await harbor.get_system_certificate()


async def test_permissions_are_listed(harbor: HarborAsyncClient) -> None:
    found = await harbor.get_permissions()
    assert found.system
    assert found.project
    assert {"repository"} <= {permission.resource for permission in found.project}


async def test_configurations_are_read_and_changed(harbor: HarborAsyncClient) -> None:
    before = await harbor.get_config()
    assert before.auth_mode is not None
    assert before.auth_mode.value == "db_auth"
    await harbor.update_config(Configurations(session_timeout=61))
    after = await harbor.get_config()
    assert after.session_timeout is not None
    assert after.session_timeout.value == 61
    with pytest.raises(BadRequest):
        await harbor.update_config(Configurations(session_timeout=-1))


async def test_the_list_of_tolerated_vulnerabilities_is_kept(harbor: HarborAsyncClient) -> None:
    items = [CVEAllowlistItem(cve_id="CVE-2026-2"), CVEAllowlistItem(cve_id="CVE-2026-1")]
    await harbor.update_cve_allowlist(CVEAllowlist(items=items))
    found = await harbor.get_cve_allowlist()
    assert [item.cve_id for item in found.items or []] == ["CVE-2026-2", "CVE-2026-1"]
    await harbor.update_cve_allowlist(CVEAllowlist(items=[]))
    assert (await harbor.get_cve_allowlist()).items == []


async def test_a_search_finds_projects_and_repositories(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    push.image(f"{project}/some/app", "1")
    found = await harbor.search(project)
    assert [entry.name for entry in found.project or []] == [project]
    assert [entry.repository_name for entry in found.repository or []] == [f"{project}/some/app"]


# ── projects ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_project_lives_and_dies(harbor: HarborAsyncClient) -> None:
    name = unused("project")
    assert not await harbor.project_exists(name)
    location = await harbor.create_project(
        ProjectReq(project_name=name, metadata=ProjectMetadata(public="true"), storage_limit=1024)
    )
    assert location.endswith(f"/projects/{name}")
    assert await harbor.project_exists(name)
    with pytest.raises(Conflict):
        await harbor.create_project(ProjectReq(project_name=name))
    found = await harbor.get_project(name)
    assert found.metadata is not None
    assert (found.name, found.metadata.public, found.repo_count) == (name, "true", 0)
    assert found.project_id is not None
    assert (await harbor.get_project(found.project_id)).name == name
    await harbor.update_project(name, ProjectReq(metadata=ProjectMetadata(public="false")))
    changed = await harbor.get_project(name)
    assert changed.metadata is not None
    assert changed.metadata.public == "false"
    summary = await harbor.get_project_summary(name)
    assert summary.repo_count == 0
    assert summary.quota is not None
    assert summary.quota.hard is not None
    assert (summary.quota.hard.root or {})["storage"] == 1024
    assert (await harbor.get_project_deletable(name)).deletable
    await harbor.delete_project(name)
    with pytest.raises(NotFound):
        await harbor.get_project(name)


async def test_projects_are_listed_in_pages_filtered_and_sorted(harbor: HarborAsyncClient) -> None:
    prefix = unused("listed")
    names = [f"{prefix}-{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        metadata = ProjectMetadata(public="true" if number % 2 else "false")
        await harbor.create_project(ProjectReq(project_name=name, metadata=metadata))

    def of(found: list[Project]) -> list[str | None]:
        return [entry.name for entry in found]

    assert of(await harbor.get_projects(name=prefix)) == names
    assert of(await harbor.get_projects(name=prefix, page_size=5)) == names
    assert of(await harbor.get_projects(name=prefix, page=2, page_size=5)) == names[5:]
    assert of(await harbor.get_projects(name=prefix, page_size=5, limit=3)) == names[:3]
    assert of(await harbor.get_projects(query=f"name=~{prefix}", sort="-name")) == names[::-1]
    assert of(await harbor.get_projects(query=f"name={names[3]}")) == [names[3]]
    assert of(await harbor.get_projects(query=f"name={{{names[3]} {names[1]}}}")) == [names[1], names[3]]
    assert of(await harbor.get_projects(name=prefix, public=True)) == names[1::2]
    assert of(await harbor.get_projects(name=prefix, owner="nobody")) == []
    assert of(await harbor.get_projects(name=prefix, page=4)) == []
    assert of(await harbor.get_projects(name=prefix, with_detail=False)) == names


async def test_a_project_whose_name_is_a_number_is_named(harbor: HarborAsyncClient) -> None:
    await harbor.create_project(ProjectReq(project_name="987654"))
    assert (await harbor.get_project("987654")).name == "987654"
    with pytest.raises(NotFound):
        await harbor.get_project(987654)


async def test_metadata_are_set_one_by_one(harbor: HarborAsyncClient, project: str) -> None:
    await harbor.set_project_metadata(project, ProjectMetadata(auto_scan="true"))
    with pytest.raises(Conflict):
        await harbor.set_project_metadata(project, ProjectMetadata(auto_scan="true"))
    assert (await harbor.get_project_metadata(project)).auto_scan == "true"
    await harbor.update_project_metadata_entry(project, "auto_scan", {"auto_scan": "false"})
    assert await harbor.get_project_metadata_entry(project, "auto_scan") == {"auto_scan": "false"}
    await harbor.delete_project_metadata_entry(project, "auto_scan")
    assert await harbor.get_project_metadata_entry(project, "auto_scan") == {}
    with pytest.raises(NotFound):
        await harbor.get_project_retention_id(project)


async def test_a_project_has_no_scanner_yet(harbor: HarborAsyncClient, project: str) -> None:
    with pytest.raises(NotFound):
        await harbor.get_project_scanner(project)
    for work in (
        harbor.get_project_scanner_candidates(project),
        harbor.set_project_scanner(project, "00000000-0000-0000-0000-000000000000"),
    ):
        with pytest.raises(StatusError) as caught:
            await work
        assert caught.value.status_code == 501


# ── members, users and groups ───────────────────────────────────────────────────────────────────────────


async def test_members_come_change_and_go(harbor: HarborAsyncClient, project: str) -> None:
    first, _ = await new_user(harbor)
    second, second_id = await new_user(harbor)
    group = unused("group")
    group_id = number_in(await harbor.create_usergroup(UserGroup(group_name=group, group_type=3)))
    location = await harbor.add_project_member(
        project, ProjectMember(role_id=3, member_user=UserEntity(username=first))
    )
    member = number_in(location)
    await harbor.add_project_member_user(project, second_id, 2)
    await harbor.add_project_member_group(project, group_id, 4)
    with pytest.raises(Conflict):
        await harbor.add_project_member_user(project, first, 2)
    with pytest.raises(NotFound):
        await harbor.add_project_member_user(project, "nobody-of-that-name", 2)
    found = {entry.entity_name: entry for entry in await harbor.get_project_members(project)}
    assert set(found) == {ADMIN, first, second, group}
    assert (found[group].entity_type, found[group].role_name) == ("g", "maintainer")
    assert [entry.id for entry in await harbor.get_project_members(project, entity_name=first)] == [member]
    await harbor.update_project_member_role(project, member, RoleRequest(role_id=1))
    assert (await harbor.get_project_member(project, member)).role_name == "projectAdmin"
    await harbor.remove_project_member(project, member)
    with pytest.raises(NotFound):
        await harbor.get_project_member(project, member)


async def test_users_come_change_and_go(harbor: HarborAsyncClient, running: RunningRegistry) -> None:
    name, number = await new_user(harbor)
    with pytest.raises(Conflict):
        await harbor.create_user(
            UserCreationReq(username=name, password=SECRET, email=f"{name}-2@example.com", realname="x")
        )
    found = await harbor.get_user(number)
    assert (found.username, found.email, found.sysadmin_flag) == (name, f"{name}@example.com", False)
    assert (await harbor.get_user_by_username(name)).user_id == number
    assert name in {entry.username for entry in await harbor.search_users_by_username(name)}
    assert [entry.username for entry in await harbor.get_users(query=f"username={name}")] == [name]
    await harbor.update_user(
        number, UserProfile(email=f"{name}@example.org", realname="Other", comment="word")
    )
    changed = await harbor.get_user(number)
    assert (changed.email, changed.realname, changed.comment) == (f"{name}@example.org", "Other", "word")
    await harbor.set_user_admin(number, True)
    assert (await harbor.get_user(number)).sysadmin_flag
    await harbor.set_user_admin(number, False)
    await harbor.set_user_password(number, "Another-Horse-11")
    theirs = client_of(running, name, SECRET)
    with pytest.raises(Unauthorized):
        await theirs.get_current_user()
    await theirs.client.aclose()
    await harbor.delete_user(number)
    with pytest.raises(NotFound):
        await harbor.get_user(number)


async def test_somebody_sees_themselves(harbor: HarborAsyncClient, running: RunningRegistry) -> None:
    name, number = await new_user(harbor)
    theirs = client_of(running, name, SECRET)
    assert (await theirs.get_current_user()).user_id == number
    await theirs.set_user_password(number, "Another-Horse-11", SECRET)
    await theirs.client.aclose()
    theirs = client_of(running, name, "Another-Horse-11")
    assert (await theirs.get_current_user()).username == name
    with pytest.raises(Forbidden):
        await theirs.get_users()
    with pytest.raises(Forbidden):
        await theirs.set_user_admin(number, True)
    with pytest.raises(StatusError):
        await theirs.set_user_cli_secret(number, SECRET)
    await theirs.client.aclose()


async def test_the_administrator_is_told_what_they_may(harbor: HarborAsyncClient, project: str) -> None:
    number = (await harbor.get_project(project)).project_id
    found = await harbor.get_current_user_permissions(f"/project/{number}", relative=True)
    assert {(entry.resource, entry.action) for entry in found} >= {
        ("repository", "push"),
        ("member", "create"),
    }


async def test_groups_come_change_and_go(harbor: HarborAsyncClient) -> None:
    name = unused("group")
    number = number_in(await harbor.create_usergroup(UserGroup(group_name=name, group_type=3)))
    with pytest.raises(Conflict):
        await harbor.create_usergroup(UserGroup(group_name=name, group_type=3))
    assert (await harbor.get_usergroup(number)).group_name == name
    assert [entry.group_name for entry in await harbor.get_usergroups(group_name=name)] == [name]
    assert [entry.id for entry in await harbor.search_usergroups(name)] == [number]
    await harbor.update_usergroup(number, UserGroup(group_name=f"{name}-renamed"))
    assert (await harbor.get_usergroup(number)).group_name == f"{name}-renamed"
    await harbor.delete_usergroup(number)
    with pytest.raises(NotFound):
        await harbor.get_usergroup(number)


# ── robots ──────────────────────────────────────────────────────────────────────────────────────────────


def pulls_and_pushes(place: str) -> RobotPermission:
    access = [Access(resource="repository", action="pull"), Access(resource="repository", action="push")]
    return RobotPermission(kind="project", namespace=place, access=access)


async def test_a_robot_of_a_project_works_until_it_is_gone(
    harbor: HarborAsyncClient, running: RunningRegistry, project: str, tmp_path: Path
) -> None:
    wanted = RobotCreate(name="ci", level="project", duration=-1, permissions=[pulls_and_pushes(project)])
    made = await harbor.create_robot(wanted, path=tmp_path / "robot.json")
    assert made.name == f"robot${project}+ci"
    assert made.id is not None
    assert made.secret is not None
    with Pusher(running, made.name, made.secret) as robot:
        robot.image(f"{project}/app", "1")
    number = (await harbor.get_project(project)).project_id
    listed = await harbor.get_robots(query=f"Level=project,ProjectID={number}")
    assert [(entry.name, entry.secret) for entry in listed] == [(made.name, None)]
    found = await harbor.get_robot(made.id)
    assert (found.name, found.level, found.duration, found.disable) == (made.name, "project", -1, False)
    assert found.permissions is not None
    assert [(block.kind, block.namespace) for block in found.permissions] == [("project", project)]
    # A secret of the caller's is not told back.
    assert not (await harbor.refresh_robot_secret(made.id, SECRET)).secret
    assert (await harbor.refresh_robot_secret(made.id, "")).secret
    found.disable, found.description = True, "resting"
    await harbor.update_robot(made.id, found)
    changed = await harbor.get_robot(made.id)
    assert (changed.disable, changed.description) == (True, "resting")
    await harbor.delete_robot(made.id)
    with pytest.raises(NotFound):
        await harbor.get_robot(made.id)


async def test_a_robot_of_the_system_administers(harbor: HarborAsyncClient, running: RunningRegistry) -> None:
    permissions = [
        RobotPermission(kind="system", namespace="/", access=[Access(resource="user", action="list")]),
        pulls_and_pushes("*"),
    ]
    name = unused("robot")
    made = await harbor.create_robot(
        RobotCreate(name=name, level="system", duration=30, permissions=permissions)
    )
    assert made.name == f"robot${name}"
    assert made.secret is not None
    theirs = client_of(running, made.name, made.secret)
    assert await theirs.get_users() is not None
    with pytest.raises(Forbidden):
        await theirs.get_config()
    await theirs.client.aclose()
    assert made.name in {entry.name for entry in await harbor.get_robots()}


# ── quotas ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_quotas_are_seen_and_set(harbor: HarborAsyncClient, push: Pusher, project: str) -> None:
    push.image(f"{project}/app", "1")
    number = (await harbor.get_project(project)).project_id
    [quota] = await harbor.get_quotas(reference="project", reference_id=str(number))
    assert quota.id is not None
    assert quota.used is not None
    assert (quota.used.root or {})["storage"] > 0
    await harbor.update_quota(quota.id, QuotaUpdateReq.model_validate({"hard": {"storage": 1_000_000}}))
    changed = await harbor.get_quota(quota.id)
    assert changed.hard is not None
    assert (changed.hard.root or {})["storage"] == 1_000_000
    with pytest.raises(BadRequest):
        await harbor.update_quota(quota.id, QuotaUpdateReq.model_validate({"hard": {"storage": 0}}))


# ── repositories, artifacts and tags ────────────────────────────────────────────────────────────────────


async def test_repositories_are_listed_described_and_deleted(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    names = [f"{project}/deep/er/app{number}" for number in range(3)]
    for name in names:
        push.image(name, "1")
    assert {entry.name for entry in await harbor.get_repositories(project)} == set(names)
    everywhere = await harbor.get_repositories(query=f"name=~{project}")
    assert {entry.name for entry in everywhere} == set(names)
    assert len(await harbor.get_repositories(project, page_size=2)) == 3
    found = await harbor.get_repository(project, "deep/er/app1")
    assert (found.name, found.artifact_count) == (names[1], 1)
    await harbor.update_repository(project, "deep/er/app1", Repository(description="some words"))
    assert (await harbor.get_repository(project, "deep/er/app1")).description == "some words"
    await harbor.delete_repository(project, "deep/er/app1")
    with pytest.raises(NotFound):
        await harbor.get_repository(project, "deep/er/app1")
    with pytest.raises(StatusError):
        await harbor.delete_project(project)


async def test_artifacts_are_listed_and_shown(harbor: HarborAsyncClient, push: Pusher, project: str) -> None:
    digests = [push.image(f"{project}/some/app", f"v{number}") for number in range(4)]
    found = await harbor.get_artifacts(project, "some/app", page_size=3, with_label=True, with_accessory=True)
    assert {entry.digest for entry in found} == set(digests)
    one = await harbor.get_artifact(project, "some/app", "v2", with_label=True)
    assert (one.digest, one.type) == (digests[2], "IMAGE")
    assert [tag.name for tag in one.tags or []] == ["v2"]
    assert (await harbor.get_artifact(project, "some/app", digests[2])).id == one.id
    tagged = await harbor.get_artifacts(project, "some/app", query="tags=v1")
    assert [entry.digest for entry in tagged] == [digests[1]]
    several = await harbor.get_artifacts(project, "some/app", query="tags={v1 v3}")
    assert {entry.digest for entry in several} == {digests[1], digests[3]}
    assert {entry.digest for entry in await harbor.get_project_artifacts(project)} == set(digests)
    history = await harbor.get_artifact_build_history(project, "some/app", "v1")
    assert [entry.created_by for entry in history] == ["COPY . /"]
    await harbor.delete_artifact(project, "some/app", "v1")
    with pytest.raises(NotFound):
        await harbor.get_artifact(project, "some/app", digests[1])


async def test_tags_come_and_go(harbor: HarborAsyncClient, push: Pusher, project: str) -> None:
    digest = push.image(f"{project}/app", "1")
    await harbor.create_artifact_tag(project, "app", "1", Tag(name="2"))
    with pytest.raises(Conflict):
        await harbor.create_artifact_tag(project, "app", digest, Tag(name="2"))
    tags = await harbor.get_artifact_tags(project, "app", digest, sort="name")
    assert [tag.name for tag in tags] == ["1", "2"]
    await harbor.delete_artifact_tag(project, "app", "1", "2")
    assert [tag.name for tag in await harbor.get_artifact_tags(project, "app", digest)] == ["1"]


async def test_an_artifact_is_copied_without_its_bytes(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    digest = push.image(f"{project}/app", "1")
    await harbor.copy_artifact(project, "other/app", f"{project}/app@{digest}")
    assert (await harbor.get_artifact(project, "other/app", digest)).digest == digest
    assert push.http.get(f"/v2/{project}/other/app/manifests/1").status_code == 200


async def test_what_is_said_of_an_artifact_is_its_accessory(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    digest = push.image(f"{project}/app", "1")
    manifest = push.http.get(f"/v2/{project}/app/manifests/{digest}")
    subject = {
        "mediaType": manifest.headers["content-type"],
        "digest": digest,
        "size": len(manifest.content),
    }
    signature = push.image(f"{project}/app", "sig", subject=subject, artifactType="application/x-signature")
    found = await harbor.get_artifact_accessories(project, "app", "1")
    assert [entry.digest for entry in found] == [signature]
    with pytest.raises(StatusError):
        await harbor.get_artifact_vulnerability_reports(project, "app", "1")


async def test_labels_are_made_and_put_on_artifacts(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    push.image(f"{project}/app", "1")
    number = (await harbor.get_project(project)).project_id
    name = unused("label")
    label = number_in(
        await harbor.create_label(Label(name=name, scope="p", project_id=number, color="#FF0000"))
    )
    with pytest.raises(Conflict):
        await harbor.create_label(Label(name=name, scope="p", project_id=number))
    world = number_in(await harbor.create_label(Label(name=unused("label"), scope="g")))
    assert [entry.id for entry in await harbor.get_labels(scope="p", project_id=number)] == [label]
    assert world in {entry.id for entry in await harbor.get_labels(scope="g", page_size=100)}
    await harbor.update_label(label, Label(name=f"{name}-2", color="#00FF00"))
    assert (await harbor.get_label(label)).name == f"{name}-2"
    await harbor.add_artifact_label(project, "app", "1", Label(id=label))
    labelled = await harbor.get_artifact(project, "app", "1", with_label=True)
    assert [entry.id for entry in labelled.labels or []] == [label]
    await harbor.delete_artifact_label(project, "app", "1", label)
    await harbor.delete_label(label)
    with pytest.raises(NotFound):
        await harbor.get_label(label)


async def test_rules_keep_tags_from_moving(harbor: HarborAsyncClient, push: Pusher, project: str) -> None:
    rule = ImmutableRule(
        action="immutable",
        template="immutable_template",
        tag_selectors=[ImmutableSelector(kind="doublestar", decoration="matches", pattern="v*")],
        scope_selectors={
            "repository": [ImmutableSelector(kind="doublestar", decoration="repoMatches", pattern="**")]
        },
    )
    number = number_in(await harbor.create_project_immutable_tag_rule(project, rule))
    push.image(f"{project}/app", "v1")
    with pytest.raises(StatusError) as caught:
        await harbor.delete_artifact_tag(project, "app", "v1", "v1")
    assert caught.value.status_code == 412
    [found] = await harbor.get_project_immutable_tag_rules(project)
    assert found.id == number
    found.disabled = True
    await harbor.update_project_immutable_tag_rule(project, number, found)
    assert [entry.disabled for entry in await harbor.get_project_immutable_tag_rules(project)] == [True]
    await harbor.enable_project_immutable_tagrule(project, number, True)
    assert not (await harbor.get_project_immutable_tag_rules(project))[0].disabled
    await harbor.delete_project_immutable_tag_rule(project, number)
    assert await harbor.get_project_immutable_tag_rules(project) == []


# ── the audit log ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_audit_log_tells_what_was_done(
    harbor: HarborAsyncClient, push: Pusher, project: str
) -> None:
    push.image(f"{project}/app", "1")
    entries = await harbor.get_audit_logs(query=f"resource=~{project}", page_size=100)
    assert ("project", "create") in {(entry.resource_type, entry.operation) for entry in entries}
    local = await harbor.get_project_logs(project)
    assert local
    assert {entry.username for entry in local} == {ADMIN}
    assert await harbor.get_audit_logs(query="username=nobody-of-that-name") == []


async def test_the_audit_log_is_purged_by_schedule_and_by_hand(harbor: HarborAsyncClient) -> None:
    keep = {"audit_retention_hour": 240_000, "include_event_types": "create_artifact", "dry_run": True}
    await harbor.create_purge_job_schedule(
        Schedule(schedule=ScheduleObj(type=Type("Daily"), cron="0 0 0 * * *"), parameters=keep)
    )
    found = await harbor.get_purge_job_schedule()
    assert found.schedule is not None
    assert str(found.schedule.type.value if found.schedule.type else "") == "Daily"
    await harbor.update_purge_job_schedule(
        Schedule(schedule=ScheduleObj(type=Type("Weekly"), cron="0 0 0 * * 0"), parameters=keep)
    )
    await harbor.update_purge_job_schedule(Schedule(schedule=ScheduleObj(type=Type("None")), parameters=keep))
    assert (await harbor.get_purge_job_schedule()).schedule is None
    await harbor.create_purge_job_schedule(
        Schedule(schedule=ScheduleObj(type=Type("Manual")), parameters=keep)
    )
    runs = await harbor.get_purge_job_history()
    assert runs
    assert runs[0].id is not None
    assert (await harbor.get_purge_job(runs[0].id)).job_name == "PURGE_AUDIT_LOG"
    # It may be over, or have said nothing yet.
    with suppress(NotFound, PreconditionFailed):
        await harbor.stop_purge_job(runs[0].id)
    with suppress(NotFound):
        await harbor.get_purge_job_log(runs[0].id)
