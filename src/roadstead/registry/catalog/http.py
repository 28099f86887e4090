"""The catalog and the extensions: GET `/v2/_catalog`, `/v2/_oci/ext/discover`, and the probe `/v2/` (end-1)."""

from __future__ import annotations

import json

from roadstead.oci.paging import next_link, parse_page
from roadstead.projects.access import SignInNeeded
from roadstead.projects.roles import Action
from roadstead.projects.service import Projects
from roadstead.registry.calls import Call, Header, Reply
from roadstead.registry.catalog.service import Catalog
from roadstead.registry.dialect import JSON_TYPE

_EXTENSIONS = json.dumps(
    {
        "extensions": [
            {
                "name": "_oci",
                "url": "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
                "description": "the list of extensions",
                "endpoints": ["_oci/ext/discover"],
            }
        ]
    }
).encode()


class CatalogEndpoints:
    def __init__(self, catalog: Catalog, projects: Projects, *, max_page_size: int) -> None:
        self._catalog = catalog
        self._projects = projects
        self._max_page_size = max_page_size

    async def ping(self, call: Call) -> Reply:
        """200 for a caller we know, else a challenge: clients learn here how to sign in."""
        if call.principal.anonymous and call.principal.scopes is None:
            raise SignInNeeded("authentication required", remedy="sign in, for example with docker login")
        await self._projects.check_signed_in(call.principal)
        return Reply(200, [JSON_TYPE], b"{}", 2)

    async def list(self, call: Call) -> Reply:
        """`{"repositories": […]}`: those that the caller may pull from."""
        page = parse_page(call.query.get("n"), call.query.get("last"), maximum=self._max_page_size)
        found = await self._catalog.page(call.principal, page)
        headers: list[Header] = [JSON_TYPE]
        if found.more and found.names:
            headers.append((b"link", next_link("/v2/_catalog", last=found.names[-1], n=page.limit).encode()))
        body = json.dumps({"repositories": found.names}, separators=(",", ":")).encode()
        return Reply(200, headers, body, len(body))

    async def extensions(self, call: Call) -> Reply:
        await self._projects.check_signed_in(call.principal)
        return Reply(200, [JSON_TYPE], _EXTENSIONS, len(_EXTENSIONS))

    async def repository_extensions(self, call: Call) -> Reply:
        await self._projects.require(call.principal, call.name, Action.PULL)
        return Reply(200, [JSON_TYPE], _EXTENSIONS, len(_EXTENSIONS))
