"""The accounts as the operator has them at hand: by name, and with no leave to ask.  `accounts/service.py` is what
people may ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from roadstead.audit.trail import Actor
from roadstead.db.database import Database
from roadstead.db.tables.users import CHOSEN, HANDED_OVER
from roadstead.identity import lockouts, queries
from roadstead.identity.accounts import changes
from roadstead.identity.accounts.changes import LastAdministrator, NewAccount, UserExists, UserUnknown
from roadstead.identity.passwords import PasswordHasher
from roadstead.identity.principals import OPERATOR
from roadstead.identity.queries import Account
from roadstead.identity.rules import canonical_username, check_new_password, check_username
from roadstead.telemetry.clock import Clock, now_ms

__all__ = ["AccountPage", "LastAdministrator", "UserExists", "UserUnknown", "Users", "create_account"]

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class AccountPage:
    accounts: Sequence[Account]
    # Whether there are more after the last of these.
    more: bool


class Users:
    """The accounts of people.

    A new password, disabling and deletion end every token and every remembered password of the account with
    the next request, on every worker: the account's epoch goes up, or its id is gone for good.

    The operator's passwords need eight characters and no more: rules of kinds of letters are for people who choose
    over the network.
    """

    def __init__(
        self, database: Database, hasher: PasswordHasher, *, actor: Actor = OPERATOR, clock: Clock = now_ms
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._actor = actor
        self._clock = clock

    async def create(
        self, username: str, password: str, *, admin: bool = False, must_change: bool = False
    ) -> Account:
        """With `must_change`, the password is good for choosing another only.

        Raises `UsernameInvalid`, `PasswordUnfit` or `UserExists`.
        """
        name = check_username(username)
        encoded = await self._hasher.hash(check_new_password(password))
        new = NewAccount(name, encoded, admin, HANDED_OVER if must_change else CHOSEN)
        return await self._database.write(changes.create, self._actor, new, self._clock())

    async def get(self, username: str) -> Account:
        """Raises `UserUnknown`."""
        return await self._database.read(_existing, username)

    async def list(self, *, after: str = "", limit: int = 100) -> AccountPage:
        """The accounts whose names follow `after`, bytewise."""
        limit = max(1, min(limit, MAX_PAGE))
        # One more than asked for, to learn whether there is a next page.
        found = await self._database.read(queries.accounts_page, after=after, limit=limit + 1)
        return AccountPage(found[:limit], more=len(found) > limit)

    async def set_password(self, username: str, password: str, *, must_change: bool = False) -> None:
        """Raises `UserUnknown` or `PasswordUnfit`."""
        encoded = await self._hasher.hash(check_new_password(password))
        state = HANDED_OVER if must_change else CHOSEN
        account = await self.get(username)
        await self._database.write(
            changes.set_password, self._actor, account, encoded, state=state, now=self._clock()
        )

    async def set_admin(self, username: str, admin: bool) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        account = await self.get(username)
        await self._database.write(changes.set_admin, self._actor, account.id, admin, self._clock())

    async def disable(self, username: str) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        account = await self.get(username)
        await self._database.write(changes.set_disabled, self._actor, account.id, True, self._clock())

    async def enable(self, username: str) -> None:
        """Raises `UserUnknown`."""
        account = await self.get(username)
        await self._database.write(changes.set_disabled, self._actor, account.id, False, self._clock())

    async def unlock(self, username: str) -> None:
        """Let people at addresses that the account does not know try again.  Raises `UserUnknown`."""
        account = await self.get(username)
        await self._database.write(lockouts.lift, self._actor, account, self._clock())

    async def delete(self, username: str) -> None:
        """Raises `UserUnknown`, or `LastAdministrator` if nobody else could administer."""
        account = await self.get(username)
        await self._database.write(changes.remove, self._actor, account.id, self._clock())


def create_account(
    conn: Connection, name: str, encoded: str, *, admin: bool, now: int, password_state: int = CHOSEN
) -> Account:
    """Add an account with a hash already made, for the first start.  Raises `UserExists`."""
    return changes.create(conn, OPERATOR, NewAccount(name, encoded, admin, password_state), now)


def _existing(conn: Connection, username: str) -> Account:
    name = canonical_username(username)
    account = queries.account_named(conn, name) if name else None
    if account is None:
        raise UserUnknown(f"there is no user {username[:255]}", remedy="list the users to see their names")
    return account
