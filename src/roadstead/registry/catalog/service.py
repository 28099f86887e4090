"""What people can ask of the registry as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.identity.principals import REGISTRY, Principal
from roadstead.oci.paging import Page
from roadstead.projects.access import SignInNeeded
from roadstead.projects.service import CATALOG, Projects
from roadstead.registry.catalog import queries

CATALOG_SCOPE = "registry:catalog:*"


@dataclass(frozen=True, slots=True)
class CatalogPage:
    names: Sequence[str]
    more: bool


class Catalog:
    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    async def page(self, principal: Principal, page: Page) -> CatalogPage:
        """Full names of the repositories that the caller may pull from, by project and then by path."""
        if principal.anonymous or principal.limits(REGISTRY, CATALOG):
            raise SignInNeeded(
                "the catalog is for signed-in users",
                remedy="sign in, and ask for the scope in the challenge",
                scope=CATALOG_SCOPE,
                insufficient=not principal.anonymous,
            )
        facts = await self._projects.check_signed_in(principal)
        project, _, path = (page.after or "").partition("/")
        rows = await self._database.read(
            queries.repositories_after,
            project,
            path,
            user_id=principal.user_id,
            admin=facts.admin,
            limit=page.limit + 1,
        )
        names = [f"{row.name}/{row.path}" for row in rows]
        return CatalogPage(names[: page.limit], more=len(names) > page.limit)
