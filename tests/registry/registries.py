"""A whole registry in this process, with people and projects in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import argon2
from sqlalchemy import Connection, text
from tests.quota.exactness import charges_are_exact
from tests.registry.actors import PASSWORD, Actor, basic

from roadstead import wiring
from roadstead.api.server import ApiServer
from roadstead.app import Application, mount, registry_app
from roadstead.config.settings import DatabaseSettings, Settings
from roadstead.identity.passwords import PasswordHasher, hash_password
from roadstead.identity.service import create_account
from roadstead.projects.queries import create_project
from roadstead.wiring import Roadstead, build

QUICK_ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PEOPLE = ("root", "alice", "bob", "mallory")
# Project, its owner, whether it is public.
PROJECTS = (
    ("library", None, True),
    ("a", "alice", False),
    ("b", "bob", False),
    ("pub", "alice", True),
)


class QuickHasher(PasswordHasher):
    def __init__(self, *, concurrency: int) -> None:
        super().__init__(concurrency=concurrency, argon2_hasher=QUICK_ARGON2)


@dataclass
class Registry:
    """The application, its parts, and the people of the catalogue of vulnerabilities."""

    app: Application
    parts: Roadstead

    @property
    def anon(self) -> Actor:
        return Actor(self.app)

    @property
    def root(self) -> Actor:
        return self.actor("root")

    @property
    def alice(self) -> Actor:
        return self.actor("alice")

    @property
    def bob(self) -> Actor:
        return self.actor("bob")

    @property
    def mallory(self) -> Actor:
        return self.actor("mallory")

    def actor(self, name: str) -> Actor:
        return Actor(self.app, name, basic(name))

    async def sql(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        """Rows of a SELECT."""
        return await self.parts.database.read(_rows, statement, values)

    async def change(self, statement: str, **values: object) -> None:
        """What an operator, or an attacker with the database in their hands, would do."""
        await self.parts.database.write(_run, statement, values)

    async def scalar(self, statement: str, **values: object) -> object:
        return (await self.sql(statement, **values))[0][0]

    async def keys(self) -> set[str]:
        """What the store holds."""
        return {stored.key async for stored in self.parts.store.keys()}  # noqa: SIM118 - a store, not a dict

    async def named_keys(self) -> set[str]:
        """What rows name."""
        rows = await self.sql(
            "SELECT storage_key FROM blobs UNION SELECT storage_key FROM uploads"
            " WHERE storage_key IS NOT NULL"
        )
        return {str(key) for (key,) in rows}

    async def make_project_admin(self, username: str) -> None:
        """Of every project that there is."""
        await self.change(
            "INSERT INTO grants (place, project_id, user_id, role_id, permissions, repositories, created_at)"
            " SELECT 'project', p.id, u.id, 1, '', '', 1 FROM projects p CROSS JOIN users u"
            " WHERE u.username = :name AND NOT EXISTS (SELECT 1 FROM grants g"
            " WHERE g.project_id = p.id AND g.user_id = u.id)",
            name=username,
        )

    async def add_project(self, name: str, owner: str | None, *, public: bool = False) -> None:
        await self.parts.database.write(_project, name, owner, public)


def settings_of(data: Path, database_url: str, **sections: Mapping[str, object]) -> Settings:
    return Settings.model_validate(
        {
            "data": data,
            "database": DatabaseSettings.model_validate({"url": database_url}),
            "jobs": {"embedded": False},
            **sections,
        }
    )


@asynccontextmanager
async def open_registry(settings: Settings, *, seed: bool = True) -> AsyncIterator[Registry]:
    async with AsyncExitStack() as stack:
        if seed:
            # What a hash costs is not the matter here, and it would be most of the time.
            stack.enter_context(patch.object(wiring, "PasswordHasher", QuickHasher))
        parts = await stack.enter_async_context(build(settings))
        if seed:
            await parts.database.write(_seed)
        app = Application(settings)
        app.registry = registry_app(parts)
        app.api = ApiServer(parts.services)
        mount(app.web, parts)
        yield Registry(app, parts)
        # Whatever the test has done.
        await charges_are_exact(parts.database)
        await parts.authenticator.close()


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Registry]:
    """Another worker on a database that has people in it already."""
    with patch.object(wiring, "PasswordHasher", QuickHasher):
        async with open_registry(settings, seed=False) as opened:
            yield opened


def _seed(conn: Connection) -> None:
    for name in PEOPLE:
        create_account(conn, name, _hash(), admin=name == "root", now=1)
    for name, owner, public in PROJECTS:
        _project(conn, name, owner, public)


def _project(conn: Connection, name: str, owner: str | None, public: bool) -> None:
    owner_id = conn.execute(
        text("SELECT id FROM users WHERE username = :name"), {"name": owner}
    ).scalar_one_or_none()
    create_project(conn, name, public=public, owner_id=owner_id, now=1)


@cache
def _hash() -> str:
    """One hash for everybody: they all have the same password."""
    return hash_password(PASSWORD.encode(), QUICK_ARGON2)


def _rows(conn: Connection, statement: str, values: Mapping[str, object]) -> list[tuple[object, ...]]:
    return [tuple(row) for row in conn.execute(text(statement), values)]


def _run(conn: Connection, statement: str, values: Mapping[str, object]) -> None:
    conn.execute(text(statement), values)
