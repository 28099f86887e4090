"""`config.example.yaml`: every key with its comment and default, commented out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from roadstead.config.catalogue import Setting, catalogue
from roadstead.config.explain import default_in_words

_INTRODUCTION = """\
# Every setting of Roadstead, with its default. Take the "#" from a key to change it, and start with
#     roadstead serve --config THIS-FILE
# Made from src/roadstead/config/settings.py by `make generated`. Change it there.
"""


def example() -> str:
    """The whole file.  Sections stand as they are, so that one "#" is all there is to take away."""
    lines = [_INTRODUCTION]
    values = [s for s in catalogue().values() if not s.is_section and s.depth == 0]
    for setting in values:
        lines += _entry(setting)
    for setting in catalogue().values():
        if setting.depth > 0 or setting.is_section:
            lines += _entry(setting)
    return "\n".join(lines)


def _entry(setting: Setting) -> Iterator[str]:
    indent = "  " * setting.depth
    for line in textwrap.wrap(setting.comment, width=100 - len(indent)):
        yield f"{indent}# {line}"
    if setting.is_section:
        yield f"{indent}{setting.key}:"
    else:
        yield f"{indent}#{setting.key}: {default_in_words(setting)}"
        yield ""
