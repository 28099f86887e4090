"""`roadstead configuration …`: what an administrator may change while the registry runs."""

from __future__ import annotations

import json

import click

from roadstead.cli.administration import Administration, administered
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import say


@click.group(
    "configuration",
    cls=LazyGroup,
    members={},
    examples=[
        ("Everything, with its value", "roadstead configuration get"),
        ("Refuse every change for a while", "roadstead configuration set read_only true"),
    ],
)
def configuration() -> None:
    """See and change what can be changed while the registry runs.  `roadstead config` has the rest."""


@command(
    "get",
    examples=[
        ("Everything", "roadstead configuration get"),
        ("One value", "roadstead configuration get read_only"),
    ],
)
@click.argument("key", required=False)
@administered
@list_output
def get(admin: Administration, key: str | None, out: Printer) -> None:
    """Show what is configured, and whether it can be changed."""
    found = admin.get("/configurations").json
    if key is not None and key not in found:
        raise missing(f"there is no configuration {key}", "see: roadstead configuration get")
    records = [{"key": name, **item} for name, item in found.items() if key in {None, name}]
    out.list(records, name="key", columns=("key", "value", "editable"))


@command(
    "set",
    examples=[
        (
            "Let administrators only make projects",
            "roadstead configuration set project_creation_restriction adminonly",
        ),
        (
            "How much a new project may hold, in bytes",
            "roadstead configuration set storage_per_project 53687091200",
        ),
    ],
)
@click.argument("key")
@click.argument("value")
@administered
def set_value(admin: Administration, key: str, value: str) -> None:
    """Change a value, at once and for every worker and replica."""
    known = admin.get("/configurations").json
    if key not in known:
        raise missing(f"there is no configuration {key}", "see: roadstead configuration get")
    admin.put("/configurations", {key: _typed(key, value, known[key].get("value"))})
    say(f"{key} is {value} from now on.")


for member in (get, set_value):
    configuration.add_command(member)


def _typed(key: str, text: str, now: object) -> object:
    """The value as JSON, of the same type as it has now."""
    if isinstance(now, str):
        return text
    try:
        value = json.loads(text.lower())
    except ValueError:
        value = None
    if type(value) is not type(now):
        wanted = "true or false" if isinstance(now, bool) else "a whole number"
        raise click.UsageError(f"{key} is {wanted}, not {text!r}.")
    return value
