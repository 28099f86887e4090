"""`roadstead config show | validate | explain | schema`."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import click

from roadstead.cli.commands import LazyGroup, command
from roadstead.cli.options import config_option, data_options, load_settings, output_options
from roadstead.cli.output import print_list
from roadstead.cli.terminal import say


@click.group(
    "config",
    cls=LazyGroup,
    members={},
    examples=[
        ("What is set, and where", "roadstead config show"),
        ("What a setting means", "roadstead config explain http.drain_timeout"),
    ],
)
def config() -> None:
    """Show, validate and explain the settings."""


@command(
    "show",
    examples=[
        ("Every value and its source", "roadstead config show"),
        ("Only what differs from the defaults, for a script", "roadstead config show --changed -o json"),
    ],
)
@data_options
@click.option("--changed", is_flag=True, help="Leave out what has its default.")
@output_options
def show(
    *,
    config_file: Path | None,
    data: str | None,
    changed: bool,
    output_format: str,
    quiet: bool,
    columns: str | None,
    sort: str | None,
) -> None:
    """Show every setting's value and where it came from.  Secrets are masked."""
    loaded = load_settings(config_file, {"data": data})
    from roadstead.config.display import shown_values
    from roadstead.config.loading import DEFAULT

    records = [
        {"name": name, "value": value, "source": loaded.sources[name]}
        for name, value in shown_values(loaded.settings).items()
        if not (changed and loaded.sources[name] == DEFAULT)
    ]
    print_list(
        records, name="name", columns=("name", "value", "source"),
        output_format=output_format, quiet=quiet, chosen=columns, sort=sort,
    )  # fmt: skip


@command(
    "validate",
    examples=[
        ("Check the file and the environment that the server would use", "roadstead config validate"),
        ("Check a file before it is installed", "roadstead config validate --config roadstead.yaml"),
    ],
)
@config_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
def validate(config_file: Path | None, quiet: bool) -> None:
    """Find every mistake in the configuration, without starting anything."""
    loaded = load_settings(config_file, {})
    if not quiet:
        what = str(loaded.config_file) if loaded.config_file else "no file, only the environment and defaults"
        say(f"The configuration is valid ({what}).")


@command(
    "explain",
    examples=[
        ("Every setting, one line each", "roadstead config explain"),
        ("One setting", "roadstead config explain http.drain_timeout"),
        ("A section", "roadstead config explain tls"),
    ],
)
@click.argument("name", required=False)
@output_options
def explain(name: str | None, output_format: str, quiet: bool, columns: str | None, sort: str | None) -> None:
    """Say what settings mean, what they take, and how to set them."""
    from roadstead.config.catalogue import values
    from roadstead.config.display import shown
    from roadstead.config.explain import default_in_words, find

    settings = list(find(name)) if name else list(values())
    if name and output_format == "table" and not quiet and not columns:
        for setting in settings:
            click.echo(click.style(setting.name, bold=True))
            click.echo(textwrap.indent(textwrap.fill(setting.comment, width=90), "  "))
            if not setting.is_section:
                click.echo(f"  takes        {setting.type}")
                click.echo(f"  default      {default_in_words(setting)}")
                click.echo(f"  environment  {setting.environment}")
            click.echo()
        return
    records = [
        {
            "name": setting.name,
            "type": setting.type,
            "default": shown(setting.default),
            "environment": setting.environment,
            "comment": setting.comment,
        }
        for setting in settings
        if not setting.is_section
    ]
    print_list(
        records, name="name", columns=("name", "default", "comment"),
        output_format=output_format, quiet=quiet, chosen=columns, sort=sort,
    )  # fmt: skip


@command(
    "schema",
    examples=[
        ("Let an editor check and complete the file", "roadstead config schema > roadstead.schema.json"),
        ("What the schema says of TLS", "roadstead config schema | grep -A 40 TlsSettings"),
    ],
)
def schema() -> None:
    """Print a JSON Schema of the configuration file."""
    from roadstead.config.schema import schema as made

    click.echo(json.dumps(made(), indent=2))


for member in (show, validate, explain, schema):
    config.add_command(member)
