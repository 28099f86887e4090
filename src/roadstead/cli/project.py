"""`roadstead project …`: the places that repositories are kept in."""

from __future__ import annotations

from typing import Any

import click

from roadstead.cli.administration import Administration, administered, path, repository_path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output, one_output
from roadstead.cli.output import Printer
from roadstead.cli.sizes import size
from roadstead.cli.terminal import confirm_or_refuse, say

_COLUMNS = ("name", "metadata.public", "owner_name", "repo_count", "creation_time")


@click.group(
    "project",
    cls=LazyGroup,
    members={},
    examples=[
        ("Which projects there are", "roadstead project list"),
        ("Make one, with room for 100 GB", "roadstead project create team --quota 100GB"),
    ],
)
def project() -> None:
    """Make, list and change projects."""


@command(
    "create",
    examples=[
        ("A private one", "roadstead project create team"),
        ("One that anybody may pull from", "roadstead project create tools --public --quota 50GB"),
    ],
)
@click.argument("name")
@click.option("--public", is_flag=True, help="Let anybody pull.")
@click.option(
    "--quota", type=size, metavar="SIZE", help="Most bytes that it may hold: 100GB, 2TiB, unlimited."
)
@administered
@one_output
def create(admin: Administration, name: str, public: bool, quota: int | None, out: Printer) -> None:
    """Make a project."""
    wanted: dict[str, Any] = {"project_name": name, "metadata": {"public": str(public).lower()}}
    if quota is not None:
        wanted["storage_limit"] = quota
    admin.post("/projects", wanted)
    out.one(admin.get(path("projects", name)).json, name="name")


@command(
    "list",
    examples=[
        ("Every project", "roadstead project list"),
        ("The largest number of repositories first", "roadstead project list --sort -repo_count"),
    ],
)
@administered
@list_output
def list_projects(admin: Administration, out: Printer) -> None:
    """List the projects that the caller may see."""
    out.list(admin.rows("/projects"), name="name", columns=_COLUMNS)


@command(
    "show",
    examples=[
        ("One project", "roadstead project show team"),
        ("Whether there is such a project: exit code 0 or 3", "roadstead project show team -q"),
    ],
)
@click.argument("name")
@administered
@one_output
def show(admin: Administration, name: str, out: Printer) -> None:
    """Show one project, with how much it holds and how many members it has."""
    found = admin.get(path("projects", name)).json
    found["summary"] = admin.get(path("projects", name, "summary")).json
    out.one(found, name="name")


@command(
    "set-public",
    examples=[
        ("Let anybody pull", "roadstead project set-public tools"),
        ("On a server", "roadstead project set-public tools --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def set_public(admin: Administration, name: str) -> None:
    """Let anybody pull from a project."""
    _set(admin, name, public="true")
    say(f"Anybody may pull from {name}. To undo: roadstead project set-private {name}")


@command(
    "set-private",
    examples=[
        ("Let members only pull", "roadstead project set-private tools"),
        ("On a server", "roadstead project set-private tools --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def set_private(admin: Administration, name: str) -> None:
    """Let nobody but members pull from a project."""
    _set(admin, name, public="false")
    say(f"Only members may pull from {name}. To undo: roadstead project set-public {name}")


@command(
    "rename",
    examples=[
        ("Another name, for its repositories and robots too", "roadstead project rename team crew"),
        ("On a server", "roadstead project rename team crew --server https://registry.example.com"),
    ],
)
@click.argument("name")
@click.argument("new_name")
@administered
def rename(admin: Administration, name: str, new_name: str) -> None:
    """Give a project another name, at once.  What was pushed under the old one is found under the new one only."""
    admin.post(path("projects", name, "rename"), {"name": new_name})
    say(f"{name} is {new_name} from now on, and so are its robots.")


@command(
    "protect",
    examples=[
        ("Refuse to delete it", "roadstead project protect team"),
        ("On a server", "roadstead project protect team --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def protect(admin: Administration, name: str) -> None:
    """Refuse to delete a project until somebody unprotects it."""
    _set(admin, name, deletion_protected="true")
    say(f"{name} cannot be deleted. To undo: roadstead project unprotect {name}")


@command(
    "unprotect",
    examples=[
        ("Let it be deleted again", "roadstead project unprotect team"),
        ("On a server", "roadstead project unprotect team --server https://registry.example.com"),
    ],
)
@click.argument("name")
@administered
def unprotect(admin: Administration, name: str) -> None:
    """Let a protected project be deleted again."""
    _set(admin, name, deletion_protected="false")
    say(f"{name} can be deleted.")


@command(
    "transfer-repository",
    examples=[
        (
            "Into another project, under the same name",
            "roadstead project transfer-repository team web/app tools",
        ),
        (
            "Under another name",
            "roadstead project transfer-repository team web/app tools --as app",
        ),
    ],
)
@click.argument("project")
@click.argument("repository")
@click.argument("destination")
@click.option("--as", "new_name", metavar="NAME", help="What it is called there.")
@administered
def transfer_repository(
    admin: Administration, project: str, repository: str, destination: str, new_name: str | None
) -> None:
    """Take a repository from one project to another, with all its tags.  No bytes move."""
    wanted = {"project": destination, "name": new_name}
    admin.post(repository_path(project, repository, "transfer"), wanted)
    say(f"{project}/{repository} is {destination}/{new_name or repository} from now on.")


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead project delete team"),
        ("From a script", "roadstead project delete team --yes"),
    ],
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def delete(admin: Administration, name: str, yes: bool) -> None:
    """Delete a project that holds no repository, with its members and robots."""
    confirm_or_refuse(
        f"Delete the project {name}, its members and its robots? This cannot be undone", yes=yes
    )
    admin.delete(path("projects", name))
    say(f"{name} is deleted.")


for member in (
    create, list_projects, show, set_public, set_private, rename, protect, unprotect, transfer_repository, delete,
):  # fmt: skip
    project.add_command(member)


def _set(admin: Administration, name: str, **metadata: str) -> None:
    admin.put(path("projects", name), {"metadata": metadata})
