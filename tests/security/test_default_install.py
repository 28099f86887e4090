"""Rank 26: a registry that nobody has configured is closed, and no two of them share a secret (A15, L10)."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from tests.registry.actors import Actor, basic
from tests.registry.registries import open_registry

from roadstead.config.settings import Settings
from roadstead.wiring import PASSWORD_VARIABLE, FirstRun, prepare

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Nothing is set but the place."""
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    monkeypatch.delenv(f"{PASSWORD_VARIABLE}_FILE", raising=False)
    return Settings(data=tmp_path / "one")


@pytest.fixture
def first_run(settings: Settings) -> FirstRun:
    return prepare(settings)


def secrets(conn: Connection) -> list[tuple[str, bytes]]:
    rows = conn.execute(text("SELECT purpose, value FROM secrets"))
    return [(purpose, bytes(value)) for purpose, value in rows]


def open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


async def test_A15_there_is_no_known_password(settings: Settings, first_run: FirstRun) -> None:
    assert first_run.created
    assert first_run.admin_password is not None
    assert len(first_run.admin_password) >= 20
    async with open_registry(settings, seed=False) as registry:
        assert (
            await Actor(registry.app, "", basic("admin", first_run.admin_password)).get("/v2/")
        ).status == 200
        for name in ("admin", "root", "roadstead", "anonymous"):
            for password in ("", "admin", "password", "Harbor12345", "roadstead", "changeme", name):
                status = (await Actor(registry.app, "", basic(name, password)).get("/v2/")).status
                assert status in {401, 429}


def test_A15_two_installs_share_no_secret(settings: Settings, first_run: FirstRun, tmp_path: Path) -> None:
    again = prepare(settings)
    other = prepare(Settings(data=tmp_path / "two"))
    assert (again.created, other.created) == (False, True)
    assert again.admin_password is None
    assert other.admin_password != first_run.admin_password


async def test_A15_two_installs_sign_and_seal_with_keys_of_their_own(
    settings: Settings, first_run: FirstRun, tmp_path: Path
) -> None:
    found = []
    for data in (settings.data, tmp_path / "two"):
        chosen = Settings(data=data)
        if not data.exists():
            await asyncio.to_thread(prepare, chosen)
        async with open_registry(chosen, seed=False) as registry:
            found.append(dict(await registry.parts.database.read(secrets)))
    one, two = found
    assert len(one) >= 2
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())
    assert all(len(value) >= 32 for value in one.values())


async def test_A15_a_token_of_one_install_is_nothing_to_another(
    settings: Settings, first_run: FirstRun, tmp_path: Path
) -> None:
    other = Settings(data=tmp_path / "two")
    await asyncio.to_thread(prepare, other)
    assert first_run.admin_password is not None
    async with open_registry(settings, seed=False) as mine, open_registry(other, seed=False) as theirs:
        admin = Actor(mine.app, "", basic("admin", first_run.admin_password))
        token = await admin.with_token("registry:catalog:*")
        assert (await token.get("/v2/_catalog")).status == 200
        stranger = Actor(theirs.app, "", token.authorization)
        assert (await stranger.get("/v2/_catalog")).status == 401


async def test_A15_the_data_is_its_owners_alone(settings: Settings, first_run: FirstRun) -> None:
    async with open_registry(settings, seed=False) as registry:
        assert first_run.admin_password is not None
        admin = Actor(registry.app, "", basic("admin", first_run.admin_password))
        await admin.push_image("library/app", "1")
        assert not open_to_others(settings.data)
        for path in settings.data.rglob("*"):
            if path.name.startswith("roadstead.db") or "blobs" in path.parts:
                assert not open_to_others(path), path


async def test_L10_nothing_describes_the_server_to_strangers(settings: Settings, first_run: FirstRun) -> None:
    async with open_registry(settings, seed=False) as registry:
        for path in (
            "/docs",
            "/redoc",
            "/openapi.json",
            "/metrics",
            "/debug",
            "/debug/pprof/",
        ):
            answer = await registry.anon.get(path)
            assert answer.status == 404
        # What a client has to know before it signs in, and no version.
        told = (await registry.anon.get("/api/v2.0/systeminfo")).json
        assert set(told) <= {
            "auth_mode", "primary_auth_mode", "self_registration", "banner_message", "oidc_provider_name",
        }  # fmt: skip
        for path in ("/livez", "/readyz", "/v2/", "/service/token", "/nothing"):
            answer = await registry.anon.get(path)
            assert not {"server", "x-powered-by"} & {name for name, _ in answer.headers}
            assert "Traceback" not in answer.body.decode()


async def test_A15_nobody_pushes_and_nobody_lists_without_an_account(
    settings: Settings, first_run: FirstRun
) -> None:
    async with open_registry(settings, seed=False) as registry:
        assert (await registry.anon.start("library/app")).status == 401
        assert (await registry.anon.get("/v2/_catalog")).status == 401
        assert await registry.scalar("SELECT count(*) FROM uploads") == 0


def test_A15_the_defaults_listen_to_this_machine_only() -> None:
    defaults = Settings()
    assert defaults.host == "127.0.0.1"
    assert defaults.http.trusted_proxies == ()
    assert defaults.registry.project_creation == "administrators"
