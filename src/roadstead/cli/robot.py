"""`roadstead robot …`: accounts for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.handing_over import check_new_file, deliver
from roadstead.cli.options import list_output, one_output
from roadstead.cli.output import Printer
from roadstead.cli.permissions import accesses
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import confirm_or_refuse, say

_COLUMNS = ("name", "level", "disable", "expires_at", "description")
_NEVER = -1
_ALLOW = "pull, push, delete, or a permission such as tag:list; may be repeated."
_PROJECT = "The project whose robot it is."


@click.group(
    "robot",
    cls=LazyGroup,
    members={
        "trust": (
            "roadstead.cli.robot_trust:trust",
            "Let identity tokens of an issuer stand for a robot's secret.",
        )
    },
    examples=[
        ("One that may push to a project", "roadstead robot create ci --project team --allow push"),
        ("Which there are", "roadstead robot list --project team"),
    ],
)
def robot() -> None:
    """Make, list and change accounts for programs."""


@command(
    "create",
    examples=[
        (
            "One that may push to a project; its secret goes into a file",
            "roadstead robot create ci --project team --allow push --secret-file ci.secret",
        ),
        (
            "One that may pull from two projects, for thirty days",
            "roadstead robot create deploy --in team --in tools --allow pull --days 30",
        ),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@click.option(
    "--in",
    "places",
    multiple=True,
    metavar="PROJECT",
    help="Of a robot of the whole registry: where it may do it; '*' is everywhere.",
)
@click.option("--allow", "allowed", multiple=True, metavar="WHAT", help=_ALLOW)
@click.option(
    "--allow-system",
    "system",
    multiple=True,
    metavar="WHAT",
    help="A permission on the registry itself, such as quota:list.",
)
@click.option(
    "--days", type=click.IntRange(1, 36500), help="How long it is good. Without it: until it is deleted."
)
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the secret to this new file, and print it nowhere.",
)
@administered
@one_output
def create(
    admin: Administration,
    *,
    name: str,
    project: str | None,
    places: tuple[str, ...],
    allowed: tuple[str, ...],
    system: tuple[str, ...],
    days: int | None,
    description: str,
    secret_file: Path | None,
    out: Printer,
) -> None:
    """Make a robot.  Its secret is shown once."""
    if project is not None and (places or system):
        raise click.UsageError(
            "a robot of a --project may do nothing elsewhere: leave --in and --allow-system out."
        )
    spaces = [project] if project is not None else list(places)
    if bool(spaces) != bool(allowed):
        raise click.UsageError("say what it may do and where: --project PROJECT --allow push.")
    permissions = [_permission("project", space, allowed) for space in spaces]
    if system:
        permissions.append(_permission("system", "/", system))
    if not permissions:
        raise click.UsageError("say what it may do: --project PROJECT --allow push.")
    check_new_file(secret_file)
    made = admin.post(
        "/robots",
        {
            "name": name,
            "level": "system" if project is None else "project",
            "description": description,
            "duration": _NEVER if days is None else days,
            "permissions": permissions,
        },
    ).json
    out.one(deliver(made, secret_file), name="name")


@command(
    "list",
    examples=[
        ("Those of a project", "roadstead robot list --project team"),
        ("Those of the whole registry", "roadstead robot list"),
    ],
)
@click.option("--project", metavar="PROJECT", help="The project whose robots are meant.")
@administered
@list_output
def list_robots(admin: Administration, project: str | None, out: Printer) -> None:
    """List the robots of a project, or of the whole registry."""
    out.list(_robots(admin, project), name="name", columns=_COLUMNS)


@command(
    "show",
    examples=[
        ("One of a project", "roadstead robot show ci --project team"),
        ("The same, by its full name", "roadstead robot show 'robot$team+ci'"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
@one_output
def show(admin: Administration, name: str, project: str | None, out: Printer) -> None:
    """Show a robot and what it may do."""
    out.one(find_robot(admin, name, project), name="name")


@command(
    "refresh-secret",
    examples=[
        ("Shown once", "roadstead robot refresh-secret ci --project team"),
        ("Into a new file", "roadstead robot refresh-secret ci --project team --secret-file ci.secret"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the secret to this new file, and print it nowhere.",
)
@administered
@one_output
def refresh_secret(
    admin: Administration, name: str, project: str | None, secret_file: Path | None, out: Printer
) -> None:
    """Give a robot a new secret.  The old one is refused from now on."""
    found = find_robot(admin, name, project)
    check_new_file(secret_file)
    made = admin.patch(path("robots", found["id"]), {"secret": ""}).json
    out.one(deliver({"name": found["name"], **made}, secret_file), name="name")


@command(
    "disable",
    examples=[
        ("Shut it out, and keep it", "roadstead robot disable ci --project team"),
        ("One of the whole registry", "roadstead robot disable deploy"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
def disable(admin: Administration, name: str, project: str | None) -> None:
    """Shut a robot out, at once."""
    found = _change(admin, name, project, disable=True)
    say(f"{found} is disabled. To undo: roadstead robot enable '{found}'")


@command(
    "enable",
    examples=[
        ("Let it in again", "roadstead robot enable ci --project team"),
        ("One of the whole registry", "roadstead robot enable deploy"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@administered
def enable(admin: Administration, name: str, project: str | None) -> None:
    """Let a disabled robot in again."""
    say(f"{_change(admin, name, project, disable=False)} may sign in again.")


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead robot delete ci --project team"),
        ("From a script", "roadstead robot delete deploy --yes"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help=_PROJECT)
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def delete(admin: Administration, name: str, project: str | None, yes: bool) -> None:
    """Delete a robot.  What it pushed stays."""
    found = find_robot(admin, name, project)
    confirm_or_refuse(f"Delete {found['name']}? This cannot be undone", yes=yes)
    admin.delete(path("robots", found["id"]))
    say(f"{found['name']} is deleted.")


for member in (create, list_robots, show, refresh_secret, disable, enable, delete):
    robot.add_command(member)


def _permission(kind: str, namespace: str, words: tuple[str, ...]) -> dict[str, Any]:
    return {"kind": kind, "namespace": namespace, "access": accesses(words)}


def _robots(admin: Administration, project: str | None) -> list[dict[str, Any]]:
    if project is None:
        return [*admin.rows("/robots")]
    number = admin.get(path("projects", project)).json["project_id"]
    return [*admin.rows("/robots", q=f"Level=project,ProjectID={number}")]


def find_robot(admin: Administration, name: str, project: str | None) -> dict[str, Any]:
    """A robot by its full name (`robot$team+ci`), or by its own and its project's."""
    place, plus, own = name.rpartition("+")
    if plus and project is None:
        # What comes before the project is the registry's to choose: projects have no `$` in their names.
        project, name = place.rpartition("$")[2], own
    mark = "$" if project is None else "+"
    for found in _robots(admin, project):
        if found["name"] == name or found["name"].rpartition(mark)[2] == name:
            return found
    where = "" if project is None else f" --project {project}"
    raise missing(f"there is no robot {name}", f"see: roadstead robot list{where}")


def _change(admin: Administration, name: str, project: str | None, **fields: object) -> str:
    """Change a robot and nothing else of it.  Returns its full name."""
    found = find_robot(admin, name, project)
    admin.put(path("robots", found["id"]), found | fields)
    return str(found["name"])
