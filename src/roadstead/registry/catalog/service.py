"""What people can ask of the registry as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row

from roadstead.db.database import Database
from roadstead.identity.principals import REGISTRY, Principal
from roadstead.oci.paging import Page
from roadstead.projects.access import SignInNeeded
from roadstead.projects.networks import admits
from roadstead.projects.roles import Action, allows
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
        names: list[str] = []
        while len(names) <= page.limit:
            # One more than asked for, to learn whether there is a next page.
            wanted = page.limit + 1 - len(names)
            rows = await self._database.read(
                queries.repositories_after,
                project,
                path,
                user_id=principal.user_id,
                admin=bool(facts.admin),
                limit=wanted,
            )
            names += [f"{row.name}/{row.path}" for row in rows if await self._shown(principal, row)]
            if len(rows) < wanted:
                break
            project, path = rows[-1].name, rows[-1].path
        return CatalogPage(names[: page.limit], more=len(names) > page.limit)

    async def _shown(self, principal: Principal, row: Row[str, str, str, bool]) -> bool:
        if row.network_rules and not admits(row.network_rules, principal.door, principal.address):
            return False
        if row.whole:
            return True
        facts = await self._projects.facts(principal, row.name)
        return allows(self._projects.standing(facts, principal).at(row.path), Action.PULL)
