"""`create_app()`: the whole server as an ASGI application, routers in order.  START HERE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from roadstead.api.server import ApiServer
from roadstead.api.signing_in import SigningIn
from roadstead.config.settings import Settings
from roadstead.errors import Unavailable
from roadstead.identity.http import TokenService
from roadstead.identity.principals import ANONYMOUS
from roadstead.registry.calls import Receive, Scope, Send
from roadstead.registry.catalog.http import CatalogEndpoints
from roadstead.registry.http import RegistryApp
from roadstead.registry.manifests.http import ManifestEndpoints
from roadstead.registry.referrers.http import ReferrerEndpoints
from roadstead.registry.routes import routes
from roadstead.registry.tags.http import TagEndpoints
from roadstead.registry.uploads.http import UploadEndpoints
from roadstead.registry.watching import Watch
from roadstead.server.hosts import external_base
from roadstead.wiring import Roadstead, build


class Application:
    """`/v2` first, in front of any framework; then the admin API; everything else is FastAPI's."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.registry: RegistryApp | None = None
        self.api: ApiServer | None = None
        # An API's description is for its users, not for whoever asks: the admin API turns it on for itself.
        # A path is what it is: a redirect would lead to the Host that the client made up, external_urls or not.
        self.web = FastAPI(
            lifespan=self._lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.registry is not None:
            path = scope["raw_path"]
            if path.startswith(b"/v2/") or path == b"/v2":
                await self.registry(scope, receive, send)
                return
            if path.startswith(b"/api/") and self.api is not None:
                await self.api(scope, receive, send)
                return
        await self.web(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, web: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            parts = await stack.enter_async_context(build(self.settings))
            await stack.enter_async_context(parts.background(jobs=self.settings.jobs.embedded))
            self.registry = registry_app(parts)
            self.api = ApiServer(parts.services)
            mount(web, parts)
            # Beside the first requests, most of which are for `/v2`.
            ready = asyncio.create_task(asyncio.to_thread(self.api.compile))
            yield
            await ready


def create_app(settings: Settings) -> Application:
    """The server for one process.  Opens nothing before its lifespan starts."""
    return Application(settings)


def registry_app(parts: Roadstead) -> RegistryApp:
    settings = parts.settings
    most = settings.registry.max_page_size
    table = routes(
        blobs=parts.blobs,
        uploads=UploadEndpoints(
            parts.uploads, parts.blobs, parts.projects, chunk_min_length=settings.registry.chunk_min_length
        ),
        manifests=ManifestEndpoints(parts.manifests, max_bytes=settings.registry.max_manifest_bytes),
        tags=TagEndpoints(parts.tags, max_page_size=most),
        referrers=ReferrerEndpoints(parts.referrers, max_page_size=most),
        catalog=CatalogEndpoints(parts.catalog, parts.projects, max_page_size=most),
    )
    return RegistryApp(
        table,
        parts.authenticator,
        parts.projects,
        Watch(parts.configurations, parts.notes, pulls=settings.audit.pulls),
        base_url=lambda scope: external_base(scope, settings),
        service=settings.auth.service,
        basic_challenge=settings.auth.challenge == "basic",
    )


def mount(web: FastAPI, parts: Roadstead) -> None:
    """Everything that is not `/v2`."""
    tokens = TokenService(
        parts.authenticator,
        parts.issuer,
        parts.projects.grants,
        service=parts.settings.auth.service,
        exchange=parts.exchange,
    )
    web.router.routes.extend([*tokens.routes(), *SigningIn(parts.services).routes()])

    @web.api_route("/livez", methods=["GET", "HEAD"])
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @web.api_route("/readyz", methods=["GET", "HEAD"])
    async def readyz() -> JSONResponse:
        """The process can serve: its database answers."""
        try:
            await parts.projects.check_signed_in(ANONYMOUS)
        except Unavailable as error:
            return JSONResponse({"status": "unavailable", "reason": error.message}, 503)
        return JSONResponse({"status": "ok"})
