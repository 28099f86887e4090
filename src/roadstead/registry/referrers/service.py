"""What people can ask of referrers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.identity.principals import Principal
from roadstead.oci.digests import Digest
from roadstead.oci.documents import strict_json
from roadstead.oci.manifests import referrer_descriptor
from roadstead.oci.names import RepositoryName
from roadstead.oci.paging import Page
from roadstead.projects.access import WIDTH, AccessFacts
from roadstead.projects.roles import Action
from roadstead.projects.service import Projects
from roadstead.registry.referrers import queries

# A list of referrers is itself a manifest: no page may outgrow what clients accept for one.
MOST_BYTES = 3 * 1024 * 1024
# More bytes of manifests than this are read in a thread, so that nobody else waits for them; and so many pages
# of that kind at once, for each costs several times its size.
READ_INLINE = 64 * 1024
LARGE_AT_ONCE = 4

# A manifest's id, digest, media type, artifact type and size.
Row = tuple[int, str, str, str | None, int]


@dataclass(frozen=True, slots=True)
class ReferrerPage:
    """Descriptors, in order of digest; `after` is the digest to go on from, None at the end."""

    descriptors: Sequence[Mapping[str, object]]
    after: str | None


class Referrers:
    """Every manifest with a subject is found here, by which tag or digest it ever was pushed."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def page(
        self,
        principal: Principal,
        name: RepositoryName,
        subject: Digest,
        page: Page,
        *,
        artifact_type: str | None,
    ) -> ReferrerPage:
        """The manifests of this repository whose subject is `subject`, held or not.

        An unknown repository has none, as the specification asks, for a caller who may know that.
        """
        rows = await self._database.all(
            queries.PAGE,
            {
                **self._projects.parameters(principal, name),
                "path": name.path,
                "subject": str(subject),
                "after": page.after or "",
                "artifact_type": artifact_type or "",
                "limit": page.limit + 1,
            },
        )
        self._projects.authorize(AccessFacts.of(rows[0]), principal, name, Action.PULL)
        found = [row[WIDTH:] for row in rows if row[WIDTH] is not None]
        shown = _fitting(found[: page.limit])
        more = bool(shown) and len(found) > len(shown)
        return ReferrerPage(await self._described(shown), shown[-1][1] if more else None)

    async def _described(self, rows: Sequence[Row]) -> Sequence[Mapping[str, object]]:
        if not rows:
            return []
        ids = [row[0] for row in rows]
        if sum(row[4] for row in rows) <= READ_INLINE:
            return _descriptors(rows, await self._database.read(queries.payloads, ids))
        async with self._large:
            payloads = await self._database.read(queries.payloads, ids)
            return await asyncio.to_thread(_descriptors, rows, payloads)


def _descriptors(rows: Sequence[Row], payloads: Mapping[int, bytes]) -> Sequence[Mapping[str, object]]:
    return [
        referrer_descriptor(
            media_type=media_type,
            digest=digest,
            size=size,
            artifact_type=kind,
            annotations=_annotations(payloads[manifest]),
        )
        for manifest, digest, media_type, kind, size in rows
        # Deleted between the two statements.
        if manifest in payloads
    ]


def _fitting(rows: Sequence[Row]) -> Sequence[Row]:
    """As many as fit into a page; one at least.  A descriptor is never larger than its manifest and a little."""
    size = 0
    for count, row in enumerate(rows):
        size += row[4] + 512
        if size > MOST_BYTES and count > 0:
            return rows[:count]
    return rows


def _annotations(payload: bytes) -> Mapping[str, str]:
    return strict_json(payload, what="manifest").get("annotations") or {}
