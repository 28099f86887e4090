"""Pushing as docker and its kin do, in every style, and going on after anything that can go wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import Enum

from tests.system.client import Answer, Client, Gone, Hung
from tests.system.content import OCI_MANIFEST, Content, digest_of, image
from tests.system.ledger import Begun, Ledger

# Tries before a push counts as one that never ends.
TRIES = 60
_BUSY = frozenset({429, 503})


class Style(Enum):
    SINGLE_POST = "one POST with the digest"
    POST_PUT = "POST, then all bytes with PUT"
    STREAMED = "POST, one PATCH of unknown length, PUT"
    CHUNKED = "POST, PATCHes with Content-Range, PUT with the last of them"


class Broken(Exception):
    """The server did what it must never do; the ledger has it in words."""


class Pusher:
    """One client.  `caution` is the chance that it looks with HEAD before it uploads; `fickle`, that it
    leaves an upload unfinished.
    """

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        rng: random.Random,
        *,
        caution: float = 0.3,
        fickle: float = 0.0,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._rng = rng
        self._caution = caution
        self._fickle = fickle

    async def push_image(
        self, repository: str, tag: str, contested: str, config: Content, layers: list[Content]
    ) -> None:
        """Blobs, then the manifest under a tag of its own, then under one that everybody wants."""
        await self._sign_in(repository)
        for content in (config, *layers):
            await self.push_blob(repository, content, self._rng.choice(list(Style)))
        payload = image(config, layers, f"{repository}:{tag}")
        await self._put_manifest(repository, tag, payload)
        self._ledger.tags[repository, tag] = digest_of(payload)
        self._ledger.contested.setdefault((repository, contested), set()).add(digest_of(payload))
        await self._put_manifest(repository, contested, payload)
        self._ledger.settled.add((repository, contested))
        self._ledger.pushed += 1

    async def push_blob(self, repository: str, content: Content, style: Style) -> None:
        """Until the server has said that it holds the blob, or this client has walked away."""
        for number in range(TRIES):
            try:
                if self._rng.random() < (1.0 if number else self._caution) and await self._is_there(
                    repository, content
                ):
                    return
                if await self._attempt(repository, content, style):
                    self._ledger.blobs[repository, content.digest] = content
                    return
            except Gone:
                self._ledger.lost += 1
            self._ledger.begun_again += 1
            await self._pause(number)
        self._fail(f"{style}: no end after {TRIES} tries")

    async def resume(self, upload_id: str, begun: Begun) -> bool:
        """Go on with an upload from wherever it stands.  False: it is gone, and may be."""
        location = f"/v2/{begun.repository}/blobs/uploads/{upload_id}"
        return await self._go_on(location, begun, Style.STREAMED)

    # ── one try ─────────────────────────────────────────────────────────────────────────────────────────

    async def _attempt(self, repository: str, content: Content, style: Style) -> bool:
        """Whether the blob is there now.  False: begin again."""
        base = f"/v2/{repository}/blobs/uploads/"
        if style is Style.SINGLE_POST:
            answer = await self._ask("POST", f"{base}?digest={content.digest}", content.data())
            return self._is(answer, 201, "POST of a whole blob")
        query = "" if content.algorithm == "sha256" else f"?digest-algorithm={content.algorithm}"
        answer = await self._ask("POST", base + query, b"")
        if not self._is(answer, 202, "start of an upload"):
            return False
        location = answer["location"]
        begun = self._ledger.uploads[location.rpartition("/")[2]] = Begun(repository, content)
        return await self._go_on(location, begun, style, fresh=True)

    async def _go_on(self, location: str, begun: Begun, style: Style, *, fresh: bool = False) -> bool:
        offset: int | None = 0 if fresh else None
        for number in range(TRIES):
            if offset is None:
                self._ledger.resumed += 1
            try:
                if offset is None:
                    offset = await self._status(location, begun)
                    if offset is None:
                        return await self._is_there(begun.repository, begun.content)
                if fresh and self._rng.random() < self._fickle:
                    self._ledger.walked_away += 1
                    raise WalkedAway
                if await self._send_rest(location, begun, style, offset):
                    return True
                self._ledger.overtaken += 1
            except Gone:
                self._ledger.lost += 1
            offset = None
            await self._pause(number)
        self._fail(f"{style}: an upload of {begun.content} could not be finished in {TRIES} tries")
        return False

    async def _status(self, location: str, begun: Begun) -> int | None:
        """Where the upload stands; None if it is gone, which only an end on its way explains."""
        answer = await self._patient(lambda: self._ask("GET", location))
        if answer.status == 404:
            if not begun.ending:
                self._fail(f"an upload was forgotten: {location} of {begun}")
            return None
        if answer.status != 204:
            self._fail(f"status of an upload: {answer.status} {answer.body!r}")
        last = int(answer["range"].partition("-")[2])
        # "0-0" is none of it, or one byte, which no client here sends alone.
        offset = last + 1 if last else 0
        if not begun.acknowledged <= offset <= begun.sent:
            self._fail(f"an upload stands at {offset}: {begun}")
        begun.acknowledged = offset
        return offset

    async def _send_rest(self, location: str, begun: Begun, style: Style, offset: int) -> bool:
        """Everything from `offset` on, and the digest.  False: look where it stands, and go on from there."""
        content = begun.content
        ends = [content.size]
        if style is Style.CHUNKED:
            parts = self._rng.randint(2, 4)
            ends = [offset + (content.size - offset) * part // parts for part in range(1, parts)] + [
                content.size
            ]
        last_by_put = style is Style.POST_PUT or (style is Style.CHUNKED and self._rng.random() < 0.5)
        for end in ends[:-1] if last_by_put else ends:
            if end == offset:
                continue
            begun.sent = max(begun.sent, end)
            if not await self._patch(location, begun, offset, end, ranged=style is Style.CHUNKED):
                return False
            offset = end
        begun.sent = content.size
        begun.ending = True
        answer = await self._ask("PUT", f"{location}?digest={content.digest}", content.data(offset))
        if answer.status == 404:
            # Our own PUT before this one did it, and its answer was lost.
            return await self._is_there(begun.repository, content)
        return self._is(answer, 201, "end of an upload", *_OVERTAKEN)

    async def _patch(self, location: str, begun: Begun, offset: int, end: int, *, ranged: bool) -> bool:
        if ranged:
            headers = {"Content-Range": f"{offset}-{end - 1}"}
            answer = await self._ask("PATCH", location, begun.content.data(offset, end), headers)
        else:
            answer = await self._ask("PATCH", location, begun.content.pieces(offset, end))
        # An end that was believed dead may even have taken the upload away.
        again = (*_OVERTAKEN, (404, "BLOB_UPLOAD_UNKNOWN")) if begun.ending else _OVERTAKEN
        if not self._is(answer, 202, "PATCH", *again):
            return False
        if answer["range"] != f"0-{end - 1}":
            self._fail(f"PATCH up to {end} was answered with {answer['range']}")
        begun.acknowledged = end
        return True

    async def _put_manifest(self, repository: str, reference: str, payload: bytes) -> None:
        path = f"/v2/{repository}/manifests/{reference}"
        answer = await self._patient(lambda: self._ask("PUT", path, payload, {"Content-Type": OCI_MANIFEST}))
        if answer.status != 201:
            self._fail(f"PUT of a manifest: {answer.status} {answer.body!r}")
        self._ledger.manifests[repository, digest_of(payload)] = payload

    async def _is_there(self, repository: str, content: Content) -> bool:
        answer = await self._patient(lambda: self._ask("HEAD", f"/v2/{repository}/blobs/{content.digest}"))
        if answer.status == 200:
            self._ledger.blobs[repository, content.digest] = content
        elif answer.status != 404:
            self._fail(f"HEAD of a blob: {answer.status}")
        return answer.status == 200

    async def _sign_in(self, repository: str) -> None:
        scope = f"repository:{repository}:pull,push"
        answer = await self._patient(lambda: self._client.sign_in(scope))
        if answer.status != 200:
            self._fail(f"sign-in: {answer.status} {answer.body!r}")

    # ── with patience ───────────────────────────────────────────────────────────────────────────────────

    async def _patient(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask something that may be asked again until there is an answer."""
        for number in range(TRIES):
            try:
                answer = await ask()
            except Gone:
                self._ledger.lost += 1
            else:
                if answer.status not in _BUSY:
                    return answer
            await self._pause(number)
        self._fail(f"no answer in {TRIES} tries")
        raise Broken

    async def _ask(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        try:
            answer = await self._client.request(method, target, body, headers=headers)  # type: ignore[arg-type]  # passed on
        except Hung as error:
            self._fail(f"hung: {error}")
            raise
        self._ledger.answers += 1
        if answer.status in _BUSY:
            self._ledger.unavailable += 1
        elif answer.status >= 500:
            self._fail(f"{method} {target}: {answer.status} {answer.body!r}")
        return answer

    def _is(self, answer: Answer, status: int, what: str, *again: tuple[int, str]) -> bool:
        """Whether the answer has that status; False for one that asks to try again; else the end."""
        if answer.status == status:
            return True
        code = answer.json["errors"][0]["code"] if answer.status >= 400 else ""
        if answer.status not in _BUSY and (answer.status, code) not in again:
            self._fail(f"{what}: {answer.status} {answer.body!r}")
        return False

    async def _pause(self, number: int) -> None:
        await asyncio.sleep(min(1.0, 0.05 * 2**number) * (0.5 + self._rng.random()))

    def _fail(self, text: str) -> None:
        self._ledger.violation(text)
        raise Broken(text)


class WalkedAway(Exception):
    """This client has left its upload for good."""


# A request of ours that was believed dead had its way after all: look again, and go on.
_OVERTAKEN = ((400, "BLOB_UPLOAD_INVALID"), (416, "RANGE_INVALID"))
