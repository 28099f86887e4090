"""Manifest endpoints: GET, HEAD, PUT, DELETE `/v2/<name>/manifests/<tag-or-digest>` (end-3, 7, 9)."""

from __future__ import annotations

import re

from roadstead.errors import DigestInvalid, ManifestTooLarge, RequestInvalid, TagInvalid
from roadstead.oci.digests import Digest
from roadstead.oci.names import Tag, parse_reference, parse_tag
from roadstead.registry.calls import Call, Header, Reply
from roadstead.registry.conditions import etag, is_not_modified
from roadstead.registry.manifests.service import Manifests, manifest_unknown

# The specification asks for ten at least.
MOST_TAGS = 50
# A client without the referrers API keeps an index under such a tag.
_FALLBACK_TAG = re.compile(r"sha(?:256|512)-[0-9a-f]{64}")
_FALLBACK_WARNING = (
    b'299 - "this registry has the referrers API: an index tagged with its subject\'s digest is not needed"'
)


class ManifestEndpoints:
    def __init__(self, manifests: Manifests, *, max_bytes: int) -> None:
        self._manifests = manifests
        self._max_bytes = max_bytes

    async def get(self, call: Call) -> Reply:
        """The manifest as it was pushed, with its own type."""
        try:
            reference = parse_reference(call.parameter)
        except (TagInvalid, DigestInvalid):
            # What cannot be a tag or digest is not there.
            raise manifest_unknown(call.name, call.parameter) from None
        found = await self._manifests.pull(
            call.principal,
            call.name,
            reference,
            accept=call.header_lines(b"accept"),
            count=call.method == "GET",
        )
        digest = found.digest.encode()
        headers: list[Header] = [
            (b"content-type", found.media_type.encode()),
            (b"docker-content-digest", digest),
            (b"etag", etag(digest)),
        ]
        if is_not_modified(call, found.digest):
            return Reply(304, headers[1:])
        return Reply(200, headers, found.payload, len(found.payload))

    async def put(self, call: Call) -> Reply:
        """201 when manifest and tags are durable."""
        reference = parse_reference(call.parameter)
        tags = self._tags(call, reference)
        length = call.content_length
        # One that is too large is told so when its body is asked for.
        size = length if length is not None and length <= self._max_bytes else None
        async with self._manifests.admit(call.principal, call.name, size) as admitted:
            payload = await call.body(self._max_bytes, ManifestTooLarge, "manifest")
            pushed = await self._manifests.push(
                call.principal,
                call.name,
                reference,
                payload,
                admitted=admitted,
                content_type=call.header(b"content-type"),
                tags=tags,
            )
        digest = str(pushed.digest)
        headers: list[Header] = [
            (b"location", f"/v2/{call.name.requested}/manifests/{digest}".encode()),
            (b"docker-content-digest", digest.encode()),
        ]
        if pushed.subject is not None:
            headers.append((b"oci-subject", str(pushed.subject).encode()))
        headers += [(b"oci-tag", tag.encode()) for tag in tags]
        if any(_FALLBACK_TAG.fullmatch(tag) for tag in pushed.tags):
            headers.append((b"warning", _FALLBACK_WARNING))
        return Reply(201, headers, length=0)

    async def delete(self, call: Call) -> Reply:
        await self._manifests.delete(call.principal, call.name, parse_reference(call.parameter))
        return Reply(202, length=0)

    def _tags(self, call: Call, reference: Tag | Digest) -> tuple[Tag, ...]:
        tags = tuple(parse_tag(text) for text in call.query.all("tag"))
        if tags and not isinstance(reference, Digest):
            raise RequestInvalid(
                "?tag= goes with a push by digest",
                remedy="put the digest into the path, and every tag into ?tag=",
            )
        if len(tags) > MOST_TAGS:
            raise RequestInvalid(
                f"a push may set {MOST_TAGS} tags at once", remedy="push again with the rest", limit=MOST_TAGS
            )
        return tags
