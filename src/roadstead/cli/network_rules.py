"""`roadstead network-rules …`: from which networks people may come."""

from __future__ import annotations

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import one_output
from roadstead.cli.output import Printer
from roadstead.cli.terminal import say

_DOORS = ("registry", "api", "portal")
_PROJECT = "Of this project. Without it: of the whole registry."


@click.group(
    "network-rules",
    cls=LazyGroup,
    members={},
    examples=[
        ("From where the registry is reached", "roadstead network-rules show"),
        (
            "Let a project be pulled and pushed from one network only",
            "roadstead network-rules set --project team --door registry --allow 10.0.0.0/8",
        ),
    ],
)
def network_rules() -> None:
    """See and change from which networks people may come."""


@command(
    "show",
    examples=[
        ("Of the whole registry", "roadstead network-rules show"),
        ("Of a project", "roadstead network-rules show --project team"),
    ],
)
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
@one_output
def show(admin: Administration, project: str | None, out: Printer) -> None:
    """Show the rules, door by door.  A door without a rule is open to all."""
    out.one(admin.get(_where(project)).json, name="registry")


@command(
    "set",
    examples=[
        (
            "Pull and push from two networks only",
            "roadstead network-rules set --project team --door registry --allow 10.0.0.0/8 --allow fd00::/8",
        ),
        ("Open to all again", "roadstead network-rules set --project team --door registry --open"),
    ],
)
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@click.option("--door", type=click.Choice(_DOORS), required=True, help="registry is /v2, api the REST API.")
@click.option(
    "--allow", "networks", multiple=True, metavar="NETWORK", help="An address or 10.0.0.0/8; may be repeated."
)
@click.option("--open", "opened", is_flag=True, help="Take the door's rule away.")
@click.option("--force", is_flag=True, help="Even if it locks you out.")
@administered
def set_rules(
    admin: Administration,
    *,
    project: str | None,
    door: str,
    networks: tuple[str, ...],
    opened: bool,
    force: bool,
) -> None:
    """Let people come through a door from these networks only, with the next request on."""
    if opened == bool(networks):
        raise click.UsageError("say from where: --allow NETWORK, or --open for everywhere.")
    rules = admin.get(_where(project)).json
    admin.put(_where(project), {**rules, door: list(networks)}, force=force)
    place = f"the project {project}" if project else "the whole registry"
    if opened:
        say(f"The door {door} of {place} is open to all.")
    else:
        say(f"The door {door} of {place} is open to {', '.join(networks)} only.")
        again = f" --project {project}" if project else ""
        say(f"To undo: roadstead network-rules set{again} --door {door} --open")


for member in (show, set_rules):
    network_rules.add_command(member)


def _where(project: str | None) -> str:
    return "/system/network-rules" if project is None else path("projects", project, "network-rules")
