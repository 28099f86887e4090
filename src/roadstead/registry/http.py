"""The `/v2` application: which request goes where, and who answers.  START HERE.

    path                                     methods                 answered by
    ───────────────────────────────────────  ──────────────────────  ─────────────────────
    /v2/, /v2                                GET HEAD                catalog/http.py
    /v2/_catalog                             GET HEAD                catalog/http.py
    /v2/_oci/ext/discover                    GET HEAD                catalog/http.py
    /v2/<name>/_oci/ext/discover             GET HEAD                catalog/http.py
    /v2/<name>/manifests/<tag-or-digest>     GET HEAD PUT DELETE     manifests/http.py
    /v2/<name>/blobs/<digest>                GET HEAD DELETE         blobs/http.py
    /v2/<name>/blobs/uploads/                POST                    uploads/http.py
    /v2/<name>/blobs/uploads/<id>            GET PATCH PUT DELETE    uploads/http.py
    /v2/<name>/tags/list                     GET HEAD                tags/http.py
    /v2/<name>/referrers/<digest>            GET HEAD                referrers/http.py

Whatever is not in the table is refused.  A path is read once, from the bytes on the wire, and authorization
sees the same parts of it as the endpoint does.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from roadstead.errors import (
    Conflict,
    NameInvalid,
    NotFound,
    RequestInvalid,
    RoadsteadError,
    Unauthenticated,
    Unsupported,
)
from roadstead.identity.authentication import Authenticator
from roadstead.identity.challenges import BASIC, challenge
from roadstead.identity.credentials import authorization_header
from roadstead.projects.access import Overtaken, SignInNeeded
from roadstead.projects.service import Projects
from roadstead.registry.calls import Call, ClientGone, Header, Receive, Reply, Scope, Send
from roadstead.registry.delivery import deliver
from roadstead.registry.dialect import Refusal, refusal
from roadstead.registry.watching import Watch

Endpoint = Callable[[Call], Awaitable[Reply]]
# The address that a client reached us at, such as `https://registry.example.com`.
BaseUrl = Callable[[Scope], str]

# What network rules and the audit log call this entrance.
DOOR = "registry"
API_VERSION: Header = (b"docker-distribution-api-version", b"registry/2.0")
NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_NAMESPACE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.  `pattern` matches a whole path: group 1 the name, group 2 the parameter."""

    path: str
    pattern: re.Pattern[str]
    endpoints: Mapping[str, Endpoint]
    # A pull may say which registry it would rather have asked (`?ns=`).
    pulls: bool = False

    @property
    def allowed(self) -> bytes:
        return ", ".join(sorted(self.endpoints)).encode()


def route(path: str, *, pulls: bool = False, **endpoints: Endpoint) -> Route:
    """`/v2/<name>/blobs/<digest>` and its endpoints by method; HEAD comes with GET."""
    if "GET" in endpoints:
        endpoints["HEAD"] = endpoints["GET"]
    pattern = re.escape(path).replace("<name>", "(.+)")
    return Route(path, re.compile(re.sub(r"<[a-z\\-]+>", "([^/]+)", pattern)), endpoints, pulls=pulls)


class RegistryApp:
    """ASGI, below `/v2`."""

    def __init__(
        self,
        routes: tuple[Route, ...],
        authenticator: Authenticator,
        projects: Projects,
        watch: Watch,
        *,
        base_url: BaseUrl,
        service: str,
        basic_challenge: bool,
    ) -> None:
        self.routes = routes
        self._authenticator = authenticator
        self._projects = projects
        self._watch = watch
        self._base_url = base_url
        self._service = service
        self._basic_challenge = basic_challenge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        try:
            reply = await self._reply(call)
        except ClientGone:
            return
        await deliver(reply, call, send)

    async def _reply(self, call: Call) -> Reply:
        try:
            reply = await self._answer(call)
        except RoadsteadError as error:
            if isinstance(error, ClientGone):
                raise
            if isinstance(error, Overtaken):
                self._authenticator.forget(call.principal)
            self._watch.refused(call, error)
            reply = refusal(error, self._challenge(call, error))
        except Refusal as refused:
            reply = refusal(refused.error, refused.headers)
        except IntegrityError:
            # A row that ours depends on went away between two statements.
            reply = refusal(
                Conflict("what the request depends on was removed just now", remedy="look again, and repeat")
            )
        reply.headers += (API_VERSION, NOSNIFF)
        return reply

    async def _answer(self, call: Call) -> Reply:
        found, endpoint = self._route(call)
        known = await self._authenticator.authenticate(
            authorization_header(call.headers), client=call.client, door=DOOR
        )
        call.principal = known.at(
            DOOR, address=call.client, request_id=call.scope.get("roadstead.request_id", "")
        )
        call.scope["roadstead.user"] = call.principal.username
        if found[0]:
            call.name = self._projects.name(found[0])
            call.parameter = found[1]
        # A query that cannot be read is refused before anything is done.
        query = call.query if call.scope["query_string"] else None
        await self._watch.check_mode(call)
        reply = await endpoint(call)
        self._watch.pulled(call, reply)
        if found[2] and query is not None:
            namespace = query.get("ns")
            if namespace is not None and _NAMESPACE.fullmatch(namespace):
                reply.headers.append((b"oci-namespace", namespace.encode()))
        return reply

    def _route(self, call: Call) -> tuple[tuple[str, str, bool], Endpoint]:
        """`(name, parameter, pulls)` and the endpoint, or the refusal of a path or method that is not served."""
        path = wire_path(call.scope)
        for candidate in self.routes:
            match = candidate.pattern.fullmatch(path)
            if match is None:
                continue
            endpoint = candidate.endpoints.get(call.method)
            if endpoint is None:
                error = Unsupported(
                    f"{call.method} is not supported here", remedy=f"use one of {candidate.allowed.decode()}"
                )
                raise Refusal(error, [(b"allow", candidate.allowed)])
            groups = (*match.groups(), "", "")
            return (groups[0], groups[1], candidate.pulls), endpoint
        raise NotFound("there is nothing at this path", remedy="check the address")

    def _challenge(self, call: Call, error: RoadsteadError) -> list[Header] | None:
        if not isinstance(error, Unauthenticated):
            return None
        if self._basic_challenge:
            return [(b"www-authenticate", BASIC.encode())]
        scope, kind = "", None
        if isinstance(error, SignInNeeded):
            scope, kind = error.scope, "insufficient_scope" if error.insufficient else None
        realm = f"{self._base_url(call.scope)}/service/token"
        value = challenge(realm, self._service, scope, kind)  # type: ignore[arg-type]  # one of its literals
        return [(b"www-authenticate", value.encode())]


def wire_path(scope: Scope) -> str:
    """The path as it was sent.  No name needs percent-encoding, so only the colon of a digest may have it."""
    raw: bytes = scope["raw_path"]
    if b"%" in raw:
        head, slash, last = raw.rpartition(b"/")
        raw = head + slash + last.replace(b"%3A", b":").replace(b"%3a", b":")
        if b"%" in raw:
            raise NameInvalid(
                "names, tags and digests are written without percent-encoding",
                remedy="send the path as it is",
            )
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise RequestInvalid("the path has bytes that no name has", remedy="check the address") from None
