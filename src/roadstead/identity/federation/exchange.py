"""A token of a trusted issuer for a robot's short-lived login token, as in RFC 8693.

The same token may be shown again while it is good: a build's steps each sign in.  Each time is written down.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog
from sqlalchemy import Connection

from roadstead.audit import trail
from roadstead.db.database import Database
from roadstead.errors import Unauthenticated
from roadstead.events.outbox import record
from roadstead.identity.authentication import SignInNotes
from roadstead.identity.federation import queries
from roadstead.identity.federation.claims import fits
from roadstead.identity.federation.issuers import IssuerKeys
from roadstead.identity.federation.queries import StoredIssuer, TrustedRobot
from roadstead.identity.federation.tokens import Claims, ExternalToken, ExternalTokenInvalid
from roadstead.identity.login_tokens import issue_login_token
from roadstead.identity.principals import Principal
from roadstead.identity.rules import canonical_login
from roadstead.telemetry.clock import Clock, now_ms

log = structlog.get_logger()

TOKEN_EXCHANGED = "robot.token_exchanged"  # noqa: S105 - an event's name
_LONGEST_CLAIM = 300


class TokenNotAccepted(Unauthenticated):
    """One answer for a forged token, one that is over, one that no rule fits, and a robot that is not there."""

    def __init__(self) -> None:
        super().__init__(
            "the token is not accepted for this robot",
            remedy="check the robot's name, its trust rules, and the token's issuer, audience and claims;"
            " the log of the registry has the reason",
        )


class Exchanged(NamedTuple):
    username: str
    secret: str
    # In seconds.
    expires_in: int


class _Proof(NamedTuple):
    issuer: StoredIssuer
    claims: Claims


class Exchange:
    def __init__(
        self,
        database: Database,
        keys: IssuerKeys,
        *,
        lifetime: int,
        notes: SignInNotes | None = None,
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._keys = keys
        self._lifetime = lifetime
        self._notes = notes
        self._clock = clock

    async def exchange(self, text: str, robot: str, here: Principal) -> Exchanged:
        """A login token of the robot of that full name, for whoever shows `text`.  `here` is where they come from.

        Raises `TokenNotAccepted` or `IssuerSilent`.
        """
        try:
            proof = await self._verified(text)
        except ExternalTokenInvalid as error:
            log.info("federation.token_refused", reason=str(error), address=here.address)
            raise TokenNotAccepted from None
        name = canonical_login(robot) or ""
        found = await self._database.read(queries.trusted_robot, name, proof.issuer.id)
        if found is None or not any(fits(rule, proof.claims) for rule in found.rules):
            log.info(
                "federation.no_rule_fits",
                issuer=proof.issuer.name,
                subject=_claim(proof.claims, "sub"),
                robot=name,
                address=here.address,
            )
            self._refused(name, here, proof)
            raise TokenNotAccepted
        return await self._issue(found, proof, here)

    async def _verified(self, text: str) -> _Proof:
        token = ExternalToken.parse(text)
        issuer = await self._database.read(queries.issuer_called, token.issuer)
        if issuer is None:
            raise ExternalTokenInvalid("the issuer is not trusted")
        key = await self._keys.key(issuer, token.key_id, token.algorithm)
        if key is None:
            raise ExternalTokenInvalid("the issuer has no such key")
        claims = token.verify(key, issuer=issuer.issuer, audience=issuer.audience, now=self._clock() // 1000)
        return _Proof(issuer, claims)

    async def _issue(self, robot: TrustedRobot, proof: _Proof, here: Principal) -> Exchanged:
        now = self._clock()
        issued = await self._database.write(_issue, robot, proof, here, lifetime=self._lifetime, now=now)
        if issued is None:
            # Disabled or expired, or gone since.
            self._refused(robot.username, here, proof)
            raise TokenNotAccepted
        return Exchanged(robot.username, issued, self._lifetime)

    def _refused(self, name: str, here: Principal, proof: _Proof) -> None:
        if self._notes is not None:
            why = f"a token of {proof.issuer.name} that is not accepted for this robot"
            self._notes.note(here, "login", "robot", name, outcome="refused", description=why)


def _issue(
    conn: Connection, robot: TrustedRobot, proof: _Proof, here: Principal, *, lifetime: int, now: int
) -> str | None:
    if not queries.may_enter(conn, robot.id, now=now):
        return None
    issuer, subject = proof.issuer.name, _claim(proof.claims, "sub")
    issued = issue_login_token(
        conn, robot.id, f"{issuer}: {subject}"[:_LONGEST_CLAIM], lifetime, now, address=here.address
    )
    queries.note_use(conn, robot.id, now=now)
    actor = Principal(robot.id, robot.username, 0, scopes=None).at(
        here.door, address=here.address, request_id=here.request_id
    )
    trail.record(
        conn,
        actor,
        "exchange_token",
        "robot",
        robot.username,
        now=now,
        payload={"issuer": issuer, "subject": subject, "token_id": _claim(proof.claims, "jti")},
    )
    record(
        conn,
        TOKEN_EXCHANGED,
        project_id=None,
        now=now,
        robot=robot.username,
        robot_id=robot.id,
        issuer=issuer,
        subject=subject,
    )
    return issued.secret


def _claim(claims: Claims, name: str) -> str:
    """For people to read.  Text that both databases can keep."""
    value = claims.get(name)
    text = value if isinstance(value, str) else ""
    return text.encode("ascii", "backslashreplace").decode().replace("\0", "")[:_LONGEST_CLAIM]
