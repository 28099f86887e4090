"""Each change of an account in one transaction: the row, what is told of it, and the audit's entry.

Whether the caller may was decided before; what must be true of the accounts as a whole is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete

from roadstead.audit.trail import Actor
from roadstead.audit.trail import record as record_audit
from roadstead.db.tables.users import CHOSEN, PERSON
from roadstead.errors import Conflict, NotFound
from roadstead.events.outbox import JsonValue, record
from roadstead.identity import queries
from roadstead.identity.login_tokens import SESSIONS
from roadstead.identity.queries import Account

CREATED = "user.created"
UPDATED = "user.updated"
PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - an event's name
ADMIN_CHANGED = "user.admin_changed"
DISABLED = "user.disabled"
ENABLED = "user.enabled"
DELETED = "user.deleted"


class UserUnknown(NotFound):
    """There is no such user."""


class UserExists(Conflict):
    """The name, or the e-mail address, is taken."""


class LastAdministrator(Conflict):
    """Nobody would be left who could administer the registry."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an account says of its owner, checked by `rules`."""

    email: str = ""
    realname: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NewAccount:
    username: str
    password_hash: str
    admin: bool = False
    password_state: int = CHOSEN
    profile: Profile = Profile()


def person(conn: Connection, user_id: int) -> Account:
    """Raises `UserUnknown`, for a robot's id too."""
    account = queries.account_with_id(conn, user_id)
    if account is None or account.kind != PERSON:
        raise UserUnknown("there is no user with that number", remedy="list the users to see their numbers")
    return account


def create(conn: Connection, actor: Actor, new: NewAccount, now: int) -> Account:
    """Raises `UserExists`."""
    profile = new.profile
    _check_email_is_free(conn, profile.email)
    added = queries.add_account(
        conn,
        new.username,
        new.password_hash,
        admin=new.admin,
        now=now,
        password_state=new.password_state,
        email=profile.email,
        realname=profile.realname,
        comment=profile.comment,
    )
    account = queries.account_named(conn, new.username)
    if not added or account is None:
        raise UserExists(
            f"there is a user {new.username} already", remedy="choose another name", username=new.username
        )
    record(conn, CREATED, project_id=None, now=now, **_about(account), admin=new.admin)
    _audit(conn, actor, "create", account, now, admin=new.admin)
    return account


def update_profile(conn: Connection, actor: Actor, user_id: int, profile: Profile, now: int) -> None:
    """Raises `UserUnknown` or `UserExists`."""
    account = person(conn, user_id)
    _check_email_is_free(conn, profile.email, but=user_id)
    queries.replace_profile(
        conn,
        user_id,
        email=profile.email,
        realname=profile.realname,
        comment=profile.comment,
        now=now,
    )
    record(conn, UPDATED, project_id=None, now=now, **_about(account), changed="profile")
    _audit(conn, actor, "update", account, now, changed="profile")


def set_password(
    conn: Connection, actor: Actor, account: Account, encoded: str, *, state: int = CHOSEN, now: int
) -> None:
    """Raises `Conflict` if the account has changed since `account` was read."""
    live = person(conn, account.id)
    if live.epoch != account.epoch:
        raise Conflict("the account changed just now", remedy="look again, and repeat")
    queries.replace_password(conn, live.id, encoded, state=state)
    _end_sessions(conn, live.id)
    record(conn, PASSWORD_CHANGED, project_id=None, now=now, **_about(live), changed="password")
    _audit(conn, actor, "update", live, now, changed="password")


def set_admin(conn: Connection, actor: Actor, user_id: int, admin: bool, now: int) -> None:
    """Raises `UserUnknown` or `LastAdministrator`."""
    account = person(conn, user_id)
    _check_power_stays(conn, account, keeps_power=admin)
    if queries.set_admin(conn, user_id, admin):
        record(conn, ADMIN_CHANGED, project_id=None, now=now, **_about(account), admin=admin)
        _audit(conn, actor, "update", account, now, admin=admin)


def set_disabled(conn: Connection, actor: Actor, user_id: int, disabled: bool, now: int) -> None:
    """Raises `UserUnknown` or `LastAdministrator`."""
    account = person(conn, user_id)
    _check_power_stays(conn, account, keeps_power=not disabled)
    if queries.set_disabled(conn, user_id, disabled):
        _end_sessions(conn, user_id)
        if disabled:
            record(conn, DISABLED, project_id=None, now=now, **_about(account))
        else:
            record(conn, ENABLED, project_id=None, now=now, **_about(account))
        _audit(conn, actor, "update", account, now, disabled=disabled)


def remove(conn: Connection, actor: Actor, user_id: int, now: int) -> None:
    """Raises `UserUnknown` or `LastAdministrator`."""
    account = person(conn, user_id)
    _check_power_stays(conn, account, keeps_power=False)
    queries.remove_account(conn, user_id)
    record(conn, DELETED, project_id=None, now=now, **_about(account))
    _audit(conn, actor, "delete", account, now)


def _check_power_stays(conn: Connection, account: Account, *, keeps_power: bool) -> None:
    losing_power = account.admin and not account.disabled and not keeps_power
    if losing_power and not queries.other_active_administrators(conn, account.id):
        raise LastAdministrator(
            f"{account.username} is the only administrator",
            remedy="make somebody else an administrator first",
            username=account.username,
        )


def _check_email_is_free(conn: Connection, email: str, *, but: int = 0) -> None:
    if email and queries.has_email(conn, email, but=but):
        raise UserExists("another user has this e-mail address", remedy="give another, or none")


def _end_sessions(conn: Connection, user_id: int) -> None:
    """They are void already, by the account's epoch; nobody needs to see them listed."""
    conn.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id))


def _about(account: Account) -> dict[str, JsonValue]:
    return {"user_id": account.id, "username": account.username}


def _audit(
    conn: Connection, actor: Actor, operation: str, account: Account, now: int, **facts: JsonValue
) -> None:
    record_audit(conn, actor, operation, "user", account.username, now=now, payload=facts or None)
