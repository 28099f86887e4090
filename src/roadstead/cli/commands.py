"""Commands that carry examples, and groups that import a command only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import click

# What an example does, and the line to type.
Example = tuple[str, str]


class Command(click.Command):
    """A command whose help ends with examples.  A test runs or parses each of them."""

    def __init__(self, *args: Any, examples: Sequence[Example], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)


def command(name: str, examples: Sequence[Example]) -> Callable[[Callable[..., Any]], Command]:
    """Like `click.command`, with examples.  The function's docstring is the help."""
    return cast(
        "Callable[[Callable[..., Any]], Command]", click.command(name, cls=Command, examples=examples)
    )


def write_examples(examples: Sequence[Example], formatter: click.HelpFormatter) -> None:
    with formatter.section("Examples"):
        for comment, line in examples:
            formatter.write(f"  # {comment}\n  {line}\n")


class LazyGroup(click.Group):
    """A group whose members are named by module; help shows them without importing them."""

    def __init__(
        self,
        *args: Any,
        members: Mapping[str, tuple[str, str]],
        examples: Sequence[Example] = (),
        **kwargs: Any,
    ) -> None:
        """`members`: name of a command -> ("package.module:attribute", one line of help)."""
        super().__init__(*args, **kwargs)
        self._members = members
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._members, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._members:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._members[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's parameter
        formatter: click.HelpFormatter,
    ) -> None:
        rows = [(name, line) for name, (_, line) in self._members.items()]
        rows += [(name, member.get_short_help_str()) for name, member in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            write_examples(self.examples, formatter)
        super().format_epilog(ctx, formatter)
