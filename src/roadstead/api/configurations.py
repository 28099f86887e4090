"""`configurations`: what administrators change while the registry runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import Field, create_model

from roadstead.api.callers import Caller
from roadstead.api.services import Asked
from roadstead.api.shapes import LARGEST, Shape, Text
from roadstead.config.settings import Settings
from roadstead.errors import Unauthenticated
from roadstead.projects.configuration_catalogue import SECRETS, catalogue

router = APIRouter(tags=["configure"])

# What each key may be does not depend on the settings, only its default does.
_KEYS = catalogue(Settings())
_OF_KIND: dict[type, Any] = {
    bool: Annotated[bool, Field(strict=True)],
    int: Annotated[int, Field(strict=True, ge=-LARGEST - 1, le=LARGEST)],
    str: Text,
}


class StringConfigItem(Shape):
    value: str
    editable: bool


class BoolConfigItem(Shape):
    value: bool
    editable: bool


class IntegerConfigItem(Shape):
    value: int
    editable: bool


_ITEMS: dict[type, Any] = {bool: BoolConfigItem, int: IntegerConfigItem, str: StringConfigItem}

if TYPE_CHECKING:
    Configurations = Shape
    ConfigurationsResponse = Shape
else:
    Configurations = create_model(
        "Configurations",
        __base__=Shape,
        **{name: (_OF_KIND[key.kind] | None, None) for name, key in _KEYS.items()},
    )
    ConfigurationsResponse = create_model(
        "ConfigurationsResponse",
        __base__=Shape,
        **{name: (_ITEMS[key.kind], ...) for name, key in _KEYS.items() if name not in SECRETS},
    )


@router.get("/internalconfig", response_class=Response)
async def getInternalconfig(caller: Caller, services: Asked) -> Response:  # noqa: N802 - Harbor's operation names
    """Harbor's own parts ask this of each other.  There are no such parts here, so nobody may."""
    await services.authority.signed_in(caller)
    raise Unauthenticated(
        "only internal service is allowed to call this API", remedy="ask GET /api/v2.0/configurations"
    )


@router.get("/configurations")
async def getConfigurations(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked
) -> ConfigurationsResponse:
    """Every configuration that is no secret, and whether it can be changed here."""
    shown = await services.configuration_admin.shown(caller)
    return ConfigurationsResponse.model_validate({name: item._asdict() for name, item in shown.items()})


@router.put("/configurations", response_class=Response)
async def updateConfigurations(  # noqa: N802 - Harbor's operation names
    caller: Caller, services: Asked, configurations: Annotated[Configurations, Body()]
) -> Response:
    """Change the keys that are given, all or none.  Keys that are unknown are passed over."""
    given = configurations.model_dump(exclude_none=True)
    await services.configuration_admin.change(caller, given)
    return Response()
