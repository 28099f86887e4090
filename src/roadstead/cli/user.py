"""`roadstead user …`: the people who may sign in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadstead.cli.administration import Administration, administered, administered_apart, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output, one_output
from roadstead.cli.output import Printer
from roadstead.cli.passwords import password_options, read_password
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import confirm_or_refuse, say

_COLUMNS = ("username", "sysadmin_flag", "disabled", "creation_time", "last_login_time")
_MUST_CHANGE = "Make it good for one thing only: choosing another."
_GENERATE = "Make up a password, and print it once. It must be changed at the first sign-in."


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
@administered
@list_output
def list_users(admin: Administration, out: Printer) -> None:
    """List the accounts."""
    out.list(map(_whole, admin.rows("/users")), name="username", columns=_COLUMNS)


@command(
    "show",
    examples=[
        ("One account", "roadstead user show anna"),
        ("Whether there is such an account: exit code 0 or 3", "roadstead user show anna -q"),
    ],
)
@click.argument("username")
@administered
@one_output
def show(admin: Administration, username: str, out: Printer) -> None:
    """Show one account."""
    out.one(_user(admin, username), name="username")


@command(
    "create",
    examples=[
        ("Add a person; asks for the password", "roadstead user create anna"),
        (
            "Add an administrator from a script",
            "roadstead user create anna --admin --password-file anna.password",
        ),
        ("With a password to hand over", "roadstead user create anna --generate-password"),
    ],
)
@click.argument("username")
@click.option("--admin", "administrator", is_flag=True, help="Make it an administrator.")
@click.option("--email", default="", metavar="ADDRESS", help="Where to reach the person.")
@click.option("--real-name", default="", metavar="TEXT", help="What the person is called.")
@password_options
@click.option("--generate-password", "generate", is_flag=True, help=_GENERATE)
@click.option("--must-change", is_flag=True, help=_MUST_CHANGE)
@administered_apart
@one_output
def create(
    admin: Administration,
    *,
    username: str,
    administrator: bool,
    email: str,
    real_name: str,
    password_stdin: bool,
    password_file: Path | None,
    generate: bool,
    must_change: bool,
    out: Printer,
) -> None:
    """Add an account."""
    password = _password(username, stdin=password_stdin, file=password_file, generate=generate)
    admin.post(
        "/users",
        {
            "username": username,
            "password": password,
            "email": email,
            "realname": real_name,
            "sysadmin_flag": administrator,
            "must_change_password": must_change or generate,
        },
    )
    made = _user(admin, username)
    out.one(_handed_over(made, password) if generate else made, name="username")


@command(
    "reset-password",
    examples=[
        ("Asks for the new password", "roadstead user reset-password admin"),
        ("From a script", "roadstead user reset-password admin --password-stdin < admin.password"),
        ("One to hand over", "roadstead user reset-password anna --generate-password"),
    ],
)
@click.argument("username")
@password_options
@click.option("--generate-password", "generate", is_flag=True, help=_GENERATE)
@click.option("--must-change", is_flag=True, help=_MUST_CHANGE)
@administered_apart
def reset_password(
    admin: Administration,
    *,
    username: str,
    password_stdin: bool,
    password_file: Path | None,
    generate: bool,
    must_change: bool,
) -> None:
    """Set a new password.  Whoever is signed in with the old one must sign in again."""
    found = _user(admin, username)
    password = _password(username, stdin=password_stdin, file=password_file, generate=generate)
    admin.put(
        path("users", found["user_id"], "password"),
        {"new_password": password, "must_change_password": must_change or generate},
    )
    say(f"{username} has a new password. Tokens issued before are void.")
    if generate:
        Printer("table", quiet=False).one(_handed_over({"username": username}, password), name="username")


@command(
    "change-password",
    examples=[
        ("Your own, on a server", "roadstead user change-password --server https://registry.example.com"),
        (
            "From a script; ROADSTEAD_PASSWORD has the old one",
            "roadstead user change-password --server localhost:5000 --password-file new.password",
        ),
    ],
)
@password_options
@administered_apart
def change_password(admin: Administration, password_stdin: bool, password_file: Path | None) -> None:
    """Change your own password on a server.  A saved login is changed with it."""
    if admin.login is None:
        raise click.UsageError("name the server where you sign in: --server URL.")
    from roadstead.cli.logins import Login, save_login, saved_login

    server, login = admin.login
    found = admin.get("/users/current").json
    password = read_password(stdin=password_stdin, file=password_file, whose=login.username)
    admin.put(
        path("users", found["user_id"], "password"),
        {"old_password": login.password, "new_password": password},
    )
    if saved_login(server) == login:
        save_login(server, Login(login.username, password))
    say(f"{login.username} has a new password. Tokens issued before are void.")


@command(
    "disable",
    examples=[
        ("Shut somebody out, and keep the account", "roadstead user disable anna"),
        ("In another installation", "roadstead user disable anna --data /srv/roadstead"),
    ],
)
@click.argument("username")
@administered
def disable(admin: Administration, username: str) -> None:
    """Shut an account out, at once."""
    admin.put(path("users", user_id(admin, username), "disabled"), {"disabled": True})
    say(f"{username} is disabled. To undo: roadstead user enable {username}")


@command(
    "enable",
    examples=[
        ("Let somebody in again", "roadstead user enable anna"),
        ("In another installation", "roadstead user enable anna --data /srv/roadstead"),
    ],
)
@click.argument("username")
@administered
def enable(admin: Administration, username: str) -> None:
    """Let a disabled account in again."""
    admin.put(path("users", user_id(admin, username), "disabled"), {"disabled": False})
    say(f"{username} may sign in again.")


@command(
    "unlock",
    examples=[
        ("Forget the wrong passwords that shut somebody out", "roadstead user unlock anna"),
        ("On a server", "roadstead user unlock anna --server https://registry.example.com"),
    ],
)
@click.argument("username")
@administered
def unlock(admin: Administration, username: str) -> None:
    """Let an account try again at once that too many wrong passwords have shut out."""
    admin.delete(path("users", user_id(admin, username), "lock"))
    say(f"{username} may try again.")


@command(
    "set-admin",
    examples=[
        ("Make somebody an administrator", "roadstead user set-admin anna"),
        ("Take it away again", "roadstead user set-admin anna --no"),
    ],
)
@click.argument("username")
@click.option("--yes/--no", "flag", default=True, help="Whether the account administers the registry.")
@administered
def set_admin(admin: Administration, username: str, flag: bool) -> None:
    """Make an account an administrator, or an ordinary one."""
    admin.put(path("users", user_id(admin, username), "sysadmin"), {"sysadmin_flag": flag})
    say(f"{username} is {'now an administrator' if flag else 'no administrator any more'}.")


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead user delete anna"),
        ("From a script", "roadstead user delete anna --yes"),
    ],
)
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def delete(admin: Administration, username: str, yes: bool) -> None:
    """Delete an account.  What it pushed stays."""
    confirm_or_refuse(f"Delete the account {username}? This cannot be undone", yes=yes)
    admin.delete(path("users", user_id(admin, username)))
    say(f"{username} is deleted.")


for member in (
    list_users,
    show,
    create,
    reset_password,
    change_password,
    disable,
    enable,
    unlock,
    set_admin,
    delete,
):
    user.add_command(member)


def user_id(admin: Administration, username: str) -> int:
    return int(_user(admin, username)["user_id"])


def _user(admin: Administration, username: str) -> dict[str, Any]:
    wanted = username.lower()
    for found in admin.rows("/users", username=wanted):
        if found["username"] == wanted:
            return _whole(found)
    raise missing(f"there is no user {username}", "see: roadstead user list")


def _whole(record: dict[str, Any]) -> dict[str, Any]:
    """With what the API leaves out when it is empty."""
    empty = {"email": "", "disabled": False, "must_change_password": False, "last_login_time": None}
    return {"user_id": record["user_id"], "username": record["username"], **empty, **record}


def _password(username: str, *, stdin: bool, file: Path | None, generate: bool) -> str:
    if not generate:
        return read_password(stdin=stdin, file=file, whose=username)
    if stdin or file is not None:
        raise click.UsageError("--generate-password goes with neither --password-stdin nor --password-file.")
    from roadstead.identity.passwords import generate_password

    return generate_password()


def _handed_over(record: dict[str, Any], password: str) -> dict[str, Any]:
    say("The password is shown once, and is good for choosing another: roadstead user change-password")
    return {**record, "password": password}
