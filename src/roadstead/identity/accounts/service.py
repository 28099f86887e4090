"""What people may ask about accounts: of their own, and of others' if they administer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from roadstead.db.database import Database
from roadstead.db.listing import ListRequest
from roadstead.db.tables.users import CHOSEN, HANDED_OVER, ROBOT
from roadstead.errors import Denied, Precondition, Unauthenticated
from roadstead.identity import lockouts, queries
from roadstead.identity.accounts import changes
from roadstead.identity.accounts.authority import SystemAuthority
from roadstead.identity.accounts.changes import NewAccount, Profile
from roadstead.identity.authentication import Authenticator, PasswordHandedOver, WrongCredentials
from roadstead.identity.credentials import Password
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.principals import Principal
from roadstead.identity.queries import Account
from roadstead.identity.rules import (
    MAX_COMMENT,
    PasswordUnfit,
    check_chosen_password,
    check_email,
    check_new_password,
    check_profile_text,
    check_username,
)
from roadstead.telemetry.clock import Clock, now_ms


class OldPasswordWrong(Denied):
    """Whoever changes their password shows that they know it."""

    def __init__(self) -> None:
        super().__init__("the current password is not correct", remedy="send it as old_password")


class RobotAsked(Precondition):
    """A robot is no user, and has no profile."""

    def __init__(self) -> None:
        super().__init__("robots have no user of their own", remedy="sign in as a person")


@dataclass(frozen=True, slots=True)
class Draft:
    """An account that somebody wants, as they sent it."""

    username: str
    password: str
    profile: Profile
    admin: bool = False
    must_change: bool = False


class Accounts:
    """Everybody may see and change their own account; the rest is for those with the permission, `user:…`.

    Whoever is not an administrator can neither make one nor change one, whatever their permissions; nor can they
    take over an account by giving it a password.
    """

    def __init__(
        self,
        database: Database,
        hasher: PasswordHasher,
        authenticator: Authenticator,
        authority: SystemAuthority,
        *,
        self_registration: Callable[[], Awaitable[bool]],
        clock: Clock = now_ms,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._authenticator = authenticator
        self._authority = authority
        self._self_registration = self_registration
        self._clock = clock

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────

    async def everybody(self, principal: Principal, request: ListRequest) -> tuple[list[Account], int]:
        await self._authority.system(principal, "user:list")
        return await self._database.read(queries.accounts_listed, request)

    async def search(
        self, principal: Principal, start: str, request: ListRequest
    ) -> tuple[list[tuple[int, str]], int]:
        """Ids and names of the people whose names begin so, the name itself first."""
        await self._authority.signed_in(principal)
        start = start.lower()
        if not start or not start.isascii():
            return [], 0
        found = await self._database.read(
            queries.names_beginning, start, limit=request.page_size, offset=request.offset
        )
        return found, await self._database.read(queries.count_beginning, start)

    async def get(self, principal: Principal, user_id: int) -> Account:
        """Raises `UserUnknown`."""
        await self._may(principal, user_id, "user:read")
        return await self._database.read(changes.person, user_id)

    async def current(self, principal: Principal) -> Account:
        """The caller's own.  Raises `RobotAsked`."""
        await self._authority.signed_in(principal)
        account = await self._database.read(queries.account_with_id, principal.user_id or 0)
        if account is None or account.kind == ROBOT:
            raise RobotAsked
        return account

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, principal: Principal, draft: Draft) -> Account:
        """Raises `UsernameInvalid`, `PasswordUnfit`, `ProfileInvalid` or `UserExists`."""
        await self._may_create(principal)
        _check_lasting(principal)
        if draft.admin:
            await self._administers(principal, "make another administrator")
        name = check_username(draft.username)
        profile = _checked(draft.profile)
        encoded = await self._hasher.hash(_fit(principal, draft.password, name))
        state = HANDED_OVER if draft.must_change else CHOSEN
        new = NewAccount(name, encoded, draft.admin, state, profile)
        return await self._database.write(changes.create, principal, new, self._clock())

    async def update_profile(self, principal: Principal, user_id: int, profile: Profile) -> None:
        """Raises `UserUnknown`, `ProfileInvalid` or `UserExists`."""
        await self._may(principal, user_id, "user:update")
        await self._check_rank(principal, user_id)
        await self._database.write(
            changes.update_profile, principal, user_id, _checked(profile), self._clock()
        )

    async def delete(self, principal: Principal, user_id: int) -> None:
        """Raises `UserUnknown` or `LastAdministrator`."""
        await self._authority.system(principal, "user:delete")
        if user_id == principal.user_id:
            raise Denied("nobody deletes their own account", remedy="ask another administrator")
        await self._check_rank(principal, user_id)
        await self._database.write(changes.remove, principal, user_id, self._clock())

    async def set_admin(self, principal: Principal, user_id: int, admin: bool) -> None:
        """Raises `UserUnknown` or `LastAdministrator`."""
        await self._administers(principal, "say who administers")
        if admin:
            _check_lasting(principal)
        await self._database.write(changes.set_admin, principal, user_id, admin, self._clock())

    async def set_disabled(self, principal: Principal, user_id: int, disabled: bool) -> None:
        """Shut an account out at once, or let it in again.  Raises `UserUnknown` or `LastAdministrator`."""
        await self._authority.system(principal, "user:update")
        await self._check_rank(principal, user_id)
        await self._database.write(changes.set_disabled, principal, user_id, disabled, self._clock())

    async def unlock(self, principal: Principal, user_id: int) -> None:
        """Let people at addresses that the account does not know try again.  Raises `UserUnknown`."""
        await self._authority.system(principal, "user:update")
        account = await self._database.read(changes.person, user_id)
        await self._database.write(lockouts.lift, principal, account, self._clock())

    async def set_password(
        self, principal: Principal, user_id: int, *, old: str, new: str, must_change: bool = False
    ) -> None:
        """One's own, with the old one; or, for administrators, somebody else's.

        Whoever is signed in with the old one, or by anything made from it, must sign in again.  Raises
        `UserUnknown`, `OldPasswordWrong`, `PasswordUnfit` or `TooManyRequests`.
        """
        await self._authority.signed_in(principal)
        own = user_id == principal.user_id
        if principal.must_change and not own:
            raise PasswordHandedOver(principal)
        if not own:
            await self._administers(principal, "give others a password")
            _check_lasting(principal)
        account = await self._database.read(changes.person, user_id)
        if own:
            await self._check_old(principal, account, old)
        encoded = _fit(principal, new, account.username)
        await self._check_new(account, new)
        state = HANDED_OVER if must_change and not own else CHOSEN
        hashed = await self._hasher.hash(encoded)
        await self._database.write(
            changes.set_password, principal, account, hashed, state=state, now=self._clock()
        )

    # ── who may ─────────────────────────────────────────────────────────────────────────────────────────

    async def _may(self, principal: Principal, user_id: int, permission: str) -> None:
        await self._authority.signed_in(principal)
        if user_id != principal.user_id:
            await self._authority.system(principal, permission)

    async def _may_create(self, principal: Principal) -> None:
        try:
            await self._authority.system(principal, "user:create")
        except Unauthenticated:
            # Whoever has no account yet.  Somebody who has one needs no second.
            if not principal.anonymous or not await self._self_registration():
                raise

    async def _administers(self, principal: Principal, what: str) -> None:
        await self._authority.signed_in(principal)
        if not await self._authority.administrator(principal):
            raise Denied(f"only administrators may {what}", remedy="ask an administrator of the registry")

    async def _check_rank(self, principal: Principal, user_id: int) -> None:
        account = await self._database.read(changes.person, user_id)
        if account.admin and user_id != principal.user_id:
            await self._administers(principal, "change an administrator's account")

    async def _check_old(self, principal: Principal, account: Account, old: str) -> None:
        """Guesses are counted like those of somebody who signs in."""
        shown = Password(account.username, old.encode())
        try:
            found = await self._authenticator.sign_in(
                shown, client=principal.address, live=True, door="api", request_id=principal.request_id
            )
        except WrongCredentials:
            raise OldPasswordWrong from None
        if found.until is not None or found.user_id != account.id:
            # A login token is no password.
            raise OldPasswordWrong

    async def _check_new(self, account: Account, new: str) -> None:
        credentials = await self._database.read(queries.credentials_of, account.username)
        if credentials is not None and await self._hasher.verify(credentials.password_hash, new.encode()):
            raise PasswordUnfit("the new password is the one before", remedy="choose another")


def _fit(principal: Principal, password: str, username: str) -> bytes:
    """The operator, who may set any password in the database itself, is held to the length only."""
    return check_new_password(password) if principal.operator else check_chosen_password(password, username)


def _check_lasting(principal: Principal) -> None:
    """A short-lived token opens no other way in: that would be good for longer than it is."""
    if principal.until is not None:
        raise Denied(
            "a short-lived login token makes no accounts, passwords or administrators: they would outlive it",
            remedy="sign in with a password or a robot's secret",
        )


def _checked(profile: Profile) -> Profile:
    return Profile(
        check_email(profile.email),
        check_profile_text(profile.realname, "full name"),
        check_profile_text(profile.comment, "comment", MAX_COMMENT),
    )
