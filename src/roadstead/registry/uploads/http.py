"""Upload endpoints: POST, PATCH, PUT, GET and DELETE under `/v2/<name>/blobs/uploads/` (end-4 to 6, 11, 13, 14)."""

from __future__ import annotations

from contextlib import suppress

from roadstead.errors import DigestInvalid, NameInvalid, RoadsteadError
from roadstead.oci.digests import Digest, parse_algorithm
from roadstead.oci.names import RepositoryName
from roadstead.oci.ranges import parse_content_range
from roadstead.projects.service import Projects
from roadstead.registry.blobs.service import Blobs
from roadstead.registry.calls import Call, Header, Reply
from roadstead.registry.dialect import Refusal
from roadstead.registry.uploads.queries import Session
from roadstead.registry.uploads.service import ChunkRange, OutOfOrder, Uploads

DEFAULT_ALGORITHM = "sha256"


class UploadEndpoints:
    def __init__(self, uploads: Uploads, blobs: Blobs, projects: Projects, *, chunk_min_length: int) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._projects = projects
        self._chunk_min_length = chunk_min_length

    async def start(self, call: Call) -> Reply:
        """POST: mount a blob from elsewhere, take a whole one, or begin an upload."""
        query = call.query
        mount, digest = query.get("mount"), query.get("digest")
        if mount is not None and await self._mount(call, Digest.parse(mount), query.get("from")):
            return created(call, Digest.parse(mount))
        wanted = None if digest is None or mount is not None else Digest.parse(digest)
        algorithm = query.get("digest-algorithm")
        if wanted is not None:
            algorithm = wanted.algorithm
        session = await self._uploads.start(
            call.principal, call.name, parse_algorithm(algorithm) if algorithm else DEFAULT_ALGORITHM
        )
        if wanted is None:
            return self._accepted(call, session)
        try:
            await self._uploads.finish(
                call.principal,
                call.name,
                session.id,
                call.chunks(),
                wanted,
                chunk=None,
                length=call.content_length,
            )
        except RoadsteadError:
            # The client was never told of the session: it ends with the request.
            with suppress(RoadsteadError):
                await self._uploads.cancel(call.principal, call.name, session.id)
            raise
        return created(call, wanted)

    async def append(self, call: Call) -> Reply:
        """PATCH: the next chunk, or a stream of unknown length."""
        try:
            session = await self._uploads.append(
                call.principal,
                call.name,
                call.parameter,
                call.chunks(),
                chunk=_chunk(call),
                length=call.content_length,
            )
        except OutOfOrder as refusal:
            raise self._out_of_order(call, refusal) from refusal
        return self._accepted(call, session)

    async def finish(self, call: Call) -> Reply:
        """PUT: the last bytes, if any, and the digest of the whole."""
        digest = call.query.get("digest")
        if digest is None:
            raise DigestInvalid(
                "an upload ends with the digest of its blob",
                remedy="add ?digest=<algorithm>:<hex> to the address",
            )
        wanted = Digest.parse(digest)
        try:
            await self._uploads.finish(
                call.principal,
                call.name,
                call.parameter,
                call.chunks(),
                wanted,
                chunk=_chunk(call),
                length=call.content_length,
            )
        except OutOfOrder as refusal:
            raise self._out_of_order(call, refusal) from refusal
        return created(call, wanted)

    async def status(self, call: Call) -> Reply:
        session = await self._uploads.status(call.principal, call.name, call.parameter)
        return Reply(204, self._session_headers(call, session))

    async def cancel(self, call: Call) -> Reply:
        await self._uploads.cancel(call.principal, call.name, call.parameter)
        return Reply(204)

    async def _mount(self, call: Call, digest: Digest, source: str | None) -> bool:
        place: RepositoryName | None = None
        if source is not None:
            try:
                place = self._projects.name(source)
            except NameInvalid:
                # Clients name repositories of other registries here: the answer is an upload, not an error.
                return False
        return await self._blobs.mount(call.principal, call.name, digest, place)

    def _accepted(self, call: Call, session: Session) -> Reply:
        return Reply(202, self._session_headers(call, session), length=0)

    def _session_headers(self, call: Call, session: Session) -> list[Header]:
        name = call.name.requested
        headers = [
            (b"location", f"/v2/{name}/blobs/uploads/{session.id}".encode()),
            (b"range", b"0-%d" % max(session.size - 1, 0)),
            (b"docker-upload-uuid", session.id.encode()),
        ]
        if self._chunk_min_length:
            headers.append((b"oci-chunk-min-length", b"%d" % self._chunk_min_length))
        return headers

    def _out_of_order(self, call: Call, refusal: OutOfOrder) -> Refusal:
        return Refusal(refusal.error, self._session_headers(call, refusal.session))


def created(call: Call, digest: Digest) -> Reply:
    """201 with the address that the blob can be pulled from."""
    text = str(digest)
    return Reply(
        201,
        [
            (b"location", f"/v2/{call.name.requested}/blobs/{text}".encode()),
            (b"docker-content-digest", text.encode()),
        ],
        length=0,
    )


def _chunk(call: Call) -> ChunkRange | None:
    header = call.header(b"content-range")
    return None if header is None else parse_content_range(header)
