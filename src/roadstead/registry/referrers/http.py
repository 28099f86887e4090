"""The referrers list: GET `/v2/<name>/referrers/<digest>` (end-12)."""

from __future__ import annotations

import json

from roadstead.oci.digests import Digest
from roadstead.oci.media_types import OCI_INDEX
from roadstead.oci.paging import next_link, parse_page
from roadstead.registry.calls import Call, Header, Reply
from roadstead.registry.referrers.service import Referrers


class ReferrerEndpoints:
    def __init__(self, referrers: Referrers, *, max_page_size: int) -> None:
        self._referrers = referrers
        self._max_page_size = max_page_size

    async def list(self, call: Call) -> Reply:
        """An image index of descriptors, empty where nothing refers; never 404."""
        subject = Digest.parse(call.parameter)
        # A `+` that a client forgot to encode has become a space, which no media type has.
        kind = (call.query.get("artifactType") or "").replace(" ", "+")
        page = parse_page(call.query.get("n"), call.query.get("last"), maximum=self._max_page_size)
        found = await self._referrers.page(
            call.principal, call.name, subject, page, artifact_type=kind or None
        )
        headers: list[Header] = [(b"content-type", OCI_INDEX.encode())]
        if kind:
            headers.append((b"oci-filters-applied", b"artifactType"))
        if found.after is not None:
            path = f"/v2/{call.name.requested}/referrers/{subject}"
            extra = {"artifactType": kind} if kind else {}
            link = next_link(path, last=found.after, n=page.limit, extra=extra)
            headers.append((b"link", link.encode()))
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found.descriptors}
        body = json.dumps(document, separators=(",", ":")).encode()
        return Reply(200, headers, body, len(body))
