"""The tag list: GET `/v2/<name>/tags/list` (end-8)."""

from __future__ import annotations

import json

from roadstead.oci.paging import next_link, parse_page
from roadstead.registry.calls import Call, Header, Reply
from roadstead.registry.dialect import JSON_TYPE
from roadstead.registry.tags.service import Tags


class TagEndpoints:
    def __init__(self, tags: Tags, *, max_page_size: int) -> None:
        self._tags = tags
        self._max_page_size = max_page_size

    async def list(self, call: Call) -> Reply:
        """`{"name", "tags"}`, sorted bytewise; a `Link` where there are more."""
        page = parse_page(call.query.get("n"), call.query.get("last"), maximum=self._max_page_size)
        found = await self._tags.page(call.principal, call.name, page)
        headers: list[Header] = [JSON_TYPE]
        if found.more and found.names:
            path = f"/v2/{call.name.requested}/tags/list"
            headers.append((b"link", next_link(path, last=found.names[-1], n=page.limit).encode()))
        body = json.dumps({"name": call.name.requested, "tags": found.names}, separators=(",", ":")).encode()
        return Reply(200, headers, body, len(body))
