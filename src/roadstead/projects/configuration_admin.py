"""Who may see and change the configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority
from roadstead.projects.configuration_catalogue import SECRETS, Value
from roadstead.projects.configurations import Configurations


class Shown(NamedTuple):
    value: Value
    editable: bool


class ConfigurationAdmin:
    def __init__(self, authority: Authority, configurations: Configurations) -> None:
        self._authority = authority
        self._configurations = configurations

    async def shown(self, principal: Principal) -> Mapping[str, Shown]:
        """Every key that is no secret."""
        await self._authority.system(principal, "configuration:read")
        values = await self._configurations.everything()
        return {
            name: Shown(values[name], key.editable)
            for name, key in self._configurations.keys.items()
            if name not in SECRETS
        }

    async def change(self, principal: Principal, values: Mapping[str, Value]) -> None:
        """Set some of them, all or none.  Raises `Invalid`."""
        await self._authority.system(principal, "configuration:update")
        await self._configurations.change(principal, values)
