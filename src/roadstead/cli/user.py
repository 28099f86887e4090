"""`roadstead user …`: the people who may sign in.  Works on the database itself, with or without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.offline import ask_offline
from roadstead.cli.options import data_options, output_options, show_options
from roadstead.cli.output import Record, print_list, print_one
from roadstead.cli.passwords import password_options, read_password
from roadstead.cli.terminal import confirm_or_refuse, say

if TYPE_CHECKING:
    from roadstead.identity.queries import Account
    from roadstead.identity.service import Users

T = TypeVar("T")

_PAGE = 1000
_COLUMNS = ("username", "sysadmin_flag", "disabled", "creation_time", "last_login_time")


@click.group(
    "user",
    cls=LazyGroup,
    members={},
    examples=[
        ("Who may sign in", "roadstead user list"),
        ("Add a person; asks for the password", "roadstead user create anna"),
    ],
)
def user() -> None:
    """List, add and change the people who may sign in."""


@command(
    "list",
    examples=[
        ("Everybody", "roadstead user list"),
        (
            "Who has not signed in for longest, for a spreadsheet",
            "roadstead user list --sort last_login_time -o csv",
        ),
    ],
)
@data_options
@output_options
def list_users(
    *,
    config_file: Path | None,
    data: str | None,
    output_format: str,
    quiet: bool,
    columns: str | None,
    sort: str | None,
) -> None:
    """List the accounts."""
    records = _with_users(config_file, data, _all_records)
    print_list(
        records, name="username", columns=_COLUMNS,
        output_format=output_format, quiet=quiet, chosen=columns, sort=sort,
    )  # fmt: skip


@command(
    "show",
    examples=[
        ("One account", "roadstead user show anna"),
        ("Whether there is such an account: exit code 0 or 3", "roadstead user show anna -q"),
    ],
)
@click.argument("username")
@data_options
@show_options
def show(config_file: Path | None, data: str | None, username: str, output_format: str, quiet: bool) -> None:
    """Show one account."""
    account = _with_users(config_file, data, lambda users: users.get(username))
    print_one(_record(account), name="username", output_format=output_format, quiet=quiet)


@command(
    "create",
    examples=[
        ("Add a person; asks for the password", "roadstead user create anna"),
        (
            "Add an administrator from a script",
            "roadstead user create anna --admin --password-file anna.password",
        ),
    ],
)
@click.argument("username")
@click.option("--admin", is_flag=True, help="Make it an administrator.")
@password_options
@data_options
@show_options
def create(
    *,
    config_file: Path | None,
    data: str | None,
    username: str,
    admin: bool,
    password_stdin: bool,
    password_file: Path | None,
    output_format: str,
    quiet: bool,
) -> None:
    """Add an account."""
    password = read_password(stdin=password_stdin, file=password_file, whose=username)
    account = _with_users(config_file, data, lambda users: users.create(username, password, admin=admin))
    print_one(_record(account), name="username", output_format=output_format, quiet=quiet)


@command(
    "reset-password",
    examples=[
        ("Asks for the new password", "roadstead user reset-password admin"),
        ("From a script", "roadstead user reset-password admin --password-stdin < admin.password"),
    ],
)
@click.argument("username")
@password_options
@data_options
def reset_password(
    config_file: Path | None,
    data: str | None,
    username: str,
    password_stdin: bool,
    password_file: Path | None,
) -> None:
    """Set a new password.  Whoever is signed in with the old one must sign in again."""
    password = read_password(stdin=password_stdin, file=password_file, whose=username)
    _with_users(config_file, data, lambda users: users.set_password(username, password))
    say(f"{username} has a new password. Tokens issued before are void.")


@command(
    "disable",
    examples=[
        ("Shut somebody out, and keep the account", "roadstead user disable anna"),
        ("In another installation", "roadstead user disable anna --data /srv/roadstead"),
    ],
)
@click.argument("username")
@data_options
def disable(config_file: Path | None, data: str | None, username: str) -> None:
    """Shut an account out, at once."""
    _with_users(config_file, data, lambda users: users.disable(username))
    say(f"{username} is disabled. To undo: roadstead user enable {username}")


@command(
    "enable",
    examples=[
        ("Let somebody in again", "roadstead user enable anna"),
        ("In another installation", "roadstead user enable anna --data /srv/roadstead"),
    ],
)
@click.argument("username")
@data_options
def enable(config_file: Path | None, data: str | None, username: str) -> None:
    """Let a disabled account in again."""
    _with_users(config_file, data, lambda users: users.enable(username))
    say(f"{username} may sign in again.")


@command(
    "set-admin",
    examples=[
        ("Make somebody an administrator", "roadstead user set-admin anna"),
        ("Take it away again", "roadstead user set-admin anna --no"),
    ],
)
@click.argument("username")
@click.option("--yes/--no", "admin", default=True, help="Whether the account administers the registry.")
@data_options
def set_admin(config_file: Path | None, data: str | None, username: str, admin: bool) -> None:
    """Make an account an administrator, or an ordinary one."""
    _with_users(config_file, data, lambda users: users.set_admin(username, admin))
    say(f"{username} is {'now an administrator' if admin else 'no administrator any more'}.")


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead user delete anna"),
        ("From a script", "roadstead user delete anna --yes"),
    ],
)
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_options
def delete(config_file: Path | None, data: str | None, username: str, yes: bool) -> None:
    """Delete an account.  What it pushed stays."""
    confirm_or_refuse(f"Delete the account {username}? This cannot be undone", yes=yes)
    _with_users(config_file, data, lambda users: users.delete(username))
    say(f"{username} is deleted.")


for member in (list_users, show, create, reset_password, disable, enable, set_admin, delete):
    user.add_command(member)


def _with_users(config_file: Path | None, data: str | None, ask: Callable[[Users], Awaitable[T]]) -> T:
    """Ask one thing of the users of the installation that the options name."""
    return ask_offline(config_file, data, lambda offline: ask(offline.users))


async def _all_records(users: Users) -> list[Record]:
    records: list[Record] = []
    after = ""
    while True:
        page = await users.list(after=after, limit=_PAGE)
        records += [_record(account) for account in page.accounts]
        if not page.more:
            return records
        after = page.accounts[-1].username


def _record(account: Account) -> dict[str, Any]:
    """The shape that the REST API gives a user."""
    return {
        "user_id": account.id,
        "username": account.username,
        "sysadmin_flag": account.admin,
        "disabled": account.disabled,
        "creation_time": _time(account.created_at),
        "last_login_time": _time(account.last_login_at),
    }


def _time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return (
        datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )
