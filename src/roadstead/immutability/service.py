"""What people can ask of immutable tag rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.db.list_requests import ListRequest
from roadstead.errors import Conflict, NotFound, RequestInvalid
from roadstead.events.outbox import record
from roadstead.identity.principals import Principal
from roadstead.immutability import queries
from roadstead.immutability.rules import MOST_RULES, RuleText
from roadstead.projects.authority import Authority, ProjectAccess, ProjectReference
from roadstead.telemetry.clock import Clock, now_ms

CREATED, UPDATED, DELETED = "immutable-rule.created", "immutable-rule.updated", "immutable-rule.deleted"


class RuleUnknown(NotFound):
    """The project has no such rule; it does not matter whether another one has."""

    def __init__(self, rule_id: int) -> None:
        super().__init__(
            f"the project has no immutable tag rule {rule_id}", remedy="list the project's rules"
        )


class RuleExists(Conflict):
    """The project has a rule with the same selectors."""

    def __init__(self, rule_id: int) -> None:
        super().__init__(
            "the immutable rule already exists", remedy=f"change the rule {rule_id} instead", rule=rule_id
        )


@dataclass(frozen=True, slots=True)
class RuleChange:
    """None leaves what there is."""

    text: RuleText | None = None
    disabled: bool | None = None
    priority: int | None = None

    @property
    def values(self) -> dict[str, object]:
        found: dict[str, object] = {"disabled": self.disabled, "priority": self.priority}
        if self.text is not None:
            found["selectors"] = self.text.stored
        return {name: value for name, value in found.items() if value is not None}


class ImmutableRules:
    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def page(
        self, principal: Principal, project: ProjectReference, request: ListRequest
    ) -> tuple[Sequence[RowMapping], int]:
        access = await self._authority.project(principal, project, "immutable-tag:list")
        return await self._database.read(queries.rules_page, access.id, request)

    async def create(
        self,
        principal: Principal,
        project: ProjectReference,
        text: RuleText,
        *,
        disabled: bool,
        priority: int,
    ) -> int:
        """The new rule's id."""
        access = await self._authority.project(principal, project, "immutable-tag:create")
        change = RuleChange(text, disabled, priority)
        return await self._database.write(self._create, principal, access, change)

    async def update(
        self, principal: Principal, project: ProjectReference, rule_id: int, change: RuleChange
    ) -> None:
        access = await self._authority.project(principal, project, "immutable-tag:update")
        await self._database.write(self._update, principal, access, rule_id, change)

    async def delete(self, principal: Principal, project: ProjectReference, rule_id: int) -> None:
        access = await self._authority.project(principal, project, "immutable-tag:delete")
        await self._database.write(self._delete, principal, access, rule_id)

    def _create(
        self, conn: Connection, principal: Principal, access: ProjectAccess, change: RuleChange
    ) -> int:
        if queries.count_rules(conn, access.id) >= MOST_RULES:
            raise RequestInvalid(
                f"a project may have {MOST_RULES} immutable tag rules",
                remedy="delete one, or join several with braces: {v*,release-*}",
                limit=MOST_RULES,
            )
        assert change.text is not None  # noqa: S101 - `create` gives it
        known = queries.same_rule(conn, access.id, change.text.stored)
        if known is not None:
            raise RuleExists(known)
        created = queries.insert_rule(
            conn, {"project_id": access.id, **change.values, "created_at": self._clock()}
        )
        self._tell(conn, principal, access, kind=CREATED, rule_id=created, change=change)
        return created

    def _update(
        self, conn: Connection, principal: Principal, access: ProjectAccess, rule_id: int, change: RuleChange
    ) -> None:
        if queries.rule(conn, access.id, rule_id) is None:
            raise RuleUnknown(rule_id)
        if change.text is not None:
            known = queries.same_rule(conn, access.id, change.text.stored)
            if known not in {None, rule_id}:
                assert known is not None  # noqa: S101 - just looked
                raise RuleExists(known)
        if change.values:
            queries.update_rule(conn, rule_id, change.values)
            self._tell(conn, principal, access, kind=UPDATED, rule_id=rule_id, change=change)

    def _delete(self, conn: Connection, principal: Principal, access: ProjectAccess, rule_id: int) -> None:
        if queries.rule(conn, access.id, rule_id) is None:
            raise RuleUnknown(rule_id)
        queries.delete_rule(conn, rule_id)
        self._tell(conn, principal, access, kind=DELETED, rule_id=rule_id, change=RuleChange())

    def _tell(
        self,
        conn: Connection,
        principal: Principal,
        access: ProjectAccess,
        *,
        kind: str,
        rule_id: int,
        change: RuleChange,
    ) -> None:
        now = self._clock()
        record(
            conn,
            kind,
            project_id=access.id,
            now=now,
            project=access.name,
            rule=rule_id,
            user=principal.username,
        )
        trail.record(
            conn,
            principal,
            {CREATED: "create", UPDATED: "update", DELETED: "delete"}[kind],
            "immutable-rule",
            f"{access.name}/{rule_id}",
            now=now,
            project_id=access.id,
            payload=change.values,
        )
