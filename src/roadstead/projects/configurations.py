"""Settings that administrators change while the registry runs: reading them, and writing them down.

limit = await configurations.number("storage_per_project")            # at most `KEPT` seconds old
limit = configurations.value_in(conn, "storage_per_project")          # as this transaction sees it
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sqlalchemy import Connection, Table, bindparam, select

from roadstead.audit.trail import Actor
from roadstead.audit.trail import record as record_audit
from roadstead.config.settings import Settings
from roadstead.db.database import Database, PreparedQuery
from roadstead.db.insert import upsert
from roadstead.db.statements import PreparedStatement
from roadstead.db.tables import Configuration
from roadstead.errors import Denied, Invalid
from roadstead.events.outbox import JsonValue, record
from roadstead.projects.configuration_catalogue import Key, Value, catalogue
from roadstead.telemetry.clock import Clock, now_ms

CHANGED = "configuration.changed"
# A change by another process is seen after that many seconds at the latest; one of this process, at once.
KEPT = 2.0

_TABLE = cast("Table", Configuration.__table__)
_ALL = PreparedQuery(select(_TABLE.c.key, _TABLE.c.value))
_ONE = PreparedStatement(select(_TABLE.c.value).where(_TABLE.c.key == bindparam("key")))


class ConfigurationFixed(Invalid):
    """The key can be read, and not changed."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key.name} cannot be changed here", remedy=key.fixed)


class ReadOnly(Denied):
    """Nothing may change for now."""

    says_denied = True

    def __init__(self) -> None:
        super().__init__(
            "The system is in read only mode. Any modification is prohibited",
            remedy="wait until an administrator ends it",
        )


class ForwardingNeeded(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "skip_audit_log_database needs somewhere else for the entries to go",
            remedy="set audit_log_forward_endpoint first, or in the same request",
        )


class Configurations:
    """One for each process.  Who may read and change them all is `ConfigurationAdmin`'s to say."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        *,
        clock: Clock = now_ms,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys: Mapping[str, Key] = catalogue(settings)
        self._forward = settings.audit.forward
        self._database = database
        self._clock = clock
        self._ticks = ticks
        self._known: Mapping[str, Value] = {}
        self._until = -1.0

    async def value(self, key: str) -> Value:
        """What is configured, or the default; at most `KEPT` seconds old.  Costs no statement, mostly."""
        return (await self.everything())[key]

    async def number(self, key: str) -> int:
        return cast("int", await self.value(key))

    async def flag(self, key: str) -> bool:
        return cast("bool", await self.value(key))

    async def text(self, key: str) -> str:
        return cast("str", await self.value(key))

    async def audit_destinations(self) -> Sequence[str]:
        """Where audit entries go beside the database: what the configuration file says, and what is set here."""
        set_here = await self.text("audit_log_forward_endpoint")
        return [address for address in (self._forward, set_here) if address]

    async def check_writable(self) -> None:
        """Raises `ReadOnly` while an administrator has set it."""
        if await self.flag("read_only"):
            raise ReadOnly

    def value_in(self, conn: Connection, key: str) -> Value:
        """The same, as the transaction sees it."""
        return self._read(self.keys[key], _ONE.scalar(conn, {"key": key}))

    async def everything(self) -> Mapping[str, Value]:
        """Every key's value."""
        ticks = self._ticks()
        if ticks >= self._until:
            stored: dict[str, str] = dict(await self._database.all(_ALL, {}))
            self._known = {name: self._read(key, stored.get(name)) for name, key in self.keys.items()}
            self._until = ticks + KEPT
        return self._known

    async def change(self, actor: Actor, values: Mapping[str, Value]) -> None:
        """Set these, all or none.  Raises `Invalid`."""
        checked = {name: self._checked(self.keys[name], value) for name, value in values.items()}
        await self._database.write(self._change, actor, checked, self._clock())
        self._until = -1.0

    def _checked(self, key: Key, value: Value) -> Value:
        if type(value) is not key.kind:
            raise Invalid(
                f"{key.name} is not of the type {key.kind.__name__}", remedy="give a value of that type"
            )
        if not key.editable:
            if value != key.default:
                raise ConfigurationFixed(key)
            return value
        return key.check(key.name, value)

    def _change(self, conn: Connection, actor: Actor, values: Mapping[str, Value], now: int) -> None:
        before = {name: self.value_in(conn, name) for name in values}
        changed = {name: value for name, value in values.items() if value != before[name]}
        for name, value in sorted(changed.items()):
            row = {"key": name, "value": json.dumps(value), "updated_at": now}
            upsert(conn, Configuration, row, keys=["key"], update=["value", "updated_at"])
        skipped = bool(self.value_in(conn, "skip_audit_log_database"))
        if skipped and not (self._forward or self.value_in(conn, "audit_log_forward_endpoint")):
            raise ForwardingNeeded
        if not changed:
            return
        told: dict[str, JsonValue] = {
            name: {"before": before[name], "after": changed[name]} for name in sorted(changed)
        }
        record(conn, CHANGED, project_id=None, now=now, keys=[*told])
        keys = ",".join(told)
        record_audit(conn, actor, "update", "configuration", keys, now=now, payload=told)

    def _read(self, key: Key, stored: str | None) -> Value:
        """What is stored, if this version can make sense of it."""
        if stored is None or not key.editable:
            return key.default
        try:
            value = json.loads(stored)
            return key.check(key.name, value) if type(value) is key.kind else key.default
        except (ValueError, Invalid):
            return key.default
