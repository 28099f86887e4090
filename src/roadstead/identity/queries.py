"""The SQL of accounts and of the installation's own keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, Table, delete, func, select, update

from roadstead.db.insert import insert_id_or_none, insert_ignore
from roadstead.db.listing import Field, Fields, ListRequest, page_of
from roadstead.db.tables import Secret, User
from roadstead.db.tables.users import CHOSEN, PERSON

# Names are ASCII: this sorts after everything that may follow in one.
_AFTER_ALL = "\x7f"

USERS: Table = User.__table__  # type: ignore[assignment]  # declared as FromClause
ACCOUNT_FIELDS: Fields = {
    "user_id": Field(USERS.c.id, "number"),
    "username": Field(USERS.c.username),
    "email": Field(USERS.c.email),
    "realname": Field(USERS.c.realname),
    "comment": Field(USERS.c.comment),
    "sysadmin_flag": Field(USERS.c.admin, "flag"),
    "disabled": Field(USERS.c.disabled, "flag"),
    "creation_time": Field(USERS.c.created_at, "time"),
    "update_time": Field(USERS.c.updated_at, "time"),
}
SECRETS: Table = Secret.__table__  # type: ignore[assignment]  # declared as FromClause


@dataclass(frozen=True, slots=True)
class Account:
    """An account as others may see it: everything but the hash."""

    id: int
    username: str
    admin: bool
    disabled: bool
    epoch: int
    created_at: int
    last_login_at: int | None
    # "person" or "robot".
    kind: str = PERSON
    email: str = ""
    realname: str = ""
    comment: str = ""
    expires_at: int | None = None
    # `db.tables.users`: CHOSEN, FIRST_RUN or HANDED_OVER.
    password_state: int = CHOSEN
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is judged by.  Never shown, never logged."""

    account: Account
    password_hash: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    id: str
    value: bytes
    created_at: int
    retired_at: int | None


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────


def account_named(conn: Connection, username: str) -> Account | None:
    row = conn.execute(select(USERS).where(USERS.c.username == username)).mappings().one_or_none()
    return None if row is None else account_of(row)


def account_with_id(conn: Connection, user_id: int) -> Account | None:
    row = conn.execute(select(USERS).where(USERS.c.id == user_id)).mappings().one_or_none()
    return None if row is None else account_of(row)


def credentials_of(conn: Connection, username: str) -> Credentials | None:
    row = conn.execute(select(USERS).where(USERS.c.username == username)).mappings().one_or_none()
    return None if row is None else Credentials(account_of(row), row["password_hash"])


def accounts_page(conn: Connection, *, after: str, limit: int) -> Sequence[Account]:
    """The people whose names follow `after`, bytewise, at most `limit` of them."""
    statement = (
        select(USERS)
        .where(USERS.c.kind == PERSON, USERS.c.username > after)
        .order_by(USERS.c.username)
        .limit(limit)
    )
    return [account_of(row) for row in conn.execute(statement).mappings()]


def accounts_listed(conn: Connection, request: ListRequest) -> tuple[list[Account], int]:
    """The people on a page of a list, and how many there are on all pages."""
    statement = select(USERS).where(USERS.c.kind == PERSON)
    rows, total = page_of(conn, statement, request, ACCOUNT_FIELDS, default=(USERS.c.username,))
    return [account_of(row) for row in rows], total


def names_beginning(conn: Connection, start: str, *, limit: int, offset: int) -> list[tuple[int, str]]:
    """Ids and names of people, the shortest names first: a name in full comes before those it begins."""
    statement = (
        select(USERS.c.id, USERS.c.username)
        .where(USERS.c.kind == PERSON, USERS.c.username >= start, USERS.c.username < start + _AFTER_ALL)
        .order_by(func.length(USERS.c.username), USERS.c.username)
        .limit(limit)
        .offset(offset)
    )
    return [(id_, name) for id_, name in conn.execute(statement)]


def count_beginning(conn: Connection, start: str) -> int:
    statement = select(func.count()).where(
        USERS.c.kind == PERSON, USERS.c.username >= start, USERS.c.username < start + _AFTER_ALL
    )
    return conn.scalar(statement) or 0


def has_email(conn: Connection, email: str, *, but: int = 0) -> bool:
    """Whether somebody else has this address."""
    statement = select(USERS.c.id).where(
        USERS.c.kind == PERSON, func.lower(USERS.c.email) == email.lower(), USERS.c.id != but
    )
    return conn.scalar(statement.limit(1)) is not None


def other_active_administrators(conn: Connection, user_id: int) -> int:
    """How many may administer besides this one.

    The rows stay locked until the transaction ends: two administrators cannot remove each other at once.
    """
    active = (
        select(USERS.c.id)
        .where(USERS.c.kind == PERSON, USERS.c.admin, ~USERS.c.disabled)
        .order_by(USERS.c.id)
        .with_for_update()
    )
    return sum(found != user_id for (found,) in conn.execute(active))


