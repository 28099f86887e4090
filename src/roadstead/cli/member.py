"""`roadstead member …`: who may do what in a project."""

from __future__ import annotations

from typing import Any

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import say

_COLUMNS = ("entity_name", "entity_type", "role_name", "repositories")
# As people write them; Harbor's numbers.
_BUILT_IN = {"project-admin": 1, "maintainer": 4, "developer": 2, "guest": 3, "limited-guest": 5}
_WHICH = "Which role, when there are several, by its pattern; '' is the one without."
_ROLE_HELP = "project-admin, maintainer, developer, guest, limited-guest, or a role of your own."


@click.group(
    "member",
    cls=LazyGroup,
    members={},
    examples=[
        ("Who may do what", "roadstead member list team"),
        ("Let somebody push", "roadstead member add team anna --role developer"),
    ],
)
def member() -> None:
    """Say who may do what in a project."""


@command(
    "add",
    examples=[
        ("Let somebody push", "roadstead member add team anna --role developer"),
        (
            "Let a group push to some repositories of the project",
            "roadstead member add team web --group --role developer --repositories 'web/**'",
        ),
    ],
)
@click.argument("project")
@click.argument("name")
@click.option("--group", is_flag=True, help="NAME is a group's.")
@click.option("--role", required=True, metavar="ROLE", help=_ROLE_HELP)
@click.option(
    "--repositories",
    metavar="PATTERN",
    help="Only in repositories of the project that match, such as 'web/**'.",
)
@administered
def add(
    admin: Administration, *, project: str, name: str, group: bool, role: str, repositories: str | None
) -> None:
    """Make a person or a group a member of a project."""
    wanted: dict[str, Any] = {"role_id": role_id(admin, role)}
    if group:
        wanted["member_group"] = {"id": group_id(admin, name), "group_name": name}
    else:
        wanted["member_user"] = {"username": name}
    if repositories is not None:
        wanted["repositories"] = repositories
    admin.post(path("projects", project, "members"), wanted)
    say(f"{name} is {role} in {project}.")


@command(
    "list",
    examples=[
        ("Every member", "roadstead member list team"),
        ("Names only", "roadstead member list team -q"),
    ],
)
@click.argument("project")
@administered
@list_output
def list_members(admin: Administration, project: str, out: Printer) -> None:
    """List the members of a project, people (u) and groups (g)."""
    out.list(admin.rows(path("projects", project, "members")), name="entity_name", columns=_COLUMNS)


@command(
    "set-role",
    examples=[
        ("Let somebody push and delete", "roadstead member set-role team anna --role maintainer"),
        ("A group", "roadstead member set-role team web --group --role guest"),
    ],
)
@click.argument("project")
@click.argument("name")
@click.option("--group", is_flag=True, help="NAME is a group's.")
@click.option("--role", required=True, metavar="ROLE", help=_ROLE_HELP)
@click.option("--repositories", metavar="PATTERN", help=_WHICH)
@administered
def set_role(
    admin: Administration, *, project: str, name: str, group: bool, role: str, repositories: str | None
) -> None:
    """Give a member another role, with the next request on."""
    found = _member_id(admin, project, name, group=group, repositories=repositories)
    admin.put(path("projects", project, "members", found), {"role_id": role_id(admin, role)})
    say(f"{name} is {role} in {project} from now on.")


@command(
    "remove",
    examples=[
        ("Somebody left", "roadstead member remove team anna"),
        ("A group", "roadstead member remove team web --group"),
    ],
)
@click.argument("project")
@click.argument("name")
@click.option("--group", is_flag=True, help="NAME is a group's.")
@click.option("--repositories", metavar="PATTERN", help=_WHICH)
@administered
def remove(admin: Administration, project: str, name: str, group: bool, repositories: str | None) -> None:
    """Take a member out of a project.  The account or group stays."""
    found = _member_id(admin, project, name, group=group, repositories=repositories)
    admin.delete(path("projects", project, "members", found))
    say(f"{name} has no role in {project} any more{f' for {repositories}' if repositories else ''}.")


for found in (add, list_members, set_role, remove):
    member.add_command(found)


def role_id(admin: Administration, name: str) -> int:
    """The number of a built-in role, or of one that somebody made."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    for role in admin.rows("/roles"):
        if role["name"] == name:
            return int(role["id"])
    raise missing(f"there is no role {name}", "see: roadstead role list")


def group_id(admin: Administration, name: str) -> int:
    for group in admin.rows("/usergroups", group_name=name):
        if group["group_name"] == name:
            return int(group["id"])
    raise missing(f"there is no group {name}", "see: roadstead group list")


def _member_id(
    admin: Administration, project: str, name: str, *, group: bool, repositories: str | None
) -> int:
    kind = "g" if group else "u"
    found = [
        row
        for row in admin.rows(path("projects", project, "members"), entityname=name)
        if row["entity_type"] == kind and repositories in {None, row.get("repositories", "")}
    ]
    if len(found) > 1:
        raise click.UsageError(
            f"{name} has {len(found)} roles in {project}. Say which with --repositories PATTERN."
        )
    if not found:
        whose = f"{'the group ' if group else ''}{name}"
        raise missing(f"{whose} is no member of {project}", f"see: roadstead member list {project}")
    return int(found[0]["id"])
