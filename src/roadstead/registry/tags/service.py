"""What people can ask of tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.identity.principals import Principal
from roadstead.oci.names import RepositoryName
from roadstead.oci.paging import Page
from roadstead.projects.access import WIDTH, AccessFacts, RepositoryHidden
from roadstead.projects.roles import Action
from roadstead.projects.service import Projects
from roadstead.registry.tags import queries


@dataclass(frozen=True, slots=True)
class TagPage:
    names: Sequence[str]
    more: bool


class Tags:
    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects

    async def page(self, principal: Principal, name: RepositoryName, page: Page) -> TagPage:
        """The tags that follow `page.after`, bytewise, at most `page.limit` of them."""
        row = await self._database.first(
            queries.REPOSITORY, {**self._projects.parameters(principal, name), "path": name.path}
        )
        assert row is not None  # noqa: S101 - the query starts from a constant row
        self._projects.authorize(AccessFacts.of(row), principal, name, Action.PULL)
        repository = row[WIDTH]
        if repository is None:
            raise RepositoryHidden(name)
        found = await self._database.first(
            queries.PAGE,
            {
                "repository_id": repository,
                "after": page.after or "",
                # One more than asked for, to learn whether there is a next page.
                "limit": page.limit + 1,
            },
        )
        joined: str | None = None if found is None else found[0]
        # Databases do not promise the order in which they join.
        names = sorted(joined.split(queries.SEPARATOR)) if joined else []
        return TagPage(names[: page.limit], more=len(names) > page.limit)
