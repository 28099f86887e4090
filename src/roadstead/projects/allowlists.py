"""CVEs that are allowed in images: the registry's list, and each project's own.  Kept, until there is a scanner."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.insert import upsert
from roadstead.db.tables import Configuration
from roadstead.errors import Invalid
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.oci.excerpts import excerpt
from roadstead.projects.authority import Authority
from roadstead.telemetry.clock import Clock, now_ms

CHANGED = "cve-allowlist.changed"
MOST_CVES = 10_000
# Of `configurations`: the list of the registry as a whole.
SYSTEM_ALLOWLIST = "cve_allowlist"

_CONFIGURATIONS = cast("Table", Configuration.__table__)
_STORED = select(_CONFIGURATIONS.c.value, _CONFIGURATIONS.c.updated_at).where(
    _CONFIGURATIONS.c.key == SYSTEM_ALLOWLIST
)
_CVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


@dataclass(frozen=True, slots=True)
class Allowlist:
    # In the order in which they were given.
    cves: Sequence[str] = ()
    # In seconds since 1970; None is never.
    expires_at: int | None = None
    # In milliseconds since 1970; 0 where it was never set.
    updated_at: int = 0

    def document(self) -> dict[str, object]:
        return {"items": list(self.cves), "expires_at": self.expires_at}

    @classmethod
    def read(cls, document: Mapping[str, Any] | None, *, updated_at: int = 0) -> Allowlist:
        """The inverse of `document`."""
        if not document:
            return cls(updated_at=updated_at)
        return cls(tuple(document["items"]), document["expires_at"], updated_at)


def check_allowlist(cves: Sequence[str], expires_at: int | None) -> Allowlist:
    """Raises `Invalid`."""
    if len(cves) > MOST_CVES:
        raise Invalid(
            f"an allow list has at most {MOST_CVES} entries", remedy="give fewer of them", limit=MOST_CVES
        )
    for cve in cves:
        if _CVE.fullmatch(cve) is None:
            raise Invalid(f"{excerpt(cve)} is not the id of a CVE", remedy="give ids such as CVE-2024-3094")
    if len(set(cves)) != len(cves):
        raise Invalid("the allow list names something twice", remedy="name each CVE once")
    return Allowlist(tuple(cves), expires_at)


class Allowlists:
    """The registry's own; a project's goes with the project."""

    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def system(self, principal: Principal) -> Allowlist:
        """For whoever is signed in."""
        await self._authority.signed_in(principal)
        row = await self._database.read(_stored)
        return Allowlist() if row is None else Allowlist.read(json.loads(row[0]), updated_at=row[1])

    async def replace_system(self, principal: Principal, cves: Sequence[str], expires_at: int | None) -> None:
        await self._authority.system(principal, "configuration:update")
        wanted = check_allowlist(cves, expires_at)
        await self._database.write(_replace, principal, wanted, now=self._clock())


def _stored(conn: Connection) -> Row[str, int] | None:
    return conn.execute(_STORED).first()


def _replace(conn: Connection, principal: Principal, wanted: Allowlist, *, now: int) -> None:
    row = {"key": SYSTEM_ALLOWLIST, "value": json.dumps(wanted.document()), "updated_at": now}
    upsert(conn, Configuration, row, keys=("key",), update=("value", "updated_at"))
    record(conn, CHANGED, project_id=None, now=now, cves=len(wanted.cves), user=principal.username)
    payload = {"cves": len(wanted.cves), "expires_at": wanted.expires_at}
    trail.record(conn, principal, "update", "cve-allowlist", "system", now=now, payload=payload)
