"""`roadstead group …`: people who are given a role together."""

from __future__ import annotations

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.member import group_id
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.terminal import confirm_or_refuse, say
from roadstead.cli.user import user_id

# Kept here, and not in a directory of somebody else's.
_OURS = 0


@click.group(
    "group",
    cls=LazyGroup,
    members={},
    examples=[
        ("Which groups there are", "roadstead group list"),
        ("Who is in one", "roadstead group list web"),
    ],
)
def group() -> None:
    """Make, list and change groups of people."""


@command(
    "create",
    examples=[
        ("An empty group", "roadstead group create web"),
        ("On a server", "roadstead group create web --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def create(admin: Administration, name: str) -> None:
    """Make a group."""
    admin.post("/usergroups", {"group_name": name, "group_type": _OURS})
    say(f"There is a group {name}. To fill it: roadstead group add-user {name} USERNAME")


@command(
    "list",
    examples=[
        ("Every group", "roadstead group list"),
        ("The people in one", "roadstead group list web -q"),
    ],
)
@click.argument("name", required=False)
@administered
@list_output
def list_groups(admin: Administration, name: str | None, out: Printer) -> None:
    """List the groups, or the people in one of them."""
    if name is None:
        out.list(admin.rows("/usergroups"), name="group_name", columns=("group_name", "id"))
        return
    people = admin.rows(path("usergroups", group_id(admin, name), "users"))
    out.list(people, name="username", columns=("username", "user_id"))


@command(
    "add-user",
    examples=[
        ("Somebody joins", "roadstead group add-user web anna"),
        ("On a server", "roadstead group add-user web anna --server https://registry.example.com"),
    ],
)
@click.argument("name")
@click.argument("username")
@administered
def add_user(admin: Administration, name: str, username: str) -> None:
    """Put a person into a group, with all that the group may do."""
    admin.post(path("usergroups", group_id(admin, name), "users"), {"username": username})
    say(f"{username} is in {name}.")


@command(
    "remove-user",
    examples=[
        ("Somebody leaves", "roadstead group remove-user web anna"),
        ("On a server", "roadstead group remove-user web anna --server https://registry.example.com"),
    ],
)
@click.argument("name")
@click.argument("username")
@administered
def remove_user(admin: Administration, name: str, username: str) -> None:
    """Take a person out of a group.  It counts with their next request."""
    admin.delete(path("usergroups", group_id(admin, name), "users", user_id(admin, username)))
    say(f"{username} is in {name} no more.")


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead group delete web"),
        ("From a script", "roadstead group delete web --yes"),
    ],
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def delete(admin: Administration, name: str, yes: bool) -> None:
    """Delete a group and its memberships.  The people stay."""
    found = group_id(admin, name)
    confirm_or_refuse(f"Delete the group {name} and its memberships? This cannot be undone", yes=yes)
    admin.delete(path("usergroups", found))
    say(f"{name} is deleted.")


for member in (create, list_groups, add_user, remove_user, delete):
    group.add_command(member)
