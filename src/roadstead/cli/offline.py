"""Commands that work on the data itself, with or without a server beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from roadstead.cli.options import load_settings

if TYPE_CHECKING:
    from roadstead.config.settings import Settings
    from roadstead.wiring import Offline

T = TypeVar("T")


def settings_of(config_file: Path | None, data: str | None) -> Settings:
    """The settings of an installation that is there already, with a database that this program understands."""
    settings = load_settings(config_file, {"data": data}).settings
    from roadstead.db import migrations
    from roadstead.errors import Invalid

    if migrations.state(settings.database_url).current is None:
        raise Invalid(
            f"there is no registry in {settings.data} yet",
            remedy="name another folder with --data, or start a registry first: roadstead serve",
        )
    migrations.require_current(settings.database_url)
    return settings


def ask_offline(config_file: Path | None, data: str | None, ask: Callable[[Offline], Awaitable[T]]) -> T:
    """Open the installation that the options name, ask one thing of it, and close it."""
    settings = settings_of(config_file, data)
    from roadstead.wiring import open_offline

    async def asked() -> T:
        async with open_offline(settings) as offline:
            return await ask(offline)

    return asyncio.run(asked())
