"""`roadstead login` and `roadstead logout`: remembering how to sign in to a server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from roadstead.cli.administration import Administration, ask_password
from roadstead.cli.commands import command
from roadstead.cli.refusals import Refused
from roadstead.cli.terminal import may_ask, say

_ROBOT = 412


@command(
    "login",
    examples=[
        ("Sign in to a server; asks for the password", "roadstead login https://registry.example.com"),
        (
            "From a script",
            "roadstead login localhost:5000 --username admin --password-stdin < admin.password",
        ),
    ],
)
@click.argument("server", metavar="URL")
@click.option(
    "--username", metavar="NAME", envvar="ROADSTEAD_USERNAME", help="The account. Else it is asked for."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--ca-file", type=click.Path(path_type=Path), metavar="FILE", envvar="ROADSTEAD_CA_FILE",
    help="Trust certificates of this authority, PEM. [env: ROADSTEAD_CA_FILE]",
)  # fmt: skip
def login(server: str, username: str | None, password_stdin: bool, ca_file: Path | None) -> None:
    """Sign in to a server, and keep it for `--server URL`.

    The name and the password are kept in a file that only you can read: $XDG_CONFIG_HOME/roadstead/logins.json.
    """
    from roadstead.cli.logins import Login, logins_path, save_login
    from roadstead.cli.passwords import whole_line
    from roadstead.cli.remote import Remote, server_address

    address = server_address(server)
    if username is None:
        if not may_ask():
            raise click.UsageError("nobody is here to say who signs in. Add --username NAME.")
        username = str(click.prompt("Username", err=True))
    if password_stdin:
        password = whole_line(sys.stdin.buffer.read(), "standard input")
    else:
        password = os.environ.get("ROADSTEAD_PASSWORD") or ask_password(username)
    found = Login(username, password)
    with Remote(address, found, ca_file=ca_file) as remote:
        _prove(Administration(remote, (address, found)))
    save_login(address, found)
    say(f"Signed in to {address} as {username}. Kept in {logins_path()}")


def _prove(admin: Administration) -> None:
    """Raise unless the server takes the name and the password."""
    try:
        found = admin.get("/users/current").json
    except Refused as refusal:
        # A robot is no user.
        if refusal.status != _ROBOT:
            raise
        return
    if found.get("must_change_password"):
        say("The password is good for choosing another only: roadstead user change-password --server URL")


@command(
    "logout",
    examples=[
        ("Forget how to sign in to a server", "roadstead logout https://registry.example.com"),
        ("One on this machine", "roadstead logout localhost:5000"),
    ],
)
@click.argument("server", metavar="URL")
def logout(server: str) -> None:
    """Forget how to sign in to a server."""
    from roadstead.cli.logins import forget_login
    from roadstead.cli.remote import server_address

    address = server_address(server)
    if forget_login(address):
        say(f"Forgot how to sign in to {address}.")
    else:
        say(f"Nobody was signed in to {address}.")
