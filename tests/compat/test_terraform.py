"""The calls of goharbor's Terraform provider, resource by resource: apply, plan again without a difference, change,
plan again without a difference, destroy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.compat.pushing import Pusher, unused
from tests.compat.terraform import (
    AuthConfiguration,
    Gone,
    Group,
    ImmutableTagRule,
    Label,
    Member,
    Project,
    Provider,
    PurgeAuditLog,
    Resource,
    RobotAccount,
    SecurityConfiguration,
    State,
    SystemConfiguration,
    User,
)

from roadstead.testing.running import ADMIN, PASSWORD, RunningRegistry

GIB = 2**30


@pytest.fixture
def provider(running: RunningRegistry) -> Iterator[Provider]:
    with httpx.Client(
        base_url=running.url, auth=(ADMIN, PASSWORD), timeout=30, follow_redirects=True, trust_env=False
    ) as http:
        yield Provider(http)


def project_of(**more: Any) -> State:
    return {
        "name": unused("terraformed"),
        "public": False,
        "vulnerability_scanning": True,
        "deployment_security": "",
        "cve_allowlist": [],
        "storage_quota": -1,
        **dict.fromkeys(Project.FLAGS, False),
        **more,
    }


@pytest.fixture
def project(provider: Provider) -> Project:
    made = Project(provider, project_of())
    made.create()
    return made


def converges(resource: Resource, **changes: Any) -> None:
    """Its whole life, and nothing left to do after each step of it."""
    resource.create()
    assert resource.difference() == {}
    resource.config.update(changes)
    if changes:
        assert set(resource.difference()) <= set(changes)
        resource.update()
        assert resource.difference() == {}
    resource.destroy()


def gone(resource: Resource) -> None:
    with pytest.raises(Gone):
        resource.read()


def test_a_project_converges(provider: Provider) -> None:
    resource = Project(provider, project_of(storage_quota=5 * GIB))
    converges(resource, public=True, vulnerability_scanning=False, storage_quota=7 * GIB)
    gone(resource)


def test_a_project_with_rules_about_vulnerabilities_converges(provider: Provider) -> None:
    config = project_of(deployment_security="critical", cve_allowlist=["CVE-2026-9", "CVE-2026-1"])
    converges(Project(provider, config), deployment_security="high", cve_allowlist=["CVE-2026-3"])


def test_a_project_is_destroyed_with_what_is_in_it(provider: Provider, running: RunningRegistry) -> None:
    resource = Project(provider, project_of())
    resource.create()
    with Pusher(running) as push:
        push.image(f"{resource.config['name']}/deep/er/app", "1")
    resource.destroy()
    gone(resource)


def test_the_data_of_a_project_are_found(provider: Provider, project: Project) -> None:
    found = provider.send("GET", f"/projects?name={project.config['name']}", 200).json()
    assert [entry["name"] for entry in found] == [project.config["name"]]
    # A project without a scanner says 404; anything else ends the provider's run.
    provider.send("GET", f"{project.id}/scanner", 404)
    names = {entry["name"] for entry in provider.pages("/projects")}
    assert project.config["name"] in names


def test_a_member_converges(provider: Provider, project: Project) -> None:
    user = User(provider, user_of())
    user.create()
    config = {"project_id": project.id, "user_name": user.config["username"], "role": "developer"}
    resource = Member(provider, config)
    converges(resource, role="maintainer")
    gone(resource)


def test_a_group_and_its_membership_converge(provider: Provider, project: Project) -> None:
    group = Group(provider, {"group_name": unused("team"), "group_type": 3})
    group.create()
    assert group.difference() == {}
    number = int(group.id.rpartition("/")[2])
    config = {
        "project_id": project.id,
        "group_id": number,
        "group_name": group.config["group_name"],
        "role": "guest",
    }
    converges(Member(provider, config), role="projectadmin")
    assert number in {entry["id"] for entry in provider.pages("/usergroups")}
    group.destroy()
    gone(group)


def user_of() -> State:
    name = unused("terra")
    return {
        "username": name,
        "password": "Correct-Horse-10",
        "full_name": "Terra Form",
        "email": f"{name}@example.com",
        "admin": False,
    }


def test_a_user_converges(provider: Provider) -> None:
    resource = User(provider, user_of())
    name = resource.config["username"]
    converges(
        resource, full_name="Other", email=f"{name}@example.org", admin=True, password="Another-Horse-11"
    )
    gone(resource)


def test_an_administrator_converges_at_once(provider: Provider) -> None:
    converges(User(provider, {**user_of(), "admin": True}))


def test_a_robot_of_a_project_converges(provider: Provider, project: Project) -> None:
    pushes = {("repository", "push"), ("repository", "pull")}
    block = {"kind": "project", "namespace": project.config["name"], "access": pushes}
    resource = RobotAccount(
        provider,
        {
            "name": "ci",
            "level": "project",
            "duration": -1,
            "description": "",
            "disable": False,
            "secret": "Correct-Horse-10",
            "permissions": [block],
        },
    )
    less = {**block, "access": {("repository", "pull"), ("tag", "create")}}
    converges(resource, description="for builds", duration=30, disable=True, permissions=[less])
    gone(resource)


def test_a_robot_of_the_system_converges(provider: Provider, project: Project) -> None:
    blocks = [
        {"kind": "system", "namespace": "/", "access": {("user", "list"), ("quota", "read")}},
        {"kind": "project", "namespace": "*", "access": {("repository", "pull")}},
        {"kind": "project", "namespace": project.config["name"], "access": {("repository", "push")}},
    ]
    resource = RobotAccount(
        provider,
        {
            "name": unused("system"),
            "level": "system",
            "duration": 90,
            "description": "words",
            "disable": True,
            "permissions": blocks,
        },
    )
    converges(resource, permissions=blocks[:2], disable=False)


def test_labels_converge(provider: Provider, project: Project) -> None:
    config = {"name": unused("label"), "description": "", "color": "false", "scope": "g"}
    converges(Label(provider, config), description="words", color="#00FF00")
    of_project = {**config, "name": unused("label"), "scope": "p", "project_id": project.id}
    resource = Label(provider, of_project)
    converges(resource, name=unused("label"))
    gone(resource)


def test_immutable_rules_converge(provider: Provider, project: Project) -> None:
    config = {"project_id": project.id, "repo_matching": "**", "tag_matching": "v*", "disabled": False}
    resource = ImmutableTagRule(provider, config)
    converges(resource, tag_matching="release-*")
    gone(resource)
    disabled = ImmutableTagRule(provider, {**config, "disabled": True})
    converges(disabled, disabled=False)


def test_the_configuration_of_the_system_converges(provider: Provider) -> None:
    config: State = {
        "project_creation_restriction": "adminonly",
        "read_only": False,
        "robot_token_duration": 30,
        "token_expiration": 30,
        "session_timeout": 60,
        "robot_name_prefix": "robot$",
        "storage_per_project": -1,
        "scanner_skip_update_pulltime": False,
        "skip_audit_log_database": False,
        "banner_message": "",
        "notification_enable": True,
    }
    banner = '{"closable":true,"message":"soon","type":"warning","fromDate":"","toDate":""}'
    converges(
        SystemConfiguration(provider, config),
        project_creation_restriction="everyone",
        robot_token_duration=60,
        storage_per_project=100 * GIB,
        banner_message=banner,
    )
    SystemConfiguration(provider, config).create()


def test_the_configuration_of_sign_in_converges(provider: Provider) -> None:
    converges(AuthConfiguration(provider, {"auth_mode": "db_auth"}))


def test_the_configuration_of_security_converges(provider: Provider) -> None:
    config = {"cve_allowlist": ["CVE-2026-2", "CVE-2026-1"], "expires_at": 0}
    converges(SecurityConfiguration(provider, config), cve_allowlist=["CVE-2026-3"], expires_at=4_102_444_800)


def test_the_purging_of_the_audit_log_converges(provider: Provider) -> None:
    config = {"schedule": "Daily", "audit_retention_hour": 24, "include_event_types": "create_artifact"}
    resource = PurgeAuditLog(provider, config)
    converges(resource, schedule="0 30 1 * * *", audit_retention_hour=48)
    gone(resource)


def test_lists_are_read_to_their_end(provider: Provider, project: Project) -> None:
    names = {entry["username"] for entry in provider.pages("/users?q=username=terra")}
    assert names == set()
    number = int(project.id.rpartition("/")[2])
    robots = [entry["name"] for entry in provider.pages(f"/robots?q=Level=project,ProjectID={number}")]
    assert robots == []
    members = [entry["entity_name"] for entry in provider.pages(f"{project.id}/members")]
    assert members == [ADMIN]
