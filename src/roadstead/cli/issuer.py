"""`roadstead issuer …`: whose identity tokens may stand for a robot's secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.refusals import missing
from roadstead.cli.terminal import confirm_or_refuse, say

_COLUMNS = ("name", "issuer", "audience")


@click.group(
    "issuer",
    cls=LazyGroup,
    members={},
    examples=[
        ("Whose tokens are trusted", "roadstead issuer list"),
        (
            "Trust the tokens of a CI",
            "roadstead issuer add ci https://ci.example.com --audience registry.example.com",
        ),
    ],
)
def issuer() -> None:
    """Say whose identity tokens may stand for a robot's secret."""


@command(
    "add",
    examples=[
        (
            "Its keys are found where OpenID Connect says",
            "roadstead issuer add ci https://ci.example.com --audience registry.example.com",
        ),
        (
            "One that the registry cannot reach",
            "roadstead issuer add ci https://ci.example.com --audience registry.example.com --keys-file keys.json",
        ),
    ],
)
@click.argument("name")
@click.argument("url", metavar="URL")
@click.option("--audience", required=True, metavar="TEXT", help="What `aud` in its tokens must be.")
@click.option("--keys-url", metavar="URL", help="Where its keys are. Without it they are discovered.")
@click.option(
    "--keys-file", type=click.Path(path_type=Path), metavar="FILE", help="Its keys themselves, as a JWK set."
)
@administered
def add(
    admin: Administration, *, name: str, url: str, audience: str, keys_url: str | None, keys_file: Path | None
) -> None:
    """Trust an OpenID Connect issuer.  NAME is what you call it, URL the `iss` in its tokens."""
    wanted = {"name": name, "issuer": url, "audience": audience, "jwks_uri": keys_url}
    admin.post("/issuers", wanted | {"jwks": None if keys_file is None else _keys(keys_file)})
    say(f"{url} is trusted as {name}. Which of its tokens stand for whom: roadstead robot trust")


@command(
    "list",
    examples=[
        ("Every trusted issuer", "roadstead issuer list"),
        ("With its keys", "roadstead issuer list -o json"),
    ],
)
@administered
@list_output
def list_issuers(admin: Administration, out: Printer) -> None:
    """List the trusted issuers."""
    out.list(admin.rows("/issuers"), name="name", columns=_COLUMNS)


@command(
    "delete",
    examples=[
        ("Asks first", "roadstead issuer delete ci"),
        ("From a script", "roadstead issuer delete ci --yes"),
    ],
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administered
def delete(admin: Administration, name: str, yes: bool) -> None:
    """Trust an issuer no more, and forget which of its tokens stood for whom."""
    for found in admin.rows("/issuers"):
        if found["name"] == name:
            confirm_or_refuse(f"Trust {found['issuer']} no more", yes=yes)
            admin.delete(path("issuers", found["id"]))
            say(f"{found['issuer']} is trusted no more.")
            return
    raise missing(f"there is no trusted issuer {name}", "see: roadstead issuer list")


for member in (add, list_issuers, delete):
    issuer.add_command(member)


def _keys(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.UsageError(f"{file} is no JWK set: a JSON object with a list of keys.")
    return found
