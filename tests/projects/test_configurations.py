"""What administrators change while the registry runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry.registries import Registry, settings_of

from roadstead.errors import Invalid
from roadstead.identity.principals import OPERATOR
from roadstead.projects.configuration_catalogue import ConfigurationInvalid, Value
from roadstead.projects.configurations import (
    KEPT,
    ConfigurationFixed,
    Configurations,
    ForwardingNeeded,
)

pytestmark = pytest.mark.anyio


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def configurations(registry: Registry, ticks: Ticks) -> Configurations:
    return Configurations(registry.parts.database, registry.parts.settings, ticks=ticks)


def other(registry: Registry) -> Configurations:
    """Those of another process."""
    return Configurations(registry.parts.database, registry.parts.settings)


async def test_a_key_that_nobody_set_has_its_default(configurations: Configurations) -> None:
    assert await configurations.number("storage_per_project") == -1


async def test_the_configuration_file_gives_the_default_where_it_has_the_setting(
    registry: Registry, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path, "", registry={"project_creation": "everyone"})
    found = Configurations(registry.parts.database, settings)
    assert await found.text("project_creation_restriction") == "everyone"


async def test_a_change_is_seen_at_once_by_the_process_that_made_it(configurations: Configurations) -> None:
    assert await configurations.flag("read_only") is False
    await configurations.change(OPERATOR, {"read_only": True})
    assert await configurations.flag("read_only") is True


async def test_a_change_of_another_process_is_seen_after_a_short_time(
    registry: Registry, configurations: Configurations, ticks: Ticks
) -> None:
    assert await configurations.flag("read_only") is False
    await other(registry).change(OPERATOR, {"read_only": True})
    assert await configurations.flag("read_only") is False
    ticks.now += KEPT
    assert await configurations.flag("read_only") is True


async def test_a_transaction_sees_a_change_at_once(
    registry: Registry, configurations: Configurations
) -> None:
    await configurations.everything()
    await other(registry).change(OPERATOR, {"storage_per_project": 9})
    found = await registry.parts.database.read(configurations.value_in, "storage_per_project")
    assert found == 9


async def test_a_stored_value_that_makes_no_sense_is_the_default(
    registry: Registry, configurations: Configurations
) -> None:
    for key, stored in (("storage_per_project", "-7"), ("banner_message", "{"), ("read_only", "1")):
        await registry.change("INSERT INTO configurations VALUES (:key, :value, 1)", key=key, value=stored)
    found = await configurations.everything()
    assert (found["storage_per_project"], found["banner_message"], found["read_only"]) == (-1, "", False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("project_creation_restriction", "nobody"),
        ("storage_per_project", 0),
        ("storage_per_project", 2**50 + 1),
        ("count_quota_tags", -2),
        ("session_timeout", 0),
        ("robot_token_duration", -1),
        ("ldap_scope", -1),
        ("banner_message", "x" * 5000),
        ("audit_log_forward_endpoint", "logs.example.com"),
        ("audit_log_forward_endpoint", "http://logs.example.com:514"),
        ("audit_log_forward_endpoint", "logs.example.com:0"),
        ("disabled_audit_log_event_types", "everything"),
        ("disabled_audit_log_event_types", "create_artifact,update_configuration"),
    ],
)
async def test_a_value_that_the_key_cannot_have_is_refused(
    configurations: Configurations, key: str, value: Value
) -> None:
    with pytest.raises(ConfigurationInvalid):
        await configurations.change(OPERATOR, {key: value})


async def test_a_value_of_another_type_is_refused(configurations: Configurations) -> None:
    with pytest.raises(Invalid):
        await configurations.change(OPERATOR, {"storage_per_project": True})


async def test_a_fixed_key_takes_only_the_value_that_it_has(configurations: Configurations) -> None:
    await configurations.change(OPERATOR, {"auth_mode": "db_auth", "robot_name_prefix": "robot$"})
    with pytest.raises(ConfigurationFixed):
        await configurations.change(OPERATOR, {"auth_mode": "ldap_auth"})


async def test_one_bad_value_changes_nothing(configurations: Configurations) -> None:
    with pytest.raises(Invalid):
        await configurations.change(OPERATOR, {"read_only": True, "storage_per_project": 0})
    assert await configurations.flag("read_only") is False


async def test_entries_may_skip_the_database_only_when_they_go_elsewhere(
    configurations: Configurations,
) -> None:
    with pytest.raises(ForwardingNeeded):
        await configurations.change(OPERATOR, {"skip_audit_log_database": True})
    await configurations.change(
        OPERATOR, {"skip_audit_log_database": True, "audit_log_forward_endpoint": "logs.example.com:514"}
    )
    with pytest.raises(ForwardingNeeded):
        await configurations.change(OPERATOR, {"audit_log_forward_endpoint": ""})


async def test_a_change_leaves_an_event_and_an_audit_entry(
    registry: Registry, configurations: Configurations
) -> None:
    await registry.change("DELETE FROM audit_log")
    await configurations.change(OPERATOR, {"read_only": True, "self_registration": False})
    events = await registry.sql("SELECT kind FROM events WHERE kind = 'configuration.changed'")
    entries = await registry.sql("SELECT operation, resource_type, resource, username FROM audit_log")
    assert len(events) == 1
    assert entries == [("update", "configuration", "read_only", "operator")]


async def test_a_change_to_the_same_leaves_nothing(
    registry: Registry, configurations: Configurations
) -> None:
    await registry.change("DELETE FROM audit_log")
    await configurations.change(OPERATOR, {"read_only": False})
    assert await registry.sql("SELECT id FROM audit_log") == []
