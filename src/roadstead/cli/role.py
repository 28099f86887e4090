"""`roadstead role …`: what members may do, where the built-in roles do not fit."""

from __future__ import annotations

from typing import Any

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output, one_output
from roadstead.cli.output import Printer
from roadstead.cli.permissions import accesses
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import say


@click.group(
    "role",
    cls=LazyGroup,
    members={},
    examples=[
        ("Which roles there are", "roadstead role list"),
        ("One that may pull and nothing else", "roadstead role create puller --allow pull"),
    ],
)
def role() -> None:
    """Make, list and delete roles that members can have."""


@command(
    "list",
    examples=[
        ("Every role", "roadstead role list"),
        ("With what each may do", "roadstead role list -o json"),
    ],
)
@administered
@list_output
def list_roles(admin: Administration, out: Printer) -> None:
    """List the roles, those that are built in included."""
    out.list(admin.rows("/roles"), name="name", columns=("name", "built_in", "description"))


@command(
    "show",
    examples=[
        ("What a role may do", "roadstead role show developer"),
        ("As the API gives it", "roadstead role show developer -o json"),
    ],
)
@click.argument("name")
@administered
@one_output
def show(admin: Administration, name: str, out: Printer) -> None:
    """Show what a role may do."""
    out.one(_role(admin, name), name="name", words={"permissions": _spelled})


@command(
    "create",
    examples=[
        ("May pull and nothing else", "roadstead role create puller --allow pull"),
        (
            "May push, and list the audit log of the project",
            "roadstead role create auditor --allow push --allow log:list",
        ),
    ],
)
@click.argument("name")
@click.option(
    "--allow", "allowed", multiple=True, required=True, metavar="WHAT",
    help="pull, push, delete, or a permission such as tag:list; may be repeated.",
)  # fmt: skip
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@administered
def create(admin: Administration, name: str, allowed: tuple[str, ...], description: str) -> None:
    """Make a role."""
    admin.post("/roles", {"name": name, "description": description, "permissions": accesses(allowed)})
    say(f"There is a role {name}. To give it: roadstead member add PROJECT NAME --role {name}")


@command(
    "delete",
    examples=[
        ("One that nobody has", "roadstead role delete puller"),
        ("On a server", "roadstead role delete puller --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def delete(admin: Administration, name: str) -> None:
    """Delete a role that nobody has."""
    admin.delete(path("roles", _role(admin, name)["id"]))
    say(f"{name} is deleted.")


for member in (list_roles, show, create, delete):
    role.add_command(member)


def _role(admin: Administration, name: str) -> dict[str, Any]:
    for found in admin.rows("/roles"):
        if found["name"] == name:
            return found
    raise missing(f"there is no role {name}", "see: roadstead role list")


def _spelled(permissions: list[dict[str, str]]) -> str:
    return ", ".join(f"{found['resource']}:{found['action']}" for found in permissions)