def add_account(
    conn: Connection,
    username: str,
    password_hash: str,
    *,
    admin: bool,
    now: int,
    password_state: int = CHOSEN,
    email: str = "",
    realname: str = "",
    comment: str = "",
) -> bool:
    """False if the name is taken."""
    values = {
        "username": username,
        "password_hash": password_hash,
        "admin": admin,
        "disabled": False,
        "credential_epoch": 1,
        "created_at": now,
        "last_login_at": None,
        "kind": PERSON,
        "email": email,
        "realname": realname,
        "comment": comment,
        "password_state": password_state,
        "updated_at": now,
    }
    return insert_id_or_none(conn, User, values, keys=("username",)) is not None


def replace_password(conn: Connection, user_id: int, password_hash: str, *, state: int = CHOSEN) -> None:
    """A new password: whatever was proved with the old one is void."""
    conn.execute(
        update(USERS)
        .where(USERS.c.id == user_id)
        .values(
            password_hash=password_hash,
            password_state=state,
            credential_epoch=USERS.c.credential_epoch + 1,
        )
    )


def replace_profile(
    conn: Connection, user_id: int, *, email: str, realname: str, comment: str, now: int
) -> None:
    conn.execute(
        update(USERS)
        .where(USERS.c.id == user_id)
        .values(email=email, realname=realname, comment=comment, updated_at=now)
    )


def renew_hash(conn: Connection, user_id: int, *, before: str, after: str) -> None:
    """The same password, hashed with newer parameters; unless it has been changed meanwhile."""
    conn.execute(
        update(USERS)
        .where(USERS.c.id == user_id, USERS.c.password_hash == before)
        .values(password_hash=after)
    )


def set_admin(conn: Connection, user_id: int, admin: bool) -> bool:
    """Whether that was a change."""
    changed = conn.execute(
        update(USERS).where(USERS.c.id == user_id, USERS.c.admin != admin).values(admin=admin)
    )
    return changed.rowcount == 1


def set_disabled(conn: Connection, user_id: int, disabled: bool) -> bool:
    """Whether that was a change.  Both ways void what was proved before: no token outlives an interruption."""
    changed = conn.execute(
        update(USERS)
        .where(USERS.c.id == user_id, USERS.c.disabled != disabled)
        .values(disabled=disabled, credential_epoch=USERS.c.credential_epoch + 1)
    )
    return changed.rowcount == 1


def remove_account(conn: Connection, user_id: int) -> None:
    conn.execute(delete(USERS).where(USERS.c.id == user_id))


def note_login(conn: Connection, user_id: int, *, now: int, unless_after: int) -> None:
    conn.execute(
        update(USERS)
        .where(
            USERS.c.id == user_id, USERS.c.last_login_at.is_(None) | (USERS.c.last_login_at <= unless_after)
        )
        .values(last_login_at=now)
    )


def account_of(row: RowMapping) -> Account:
    return Account(
        id=row["id"],
        username=row["username"],
        admin=bool(row["admin"]),
        disabled=bool(row["disabled"]),
        epoch=row["credential_epoch"],
        created_at=row["created_at"],
        last_login_at=row["last_login_at"],
        kind=row["kind"],
        email=row["email"],
        realname=row["realname"],
        comment=row["comment"],
        expires_at=row["expires_at"],
        password_state=row["password_state"],
        updated_at=row["updated_at"],
    )


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────


def keys_for(conn: Connection, purpose: str) -> Sequence[StoredKey]:
    """Every key kept for a purpose, the oldest first."""
    statement = (
        select(SECRETS.c.id, SECRETS.c.value, SECRETS.c.created_at, SECRETS.c.retired_at)
        .where(SECRETS.c.purpose == purpose)
        .order_by(SECRETS.c.created_at, SECRETS.c.id)
    )
    return [
        StoredKey(id_, bytes(value), created, retired)
        for id_, value, created, retired in conn.execute(statement)
    ]


def keep_key(conn: Connection, key_id: str, purpose: str, value: bytes, *, now: int) -> None:
    """Keep a key, unless one of that id is kept already: whoever comes first decides for all."""
    values = {"id": key_id, "purpose": purpose, "value": value, "created_at": now, "retired_at": None}
    insert_ignore(conn, Secret, values, keys=("id",))


def retire_keys(conn: Connection, purpose: str, *, but: str, now: int) -> None:
    conn.execute(
        update(SECRETS)
        .where(SECRETS.c.purpose == purpose, SECRETS.c.id != but, SECRETS.c.retired_at.is_(None))
        .values(retired_at=now)
    )


def forget_keys(conn: Connection, purpose: str, *, retired_before: int) -> None:
    conn.execute(delete(SECRETS).where(SECRETS.c.purpose == purpose, SECRETS.c.retired_at < retired_before))
