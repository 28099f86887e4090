"""What the registry says of itself."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, patch

import pytest
from tests.registry.conftest import Opener
from tests.registry.registries import Registry

from roadstead.errors import Unavailable
from roadstead.registry import state

pytestmark = pytest.mark.anyio

API = "/api/v2.0"


async def test_the_api_answers_a_ping_from_anybody(registry: Registry) -> None:
    answer = await registry.anon.get(f"{API}/ping")
    assert (answer.status, answer.body) == (200, b"Pong")


async def test_an_unknown_path_is_refused_in_harbors_words(registry: Registry) -> None:
    answer = await registry.root.get(f"{API}/nothing")
    assert (answer.status, answer.codes) == (404, ["NOT_FOUND"])


async def test_the_version_of_the_api_is_harbors(registry: Registry) -> None:
    assert (await registry.anon.get("/api/version")).json == {"version": "v2.0"}


async def test_the_document_of_the_api_is_for_everybody(registry: Registry) -> None:
    answer = await registry.anon.get(f"{API}/openapi.json")
    assert (answer.status, answer.json["info"]["title"]) == (200, "Roadstead")


async def health(registry: Registry) -> dict[str, Any]:
    answer = await registry.anon.get(f"{API}/health")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


class TestHealth:
    async def test_every_part_is_healthy(self, registry: Registry) -> None:
        assert await health(registry) == {
            "status": "healthy",
            "components": [
                {"name": name, "status": "healthy"}
                for name in ("core", "database", "jobservice", "registry", "storage")
            ],
        }

    async def test_one_part_that_fails_makes_the_whole_unhealthy_and_tells_no_secret(
        self, registry: Registry
    ) -> None:
        failing = AsyncMock(side_effect=Unavailable("password=s3cret at /srv/blobs"))
        registry.parts.services.state._checks = {"storage": failing}
        found = await health(registry)
        assert found["status"] == "unhealthy"
        assert [part["status"] for part in found["components"]] == ["healthy", "healthy", "unhealthy"]
        assert "s3cret" not in str(found)

    async def test_jobs_that_nobody_takes_are_a_failure(self, registry: Registry) -> None:
        await registry.change(
            "INSERT INTO jobs (queue, kind, payload, state, priority, run_at, attempt, max_attempts, created_at)"
            " VALUES ('default', 'x', '{}', 'queued', 0, 1, 0, 5, 1)"
        )
        found = await health(registry)
        assert [part["name"] for part in found["components"] if part["status"] != "healthy"] == ["jobservice"]

    async def test_the_parts_are_asked_once_in_a_while(self, registry: Registry) -> None:
        check = AsyncMock()
        registry.parts.services.state._checks = {"storage": check}
        for _ in range(5):
            await health(registry)
        assert check.await_count == 1

    async def test_a_part_that_hangs_has_failed(self, registry: Registry) -> None:
        with patch.object(state, "PATIENCE", 0.0):
            assert (await health(registry))["status"] == "unhealthy"


class TestSystemInfo:
    async def test_anybody_learns_how_to_sign_in_and_no_more(self, registry: Registry) -> None:
        assert (await registry.anon.get(f"{API}/systeminfo")).json == {
            "auth_mode": "db_auth",
            "primary_auth_mode": False,
            "self_registration": False,
            "banner_message": "",
            "oidc_provider_name": "",
        }

    async def test_whoever_is_signed_in_learns_what_this_is(self, registry: Registry) -> None:
        found = (await registry.alice.get(f"{API}/systeminfo")).json
        assert found["registry_url"] == "registry.example"
        assert found["harbor_version"].startswith("v2.")
        assert found["registry_storage_provider_name"] == "filesystem"

    async def test_the_address_is_the_one_that_is_configured(self, registry_with: Opener) -> None:
        async with registry_with() as registry:
            settings = registry.parts.settings.model_copy(
                update={"external_urls": ("https://registry.example.org",)}
            )
            object.__setattr__(registry.parts.services, "settings", settings)
            found = (await registry.alice.get(f"{API}/systeminfo")).json
            assert (found["external_url"], found["registry_url"]) == (
                "https://registry.example.org",
                "registry.example.org",
            )

    async def test_administrators_see_how_much_room_there_is(self, registry: Registry) -> None:
        (volume,) = (await registry.root.get(f"{API}/systeminfo/volumes")).json["storage"]
        assert volume["total"] >= volume["free"] > 0

    async def test_nobody_else_does(self, registry: Registry) -> None:
        url = f"{API}/systeminfo/volumes"
        assert [(await who.get(url)).status for who in (registry.anon, registry.alice)] == [401, 403]

    async def test_there_is_no_certificate_to_get(self, registry: Registry) -> None:
        assert (await registry.anon.get(f"{API}/systeminfo/getcert")).status == 404


async def test_there_are_no_icons(registry: Registry) -> None:
    assert (await registry.anon.get(f"{API}/icons/sha256:{'0' * 64}")).status == 404


class TestStatistics:
    async def test_administrators_see_everything(self, registry: Registry) -> None:
        await registry.alice.push_image("a/app", "v1")
        await registry.alice.push_image("pub/app", "v1")
        found = (await registry.root.get(f"{API}/statistics")).json
        assert found.pop("total_storage_consumption") > 0
        assert found == {
            "private_project_count": 2,
            "private_repo_count": 1,
            "public_project_count": 2,
            "public_repo_count": 1,
            "total_project_count": 4,
            "total_repo_count": 2,
        }

    async def test_others_see_what_they_may_see(self, registry: Registry) -> None:
        await registry.alice.push_image("a/app", "v1")
        counts = [
            (found["private_project_count"], found["private_repo_count"], found["total_project_count"])
            for who in (registry.alice, registry.mallory)
            for found in [(await who.get(f"{API}/statistics")).json]
        ]
        assert counts == [(1, 1, 0), (0, 0, 0)]

    async def test_nobody_sees_nothing(self, registry: Registry) -> None:
        assert (await registry.anon.get(f"{API}/statistics")).status == 401


async def test_administrators_see_what_the_clock_asks_for(registry: Registry) -> None:
    await registry.change(
        "INSERT INTO schedules (name, kind, payload, every_seconds, next_at) VALUES ('sweep', 'x', '{}', 60, 1)"
    )
    (found,) = (await registry.root.get(f"{API}/schedules")).json
    assert (found["vendor_type"], found["cron"]) == ("SWEEP", "@every 60s")
    assert [(await who.get(f"{API}/schedules")).status for who in (registry.anon, registry.alice)] == [
        401,
        403,
    ]
