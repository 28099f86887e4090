"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from roadstead.cli.output import Printer

if TYPE_CHECKING:
    from roadstead.config.loading import LoadedSettings

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = ("table", "json", "jsonl", "csv", "name")


def setting_option(flag: str, setting: str, help_text: str, *names: str, **kwargs: Any) -> Callable[[F], F]:
    """An option that sets `setting`, and says how else that can be done."""
    variable = "ROADSTEAD_" + setting.upper().replace(".", "__")
    parameter = setting.replace(".", "__")
    return click.option(flag, *names, parameter, help=f"{help_text} [env: {variable}]", **kwargs)


def config_option(function: F) -> F:
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE",
        help="YAML file with settings. [env: ROADSTEAD_CONFIG]",
    )(function)  # fmt: skip


def data_options(function: F) -> F:
    """`--data` and `--config`: which installation is meant."""
    function = config_option(function)
    return setting_option(
        "--data", "data", "Folder for the database, the blobs and the first password.", metavar="FOLDER"
    )(function)


def output_options(function: F) -> F:
    """`-o`, `--columns`, `--sort` and `-q` of a list; see `output.py`."""
    function = click.option("--columns", metavar="A,B,…", help="Columns to print, in this order.")(function)
    function = click.option("--sort", metavar="COLUMN", help="Sort by this column; -COLUMN turns it round.")(
        function
    )
    return show_options(function)


def show_options(function: F) -> F:
    """`-o` and `-q` of a command that shows one thing."""
    function = click.option("-q", "--quiet", is_flag=True, help="Print names only.")(function)
    return click.option(
        "-o", "--output", "output_format", type=click.Choice(FORMATS), default="table", show_default=True,
        help="How to print.",
    )(function)  # fmt: skip


def list_output(function: Callable[..., Any]) -> Any:
    """The same for a command that takes `out`, a `Printer`, and prints a list with it."""

    @functools.wraps(function)
    def printing(
        *args: Any, output_format: str, quiet: bool, columns: str | None, sort: str | None, **kwargs: Any
    ) -> Any:
        return function(*args, out=Printer(output_format, quiet, columns, sort), **kwargs)

    return output_options(printing)


def one_output(function: Callable[..., Any]) -> Any:
    """The same for a command that prints one thing."""

    @functools.wraps(function)
    def printing(*args: Any, output_format: str, quiet: bool, **kwargs: Any) -> Any:
        return function(*args, out=Printer(output_format, quiet), **kwargs)

    return show_options(printing)


def load_settings(
    config_file: Path | None, overrides: dict[str, object], flags: dict[str, str] | None = None
) -> LoadedSettings:
    """The configuration of this command line.  `overrides` by parameter name, with `__` for a dot."""
    from roadstead.config.loading import load

    by_setting = {
        name.replace("__", "."): value for name, value in overrides.items() if value not in ((), None)
    }
    return load(config_file, by_setting, flags=flags)
