"""`roadstead session …`: where somebody is signed in."""

from __future__ import annotations

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.terminal import confirm_or_refuse, say
from roadstead.cli.user import user_id

_COLUMNS = ("id", "kind", "name", "address", "last_seen_time", "expiration_time")


@click.group(
    "session",
    cls=LazyGroup,
    members={},
    examples=[
        ("Where somebody is signed in", "roadstead session list anna"),
        ("End all of it", "roadstead session revoke anna"),
    ],
)
def session() -> None:
    """See and end where somebody is signed in."""


@command(
    "list",
    examples=[
        ("Where somebody is signed in", "roadstead session list anna"),
        ("With their browsers", "roadstead session list anna -o json"),
    ],
)
@click.argument("username")
@administered
@list_output
def list_sessions(admin: Administration, username: str, out: Printer) -> None:
    """List the sessions and login tokens that are good, the latest first."""
    found = admin.get(path("users", user_id(admin, username), "sessions")).json
    out.list(found, name="id", columns=_COLUMNS)


@command(
    "revoke",
    examples=[
        ("Asks first", "roadstead session revoke anna"),
        ("From a script", "roadstead session revoke anna --yes"),
    ],
)
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def revoke(admin: Administration, username: str, yes: bool) -> None:
    """End all of a person's sessions and login tokens, at once.  The password stays good."""
    confirm_or_refuse(f"End every session and login token of {username}", yes=yes)
    admin.delete(path("users", user_id(admin, username), "sessions"))
    say(f"{username} is signed in nowhere now. To shut them out: roadstead user disable {username}")


for member in (list_sessions, revoke):
    session.add_command(member)
