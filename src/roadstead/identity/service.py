"""What people may ask about accounts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from roadstead.db.database import Database
from roadstead.errors import Conflict, NotFound
from roadstead.identity import queries
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.queries import Account
from roadstead.identity.rules import canonical_username, check_new_password, check_username
from roadstead.telemetry.clock import Clock, now_ms

MAX_PAGE = 1000


class UserUnknown(NotFound):
    """There is no such user."""


class UserExists(Conflict):
    """The name is taken."""


class LastAdministrator(Conflict):
    """Nobody would be left who could administer the registry."""


@dataclass(frozen=True, slots=True)
class AccountPage:
    accounts: Sequence[Account]
    # Whether there are more after the last of these.
    more: bool


class Users:
    """The accounts of people.

    A new password, disabling and deletion end every token and every remembered password of the account with
    the next request, on every worker: the account's epoch goes up, or its id is gone for good.
    """

    def __init__(self, database: Database, hasher: PasswordHasher, *, clock: Clock = now_ms) -> None:
        self._database = database
        self._hasher = hasher
        self._clock = clock

    async def create(self, username: str, password: str, *, admin: bool = False) -> Account:
        """Raises `UsernameInvalid`, `PasswordUnfit` or `UserExists`."""
        name = check_username(username)
        encoded = await self._hasher.hash(check_new_password(password))
        return await self._database.write(create_account, name, encoded, admin=admin, now=self._clock())

    async def get(self, username: str) -> Account:
        """Raises `UserUnknown`."""
        return await self._database.read(_existing, username)

    async def list(self, *, after: str = "", limit: int = 100) -> AccountPage:
        """The accounts whose names follow `after`, bytewise."""
        limit = max(1, min(limit, MAX_PAGE))
        # One more than asked for, to learn whether there is a next page.
        found = await self._database.read(queries.accounts_page, after=after, limit=limit + 1)
        return AccountPage(found[:limit], more=len(found) > limit)

    async def set_password(self, username: str, password: str) -> None:
        """Raises `UserUnknown` or `PasswordUnfit`."""
        encoded = await self._hasher.hash(check_new_password(password))
        await self._database.write(_set_password, username, encoded)

    async def set_admin(self, username: str, admin: bool) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        await self._database.write(_change, username, _SetAdmin(admin), keeps_power=admin)

    async def disable(self, username: str) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        await self._database.write(_change, username, _SetDisabled(True), keeps_power=False)

    async def enable(self, username: str) -> None:
        """Raises `UserUnknown`."""
        await self._database.write(_change, username, _SetDisabled(False), keeps_power=True)

    async def delete(self, username: str) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        await self._database.write(_change, username, queries.remove_account, keeps_power=False)


def create_account(conn: Connection, name: str, encoded: str, *, admin: bool, now: int) -> Account:
    """Add an account with a hash already made; for `Users` and for the first start."""
    if not queries.add_account(conn, name, encoded, admin=admin, now=now):
        raise UserExists(f"there is a user {name} already", remedy="choose another name", username=name)
    return _existing(conn, name)


def _existing(conn: Connection, username: str) -> Account:
    name = canonical_username(username)
    account = queries.account_named(conn, name) if name else None
    if account is None:
        raise UserUnknown(f"there is no user {username}", remedy="list the users to see their names")
    return account


def _set_password(conn: Connection, username: str, encoded: str) -> None:
    queries.replace_password(conn, _existing(conn, username).id, encoded)


@dataclass(frozen=True, slots=True)
class _SetAdmin:
    admin: bool

    def __call__(self, conn: Connection, user_id: int) -> None:
        queries.set_admin(conn, user_id, self.admin)


@dataclass(frozen=True, slots=True)
class _SetDisabled:
    disabled: bool

    def __call__(self, conn: Connection, user_id: int) -> None:
        queries.set_disabled(conn, user_id, self.disabled)


def _change(
    conn: Connection, username: str, change: Callable[[Connection, int], None], *, keeps_power: bool
) -> None:
    account = _existing(conn, username)
    losing_power = account.admin and not account.disabled and not keeps_power
    if losing_power and not queries.other_active_administrators(conn, account.id):
        raise LastAdministrator(
            f"{account.username} is the only administrator",
            remedy="make somebody else an administrator first",
            username=account.username,
        )
    change(conn, account.id)
