"""`roadstead help [COMMAND]…`: the same as `--help`, for those who type it first."""

from __future__ import annotations

import click

from roadstead.cli.commands import command


@command(
    "help",
    examples=[
        ("All commands", "roadstead help"),
        ("One command of a group", "roadstead help user create"),
    ],
)
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command."""
    context = ctx.find_root()
    for word in words:
        group = context.command
        member = group.get_command(context, word) if isinstance(group, click.Group) else None
        if member is None:
            raise click.UsageError(f"No such command '{' '.join(words)}'.", ctx=context)
        context = click.Context(member, parent=context, info_name=word)
    click.echo(context.get_help())
