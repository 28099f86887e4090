"""`roadstead robot trust`: robots that sign in without a secret of their own."""

from __future__ import annotations

import click

from roadstead.cli.administration import Administration, administered, path
from roadstead.cli.commands import command
from roadstead.cli.options import list_output
from roadstead.cli.output import Printer
from roadstead.cli.robot import find_robot


@command(
    "trust",
    examples=[
        (
            "Builds of one project of a CI, on its main branch, need no secret",
            "roadstead robot trust ci --project team --issuer ci --claim sub=repo:team/app:ref:refs/heads/main",
        ),
        ("What it trusts", "roadstead robot trust ci --project team"),
        ("Nothing any more", "roadstead robot trust ci --project team --none"),
    ],
)
@click.argument("name")
@click.option("--project", metavar="PROJECT", help="The project whose robot it is.")
@click.option("--issuer", metavar="NAME", help="Whose tokens, by its name in `roadstead issuer list`.")
@click.option(
    "--claim", "claims", multiple=True, metavar="CLAIM=TEXT",
    help="What the token must say, perhaps with wildcards; may be repeated.",
)  # fmt: skip
@click.option("--none", "nothing", is_flag=True, help="Take every rule away.")
@administered
@list_output
def trust(
    admin: Administration,
    *,
    name: str,
    project: str | None,
    issuer: str | None,
    claims: tuple[str, ...],
    nothing: bool,
    out: Printer,
) -> None:
    """Let identity tokens of an issuer stand for a robot's secret.  Without options: show which do."""
    if bool(issuer) != bool(claims):
        raise click.UsageError("say whose tokens, and what they must say: --issuer NAME --claim CLAIM=TEXT.")
    found = find_robot(admin, name, project)
    rules = path("robots", found["id"], "trusts")
    if issuer is not None:
        admin.post(rules, {"issuer": issuer, "claims": dict(map(_claim, claims))})
    elif nothing:
        for rule in [*admin.rows(rules)]:
            admin.delete(f"{rules}/{rule['id']}")
    out.list(admin.rows(rules), name="id", columns=("issuer", "claims"), words={"claims": _claims})


def _claim(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise click.UsageError(f"{text!r} is no claim. Write CLAIM=TEXT, such as ref=refs/heads/main.")
    return name, value


def _claims(found: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in found.items())
