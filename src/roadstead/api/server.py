"""The API as an ASGI application.  START HERE: the routers, in order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from roadstead import errors
from roadstead.api import (
    allowlists,
    artifacts,
    audit,
    configurations,
    immutable,
    issuers,
    labels,
    members,
    metadata,
    networks,
    permissions,
    project_artifacts,
    projects,
    purge,
    quotas,
    repositories,
    robots,
    roles,
    search,
    sessions,
    system,
    tags,
    unbuilt,
    usergroups,
    users,
)
from roadstead.api.cookies import telling_token
from roadstead.api.dialect import REFUSALS, refusal, speak_harbor
from roadstead.api.services import SERVICES, Services
from roadstead.registry.calls import Message, Receive, Scope, Send

PREFIX = "/api/v2.0"
# Of a JSON body, in bytes.
MAX_BODY = 1024 * 1024


def routers() -> Sequence[APIRouter]:
    """One for each of Harbor's tags."""
    return [
        search.router,
        repositories.router,
        artifacts.router,
        tags.router,
        immutable.router,
        configurations.router,
        audit.router,
        audit.of_projects,
        purge.router,
        issuers.router,
        permissions.router,
        robots.router,
        system.router,
        projects.router,
        project_artifacts.router,
        metadata.router,
        allowlists.router,
        members.router,
        roles.router,
        labels.router,
        networks.router,
        quotas.router,
        sessions.router,
        usergroups.router,
        users.router,
        # The last: whatever is built comes before it.
        unbuilt.router,
    ]


@cache
def create_web() -> FastAPI:
    """Every route and the document that describes them.  What handlers ask comes with each request, so that one of
    these, which a second goes into, is enough for a process.
    """
    web = FastAPI(
        title="Roadstead",
        version="2.0",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation,
    )
    speak_harbor(web)
    for router in routers():
        web.include_router(router, prefix=PREFIX, responses=REFUSALS)
    web.include_router(system.unversioned, responses=REFUSALS)
    return web


def _operation(route: APIRoute) -> str:
    return route.name


class ApiServer:
    """The routes, behind what is true of every request to them."""

    def __init__(self, services: Services) -> None:
        self.web = create_web()
        self._services = services

    def compile(self) -> None:
        """Make the routes ready, which the first request would wait for otherwise.  Takes a second, once a process."""
        for _ in iter_route_contexts(self.web.routes):
            pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SERVICES] = self._services
        try:
            scope["roadstead.path"] = scope["raw_path"].decode("ascii", "replace")
            scope["path"] = routed_path(scope["raw_path"])
            check_query(scope["query_string"])
            body = await _body(receive)
        except errors.RoadsteadError as error:
            await refusal(error)(scope, receive, send)
            return
        if body is None:
            return

        async def replay() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            message, body = {"type": "http.request", "body": body, "more_body": False}, None
            return message

        await self.web(scope, replay, telling_token(scope, send))


def routed_path(raw: bytes) -> str:
    """The path as routes see it: each part decoded once, and a slash inside a part never one between parts."""
    parts = []
    for part in raw.split(b"/"):
        try:
            text = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            raise errors.RequestInvalid("the path is not UTF-8", remedy="check the address") from None
        if any(character < " " or character == "\x7f" for character in text):
            raise errors.NotFound("no name has control characters", remedy="check the address")
        parts.append(text.replace("/", "%2F"))
    return "/".join(parts)


def check_query(query: bytes) -> None:
    try:
        text = unquote_to_bytes(query.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise errors.RequestInvalid("the query is not UTF-8", remedy="check the address") from None
    if "\0" in text:
        raise errors.RequestInvalid("the query holds a NUL character", remedy="leave it out")


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or None when the client went away.  Raises `TooLarge`."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MAX_BODY:
            raise errors.TooLarge(
                f"the body is larger than {MAX_BODY} bytes", remedy="send less in one request", limit=MAX_BODY
            )
    return b"".join(parts)
