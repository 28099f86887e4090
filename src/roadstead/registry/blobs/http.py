"""Blob endpoints: GET, HEAD and DELETE `/v2/<name>/blobs/<digest>` (end-2, end-10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from secrets import token_hex

from roadstead.errors import RangeInvalid
from roadstead.oci.digests import Digest
from roadstead.oci.ranges import ByteRange, parse_range
from roadstead.registry.blobs.service import Blobs, FoundBlob
from roadstead.registry.calls import Call, FileSlice, Header, Reply
from roadstead.registry.conditions import etag, is_not_modified, range_applies
from roadstead.registry.dialect import Refusal

OCTETS = b"application/octet-stream"
# Content under a digest never changes.
FOREVER: Header = (b"cache-control", b"max-age=31536000, immutable")


def common_headers(blob: FoundBlob) -> list[Header]:
    digest = str(blob.digest).encode()
    return [
        (b"docker-content-digest", digest),
        (b"etag", etag(digest)),
        (b"accept-ranges", b"bytes"),
        FOREVER,
    ]


async def get_blob(blobs: Blobs, call: Call) -> Reply:
    """The blob's bytes, whole or in part.  HEAD has the same headers and no body."""
    blob = await blobs.find(call.principal, call.name, Digest.parse(call.parameter))
    headers = common_headers(blob)
    if is_not_modified(call, str(blob.digest)):
        return Reply(304, headers)
    ranges = None
    wanted = call.header(b"range")
    if wanted is not None and call.method == "GET" and range_applies(call, str(blob.digest)):
        try:
            ranges = parse_range(wanted, blob.size)
        except RangeInvalid as error:
            raise Refusal(error, [(b"content-range", b"bytes */%d" % blob.size)]) from error
    if ranges is None:
        whole = ByteRange(0, blob.size - 1)
        headers.append((b"content-type", OCTETS))
        return Reply(200, headers, _bytes(blobs, call, blob, whole), blob.size)
    if len(ranges) == 1:
        return _single_range(blobs, call, blob, ranges[0], headers)
    return _several_ranges(blobs, blob, ranges, headers)


async def delete_blob(blobs: Blobs, call: Call) -> Reply:
    """202 when the repository serves the blob no more; other repositories keep it."""
    await blobs.delete(call.principal, call.name, Digest.parse(call.parameter))
    return Reply(202, length=0)


def _bytes(
    blobs: Blobs, call: Call, blob: FoundBlob, part: ByteRange
) -> bytes | FileSlice | AsyncIterator[bytes]:
    """`part` of the blob, by the cheapest way that the server and the store have in common."""
    if part.length == 0 or call.method == "HEAD":
        return b""
    path = blobs.local_path(blob)
    if path is not None and "roadstead.sendfile" in call.scope.get("extensions", ()):
        return FileSlice(str(path), part.first, part.length)
    return blobs.read(blob, offset=part.first, length=part.length)


def _content_range(part: ByteRange, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (part.first, part.last, size)


def _single_range(blobs: Blobs, call: Call, blob: FoundBlob, part: ByteRange, headers: list[Header]) -> Reply:
    headers += [(b"content-type", OCTETS), (b"content-range", _content_range(part, blob.size))]
    return Reply(206, headers, _bytes(blobs, call, blob, part), part.length)


def _several_ranges(
    blobs: Blobs, blob: FoundBlob, parts: Sequence[ByteRange], headers: list[Header]
) -> Reply:
    """`multipart/byteranges` (RFC 9110 §14.6), which partial pulls of zstd:chunked layers use."""
    boundary = token_hex(16).encode()
    heads = [
        b"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n"
        % (boundary, OCTETS, _content_range(part, blob.size))
        for part in parts
    ]
    end = b"\r\n--%s--\r\n" % boundary
    length = sum(map(len, heads)) + sum(part.length for part in parts) + len(end)

    async def body() -> AsyncIterator[bytes]:
        for head, part in zip(heads, parts, strict=True):
            yield head
            async for piece in blobs.read(blob, offset=part.first, length=part.length):
                yield piece
        yield end

    headers.append((b"content-type", b"multipart/byteranges; boundary=" + boundary))
    return Reply(206, headers, body(), length)
