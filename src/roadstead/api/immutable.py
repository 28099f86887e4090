"""Immutable tag rules: Harbor's tag `immutable`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.paths import ProjectRef
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Id, Name, Number, Shape, Text
from roadstead.errors import RequestInvalid
from roadstead.immutability.rules import ACTION, TEMPLATE, RuleText, parse_rule
from roadstead.immutability.service import RuleChange

router = APIRouter(tags=["immutable"])
_RULES = "/projects/{project_name_or_id}/immutabletagrules"
RuleId = Annotated[int, Path(ge=1, le=LARGEST)]
_MANY = 100


class ImmutableSelector(Shape):
    kind: Name | None = None
    decoration: Name | None = None
    pattern: Text | None = None

    @property
    def stored(self) -> dict[str, str]:
        return {"kind": self.kind or "", "decoration": self.decoration or "", "pattern": self.pattern or ""}


Selectors = Annotated[list[ImmutableSelector], Field(max_length=_MANY)]


class ImmutableRule(Shape):
    id: Number | None = None
    priority: Number | None = None
    disabled: bool | None = None
    action: Name | None = None
    template: Name | None = None
    tag_selectors: Selectors | None = None
    scope_selectors: Annotated[dict[Name, Selectors | None], Field(max_length=_MANY)] | None = None

    @property
    def text(self) -> RuleText:
        """Raises `RequestInvalid`."""
        repositories = (self.scope_selectors or {}).get("repository") or []
        return parse_rule(
            [each.stored for each in self.tag_selectors or []],
            [each.stored for each in repositories],
            action=self.action or "",
            template=self.template or "",
        )


class ImmutableRuleShown(Shape):
    id: Id
    priority: Number
    disabled: bool
    action: str = ACTION
    template: str = TEMPLATE
    tag_selectors: list[ImmutableSelector]
    scope_selectors: dict[str, list[ImmutableSelector]]


@router.get(_RULES)
async def ListImmuRules(  # noqa: N802 - Harbor's operation names
    caller: Caller,
    services: Asked,
    project: ProjectRef,
    *,
    listing: Listing,
    request: Request,
    response: Response,
) -> list[ImmutableRuleShown]:
    """The project's rules, the oldest first."""
    rows, total = await services.immutable_rules.page(caller, project, listing)
    tell(request, response, listing, total)
    return [
        ImmutableRuleShown(
            id=row["id"],
            priority=row["priority"],
            disabled=row["disabled"],
            tag_selectors=row["selectors"]["tag_selectors"],
            scope_selectors=row["selectors"]["scope_selectors"],
        )
        for row in rows
    ]


@router.post(_RULES, status_code=201, response_class=Response)
async def CreateImmuRule(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, body: ImmutableRule
) -> Response:
    """A rule: tags that it covers can be made, and then neither moved nor removed."""
    created = await services.immutable_rules.create(
        caller, project, body.text, disabled=bool(body.disabled), priority=body.priority or 0
    )
    location = f"/api/v2.0/projects/{project}/immutabletagrules/{created}"
    return Response(status_code=201, headers={"Location": location})


@router.put(f"{_RULES}/{{immutable_rule_id}}", response_class=Response)
async def UpdateImmuRule(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, immutable_rule_id: RuleId, body: ImmutableRule
) -> Response:
    """Change the rule's selectors, or switch it off or on."""
    if body.id not in {None, 0, immutable_rule_id}:
        raise RequestInvalid(
            "the body's id is not the path's", remedy="send the same id twice, or leave it out"
        )
    text = None if body.tag_selectors is None and body.scope_selectors is None else body.text
    change = RuleChange(text, body.disabled, body.priority)
    await services.immutable_rules.update(caller, project, immutable_rule_id, change)
    return Response(status_code=200)


@router.delete(f"{_RULES}/{{immutable_rule_id}}", response_class=Response)
async def DeleteImmuRule(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, project: ProjectRef, immutable_rule_id: RuleId
) -> Response:
    await services.immutable_rules.delete(caller, project, immutable_rule_id)
    return Response(status_code=200)
