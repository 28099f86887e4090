"""The documentation of the settings, made from `settings.py`: for the terminal and for `docs/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml

from roadstead.config.catalogue import Setting, catalogue
from roadstead.config.display import Shown, shown
from roadstead.config.problems import ConfigError, Problem, did_you_mean

_INTRODUCTION = """\
# Settings

<!-- Made from src/roadstead/config/settings.py by `make generated`. Change it there. -->

Every setting can stand in a YAML file named by `--config` or `ROADSTEAD_CONFIG`, in the environment, and
the common ones on the command line. The command line is stronger than the environment, the environment
stronger than the file, and the file stronger than the default. An unknown key or variable stops the program.

In the environment, a list is JSON or separated by commas, and an empty variable counts as not set. Relative
paths start at the working directory.

`roadstead config show` prints each value and where it came from; `roadstead config explain NAME` prints a
part of this page; `roadstead config schema` prints a JSON Schema for editors.

These variables are no settings: `ROADSTEAD_CONFIG` (the file to read), `ROADSTEAD_ADMIN_PASSWORD` and
`ROADSTEAD_ADMIN_PASSWORD_FILE` (the first administrator's password, read at the first start only).
"""


def find(name: str) -> Sequence[Setting]:
    """The setting of that name, or a section and all it holds; raises `ConfigError` for any other word."""
    name = name.strip().lower()
    by_variable = {setting.environment.lower(): setting.name for setting in catalogue().values()}
    name = by_variable.get(name, name)
    found = [s for s in catalogue().values() if s.name == name or s.name.startswith(f"{name}.")]
    if not found:
        raise ConfigError([Problem(name, "there is no such setting.", _nearest(name))])
    return found


def _nearest(name: str) -> str:
    homes = [setting.name for setting in catalogue().values() if setting.key == name]
    if homes:
        return f"Did you mean {' or '.join(homes)}?"
    return did_you_mean(name, catalogue()) or "See: roadstead config explain"


def default_in_words(setting: Setting) -> str:
    return in_yaml(shown(setting.default))


def in_yaml(value: Shown) -> str:
    """A value as it is written in a YAML file, on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def reference_page() -> str:
    """`docs/reference/settings.md`."""
    return "\n".join([_INTRODUCTION, *_rows()])


def _rows() -> Iterator[str]:
    yield from ("## General", "", *_table_of(""))
    for section in catalogue().values():
        if section.is_section:
            yield from (f"## {section.name}", "", section.comment, "", *_table_of(f"{section.name}."))


def _table_of(prefix: str) -> Iterator[str]:
    yield "| setting | what it is | takes | default |"
    yield "|---|---|---|---|"
    for setting in catalogue().values():
        if not setting.is_section and setting.name == prefix + setting.key:
            yield (
                f"| `{setting.name}`<br>`{setting.environment}` | {setting.comment} "
                f"| {setting.type} | `{default_in_words(setting)}` |"
            )
    yield ""
