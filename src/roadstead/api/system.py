"""`ping` and the like: what the registry says of itself."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

router = APIRouter()


@router.get("/ping", tags=["ping"], response_class=PlainTextResponse)
async def getPing() -> str:  # noqa: N802 - Harbor's operation names
    """The process answers; nothing else is asked."""
    return "Pong"
