"""Trusted issuers, and which of their tokens stand for which robot.  Ours: Harbor has no such thing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import Field

from roadstead.api.callers import Caller
from roadstead.api.lists import Listing, tell
from roadstead.api.robots import RobotId
from roadstead.api.services import Asked
from roadstead.api.shapes import Id, Name, Shape, Text, Time
from roadstead.errors import RequestInvalid
from roadstead.identity.federation.queries import StoredIssuer, StoredTrust
from roadstead.projects.robots.issuers import IssuerDraft

router = APIRouter(tags=["issuer"])
IssuerId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The issuer's number.")]
TrustId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The rule's number.")]


class IssuerRequest(Shape):
    name: Name = ""
    # The `iss` of its tokens, byte for byte.
    issuer: Text = ""
    # What the `aud` of its tokens must be, or hold.
    audience: Name = ""
    # Where its keys are; left out, they are discovered.
    jwks_uri: Text | None = None
    # The keys themselves, where the issuer cannot be reached.
    jwks: dict[str, Any] | None = None

    def draft(self) -> IssuerDraft:
        return IssuerDraft(self.name, self.issuer, self.audience, self.jwks_uri or None, self.jwks or None)


class Issuer(Shape):
    id: Id
    name: Name
    issuer: Text
    audience: Name
    jwks_uri: Text | None = None
    jwks: dict[str, Any] | None = None
    creation_time: Time
    update_time: Time


class TrustChange(Shape):
    # Claim → what it must be: a text, or a pattern with wildcards.
    claims: Annotated[dict[Name, Text], Field(max_length=100)] = {}  # noqa: RUF012 - pydantic copies it


class TrustRequest(TrustChange):
    # One of the two says which issuer.
    issuer_id: Id | None = None
    issuer: Name | None = None


class Trust(Shape):
    id: Id
    robot_id: Id
    issuer_id: Id
    # Its name.
    issuer: Name
    claims: dict[str, str]
    creation_time: Time


@router.get("/issuers", response_model_exclude_none=True)
async def listIssuers(  # noqa: N802 - as the operations of Harbor
    request: Request, response: Response, caller: Caller, services: Asked, listing: Listing
) -> list[Issuer]:
    issuers, total = await services.issuers.list(caller, listing)
    tell(request, response, listing, total)
    return [_issuer(issuer) for issuer in issuers]


@router.post("/issuers", status_code=201, response_class=Response)
async def createIssuer(  # noqa: N802 - as the operations of Harbor
    caller: Caller, services: Asked, body: Annotated[IssuerRequest, Body()]
) -> Response:
    """Trust an OpenID Connect issuer.  Rules then say which of its tokens stand for which robot."""
    issuer_id = await services.issuers.create(caller, body.draft())
    return Response(status_code=201, headers={"Location": f"/api/v2.0/issuers/{issuer_id}"})


@router.get("/issuers/{issuer_id}", response_model_exclude_none=True)
async def getIssuer(caller: Caller, services: Asked, issuer_id: IssuerId) -> Issuer:  # noqa: N802 - as Harbor's
    return _issuer(await services.issuers.get(caller, issuer_id))


@router.put("/issuers/{issuer_id}", response_class=Response)
async def updateIssuer(  # noqa: N802 - as the operations of Harbor
    caller: Caller, services: Asked, issuer_id: IssuerId, body: Annotated[IssuerRequest, Body()]
) -> Response:
    """Replaces name, audience and keys, and fetches the keys anew.  The issuer itself stays."""
    await services.issuers.update(caller, issuer_id, body.draft())
    return Response(status_code=200)


@router.delete("/issuers/{issuer_id}", response_class=Response)
async def deleteIssuer(caller: Caller, services: Asked, issuer_id: IssuerId) -> Response:  # noqa: N802 - as Harbor's
    """Trust it no more.  The rules that name it go with it."""
    await services.issuers.delete(caller, issuer_id)
    return Response(status_code=200)


@router.get("/robots/{robot_id}/trusts")
async def listRobotTrusts(  # noqa: N802 - as the operations of Harbor
    request: Request,
    response: Response,
    caller: Caller,
    services: Asked,
    *,
    listing: Listing,
    robot_id: RobotId,
) -> list[Trust]:
    trusts, total = await services.trusts.list(caller, robot_id, listing)
    tell(request, response, listing, total)
    return [_trust(trust) for trust in trusts]


@router.post("/robots/{robot_id}/trusts", status_code=201, response_class=Response)
async def createRobotTrust(  # noqa: N802 - as the operations of Harbor
    caller: Caller, services: Asked, robot_id: RobotId, body: Annotated[TrustRequest, Body()]
) -> Response:
    """Let tokens of an issuer that fit these claims stand for the robot's secret."""
    issuer = body.issuer_id if body.issuer_id is not None else body.issuer
    if not issuer:
        raise RequestInvalid("the rule names no issuer", remedy="send `issuer_id`, or its name as `issuer`")
    trust_id = await services.trusts.create(caller, robot_id, issuer, body.claims)
    return Response(status_code=201, headers={"Location": f"/api/v2.0/robots/{robot_id}/trusts/{trust_id}"})


@router.get("/robots/{robot_id}/trusts/{trust_id}")
async def getRobotTrust(  # noqa: N802 - as the operations of Harbor
    caller: Caller, services: Asked, robot_id: RobotId, trust_id: TrustId
) -> Trust:
    return _trust(await services.trusts.get(caller, robot_id, trust_id))


@router.put("/robots/{robot_id}/trusts/{trust_id}", response_class=Response)
async def updateRobotTrust(  # noqa: N802 - as the operations of Harbor
    caller: Caller,
    services: Asked,
    robot_id: RobotId,
    trust_id: TrustId,
    body: Annotated[TrustChange, Body()],
) -> Response:
    """Replaces the claims."""
    await services.trusts.update(caller, robot_id, trust_id, body.claims)
    return Response(status_code=200)


@router.delete("/robots/{robot_id}/trusts/{trust_id}", response_class=Response)
async def deleteRobotTrust(  # noqa: N802 - as the operations of Harbor
    caller: Caller, services: Asked, robot_id: RobotId, trust_id: TrustId
) -> Response:
    await services.trusts.delete(caller, robot_id, trust_id)
    return Response(status_code=200)


def _issuer(issuer: StoredIssuer) -> Issuer:
    return Issuer(
        id=issuer.id,
        name=issuer.name,
        issuer=issuer.issuer,
        audience=issuer.audience,
        jwks_uri=issuer.jwks_uri,
        jwks=None if issuer.jwks is None else dict(issuer.jwks),
        creation_time=issuer.created_at,
        update_time=issuer.updated_at,
    )


def _trust(trust: StoredTrust) -> Trust:
    return Trust(
        id=trust.id,
        robot_id=trust.robot_id,
        issuer_id=trust.issuer_id,
        issuer=trust.issuer_name,
        claims=dict(trust.claims),
        creation_time=trust.created_at,
    )
