"""`roadstead label …`: words to mark artifacts with."""

from __future__ import annotations

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import say

_COLUMNS = ("name", "color", "description")
_PROJECT = "The project whose label it is. Without it: everybody's."


@click.group(
    "label",
    cls=LazyGroup,
    members={},
    examples=[
        ("Everybody's labels", "roadstead label list"),
        ("Make one for a project", "roadstead label create reviewed --project team"),
    ],
)
def label() -> None:
    """Make, list and delete words to mark artifacts with."""


@command(
    "list",
    examples=[
        ("Everybody's", "roadstead label list"),
        ("Those of a project", "roadstead label list --project team"),
    ],
)
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
@list_output
def list_labels(admin: Administration, project: str | None, out: Printer) -> None:
    """List the labels of a project, or everybody's."""
    out.list(admin.rows("/labels", **_place(admin, project)), name="name", columns=_COLUMNS)


@command(
    "create",
    examples=[
        ("For everybody", "roadstead label create deprecated --color '#FF5500'"),
        ("For a project", "roadstead label create reviewed --project team"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@click.option("--color", default="", metavar="#RRGGBB", help="How a portal paints it.")
@click.option("--description", default="", metavar="TEXT", help="What it says of an artifact.")
@administered
def create(admin: Administration, name: str, project: str | None, color: str, description: str) -> None:
    """Make a label."""
    admin.post(
        "/labels", {"name": name, "color": color, "description": description, **_place(admin, project)}
    )
    say(f"There is a label {name}.")


@command(
    "delete",
    examples=[
        ("Everybody's", "roadstead label delete deprecated"),
        ("One of a project", "roadstead label delete reviewed --project team"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
def delete(admin: Administration, name: str, project: str | None) -> None:
    """Delete a label, and take it off every artifact."""
    for row in admin.rows("/labels", name=name, **_place(admin, project)):
        if row["name"] == name:
            admin.delete(path("labels", row["id"]))
            say(f"{name} is deleted.")
            return
    raise missing(f"there is no label {name}", "see: roadstead label list")


for member in (list_labels, create, delete):
    label.add_command(member)


def _place(admin: Administration, project: str | None) -> dict[str, object]:
    if project is None:
        return {"scope": "g"}
    return {"scope": "p", "project_id": admin.get(path("projects", project)).json["project_id"]}
