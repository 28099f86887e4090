"""Which OpenID Connect issuers are trusted: decided by administrators of the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from roadstead.audit import trail
from roadstead.clients.outgoing import check_url
from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.errors import Conflict, NotFound, RequestInvalid
from roadstead.events.outbox import record
from roadstead.identity.federation import queries
from roadstead.identity.federation.keys import KeySetInvalid, holds_private_keys, public_document, read_keys
from roadstead.identity.federation.queries import StoredIssuer
from roadstead.identity.principals import Principal
from roadstead.projects.authority import Authority
from roadstead.telemetry.clock import Clock, now_ms

ISSUER_CREATED = "trusted_issuer.created"
ISSUER_UPDATED = "trusted_issuer.updated"
ISSUER_DELETED = "trusted_issuer.deleted"
LONGEST_NAME = 255


class IssuerUnknown(NotFound):
    """There is no such trusted issuer."""

    def __init__(self, reference: object) -> None:
        super().__init__(
            f"no such trusted issuer: {str(reference)[:255]}",
            remedy="an administrator of the registry lists them",
        )


class IssuerExists(Conflict):
    """The name is taken, or the issuer is trusted already."""


@dataclass(frozen=True, slots=True)
class IssuerDraft:
    """What an administrator wants: where the keys are, or the keys, or neither and they are discovered."""

    name: str
    issuer: str
    audience: str
    jwks_uri: str | None = None
    jwks: Mapping[str, Any] | None = None


class TrustedIssuers:
    def __init__(self, database: Database, authority: Authority, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._authority = authority
        self._clock = clock

    async def list(self, principal: Principal, request: ListRequest) -> tuple[Sequence[StoredIssuer], int]:
        await self._authority.system(principal, "trusted-issuer:list")
        return await self._database.read(queries.issuers_page, request)

    async def get(self, principal: Principal, issuer_id: int) -> StoredIssuer:
        """Raises `IssuerUnknown`."""
        await self._authority.system(principal, "trusted-issuer:read")
        return await self._database.read(_existing, issuer_id)

    async def create(self, principal: Principal, draft: IssuerDraft) -> int:
        """Raises `RequestInvalid` or `IssuerExists`."""
        await self._authority.system(principal, "trusted-issuer:create")
        _check(draft)
        try:
            return await self._database.write(_create, principal, draft, now=self._clock())
        except IntegrityError:
            raise _exists(draft) from None

    async def update(self, principal: Principal, issuer_id: int, draft: IssuerDraft) -> None:
        """Everything but the issuer itself: rules were written for that one.  Its keys are fetched anew."""
        await self._authority.system(principal, "trusted-issuer:update")
        _check(draft)
        try:
            await self._database.write(_update, principal, issuer_id, draft, now=self._clock())
        except IntegrityError:
            raise _exists(draft) from None

    async def delete(self, principal: Principal, issuer_id: int) -> None:
        """Raises `IssuerUnknown`.  The trust rules that name it go with it."""
        await self._authority.system(principal, "trusted-issuer:delete")
        await self._database.write(_delete, principal, issuer_id, now=self._clock())


def _check(draft: IssuerDraft) -> None:
    if not 1 <= len(draft.name) <= LONGEST_NAME or not draft.name.isprintable():
        raise RequestInvalid(f"a name has 1 to {LONGEST_NAME} characters", remedy="send `name`")
    if not draft.audience or not draft.audience.isprintable():
        raise RequestInvalid(
            "the audience is empty: tokens made for anybody would be good here",
            remedy="send as `audience` what tokens for this registry say, such as its address",
        )
    check_url(draft.issuer)
    if "?" in draft.issuer:
        raise RequestInvalid("an issuer's address has no query", remedy="write it as its tokens do")
    if draft.jwks_uri is not None:
        check_url(draft.jwks_uri)
    if draft.jwks is not None:
        _check_keys(draft.jwks)


def _check_keys(document: Mapping[str, Any]) -> None:
    if holds_private_keys(document):
        raise RequestInvalid(
            "the keys hold a private key, which is nobody's business but the issuer's",
            remedy="send the public keys, and replace that one where it is used",
        )
    try:
        usable = read_keys(public_document(document))
    except KeySetInvalid as error:
        raise RequestInvalid(f"`jwks` is no set of keys: {error}", remedy="send a JSON Web Key Set") from None
    if not usable:
        raise RequestInvalid(
            "`jwks` has no key that can be used: RSA from 2048 bits, P-256, P-384, P-521 or Ed25519, each with a kid",
            remedy="send the issuer's public keys",
        )


def _kept(draft: IssuerDraft) -> dict[str, object]:
    return asdict(draft) | {"jwks": None if draft.jwks is None else public_document(draft.jwks)}


def _exists(draft: IssuerDraft) -> IssuerExists:
    return IssuerExists(
        f"there is a trusted issuer of this name or address already: {draft.name}", remedy="change that one"
    )


def _existing(conn: Connection, issuer_id: int) -> StoredIssuer:
    found = queries.issuer_with_id(conn, issuer_id)
    if found is None:
        raise IssuerUnknown(issuer_id)
    return found


def _create(conn: Connection, principal: Principal, draft: IssuerDraft, *, now: int) -> int:
    issuer_id = queries.add_issuer(conn, _kept(draft), now=now)
    _tell(conn, principal, "create", _existing(conn, issuer_id), now=now)
    record(conn, ISSUER_CREATED, project_id=None, now=now, issuer=draft.issuer, user=principal.username)
    return issuer_id


def _update(conn: Connection, principal: Principal, issuer_id: int, draft: IssuerDraft, *, now: int) -> None:
    before = _existing(conn, issuer_id)
    if draft.issuer != before.issuer:
        raise RequestInvalid(
            f"the issuer stays {before.issuer}: the rules that name it were written for that one",
            remedy="trust another issuer, and write rules for it",
        )
    queries.change_issuer(conn, issuer_id, _kept(draft), now=now)
    _tell(conn, principal, "update", _existing(conn, issuer_id), now=now)
    record(conn, ISSUER_UPDATED, project_id=None, now=now, issuer=draft.issuer, user=principal.username)


def _delete(conn: Connection, principal: Principal, issuer_id: int, *, now: int) -> None:
    gone = _existing(conn, issuer_id)
    queries.remove_issuer(conn, issuer_id)
    _tell(conn, principal, "delete", gone, now=now)
    record(conn, ISSUER_DELETED, project_id=None, now=now, issuer=gone.issuer, user=principal.username)


def _tell(conn: Connection, principal: Principal, operation: str, issuer: StoredIssuer, *, now: int) -> None:
    payload = {
        "issuer": issuer.issuer,
        "audience": issuer.audience,
        "jwks_uri": issuer.jwks_uri,
        "keys_given": issuer.jwks is not None,
    }
    trail.record(conn, principal, operation, "trusted-issuer", issuer.name, now=now, payload=payload)
