"""What people can ask of network rules: the registry's, and each project's own.

`access.py` reads them with every request, so a change counts with the next one.  An operator at the command line
is never shut out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Table, delete, select

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.insert import upsert
from roadstead.db.tables import Configuration
from roadstead.errors import Precondition
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.projects.access import NETWORK_RULES
from roadstead.projects.authority import Authority, ProjectReference
from roadstead.projects.directory import queries
from roadstead.projects.directory.changes import locked
from roadstead.projects.networks import Rules, admits, check_rules, read_rules, write_rules
from roadstead.telemetry.clock import Clock, now_ms

CHANGED = "network-rules.changed"
API = "api"

_CONFIGURATIONS = cast("Table", Configuration.__table__)
_STORED = select(_CONFIGURATIONS.c.value).where(_CONFIGURATIONS.c.key == NETWORK_RULES)
_UNSET = delete(_CONFIGURATIONS).where(_CONFIGURATIONS.c.key == NETWORK_RULES)

# Refuses, by raising, that a project has so many networks in its rules, in the transaction that writes them.
NetworksCheck = Callable[[Connection, int, int], None]


class WouldShutOut(Precondition):
    """The rules would shut their author out."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"with these rules, the API would refuse the address that you come from: {address or 'none'}",
            remedy="add a network that holds it, or repeat the request with ?force=true",
            address=address,
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    rules: Rules
    text: str

    @property
    def networks(self) -> int:
        return sum(map(len, self.rules.values()))


class NetworkRules:
    def __init__(
        self,
        database: Database,
        authority: Authority,
        *,
        checks: Sequence[NetworksCheck] = (),
        clock: Clock = now_ms,
    ) -> None:
        """`checks` are asked before a project has new rules."""
        self._database = database
        self._authority = authority
        self._checks = checks
        self._clock = clock

    async def system(self, principal: Principal) -> Rules:
        await self._authority.system(principal, "network-rule:read")
        return read_rules(await self._database.read(_stored))

    async def project(self, principal: Principal, reference: ProjectReference) -> Rules:
        access = await self._authority.project(principal, reference, "network-rule:read")
        return read_rules(access.facts.network_rules or "")

    async def replace_system(
        self, principal: Principal, rules: Mapping[str, list[str]], *, force: bool = False
    ) -> None:
        """A door without networks is open to all.  Raises `WouldShutOut` unless `force`."""
        await self._authority.system(principal, "network-rule:update")
        wanted = _checked(principal, rules, force=force)
        await self._database.write(_replace_system, principal, wanted, now=self._clock())

    async def replace_project(
        self,
        principal: Principal,
        reference: ProjectReference,
        rules: Mapping[str, list[str]],
        *,
        force: bool = False,
    ) -> None:
        """The same for a project."""
        access = await self._authority.project(principal, reference, "network-rule:update")
        wanted = _checked(principal, rules, force=force)
        await self._database.write(
            _replace_project, principal, access.id, wanted, checks=self._checks, now=self._clock()
        )


def _checked(principal: Principal, rules: Mapping[str, list[str]], *, force: bool) -> _Wanted:
    checked = check_rules(rules)
    wanted = _Wanted(checked, write_rules(checked))
    if not force and not principal.operator and not admits(wanted.text, API, principal.address):
        raise WouldShutOut(principal.address)
    return wanted


def _stored(conn: Connection) -> str:
    return conn.execute(_STORED).scalar_one_or_none() or ""


def _replace_system(conn: Connection, principal: Principal, wanted: _Wanted, *, now: int) -> None:
    if wanted.text:
        row = {"key": NETWORK_RULES, "value": wanted.text, "updated_at": now}
        upsert(conn, Configuration, row, keys=("key",), update=("value", "updated_at"))
    else:
        conn.execute(_UNSET)
    record(conn, CHANGED, project_id=None, now=now, networks=wanted.networks, user=principal.username)
    trail.record(conn, principal, "update", "network-rule", "system", now=now, payload={"rules": wanted.text})


def _replace_project(
    conn: Connection,
    principal: Principal,
    project: int,
    wanted: _Wanted,
    *,
    checks: Sequence[NetworksCheck],
    now: int,
) -> None:
    row = locked(conn, project)
    for check in checks:
        check(conn, project, wanted.networks)
    queries.set_columns(conn, project, {"network_rules": wanted.text}, now=now)
    record(conn, CHANGED, project_id=project, now=now, networks=wanted.networks, user=principal.username)
    payload = {"rules": wanted.text, "before": row["network_rules"]}
    trail.record(
        conn, principal, "update", "network-rule", row["name"], now=now, project_id=project, payload=payload
    )
