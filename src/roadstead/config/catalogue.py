"""Every setting by its dotted name, with its type, default, comment and environment variable."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from roadstead.config.settings import Section, Settings

_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret text",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that can be set, or a section of such values."""

    # "tls.certificate"
    name: str
    # What it takes, in words: "whole number from 0 to 65535".
    type: str
    default: object
    comment: str
    is_section: bool
    is_list: bool
    is_secret: bool
    optional: bool

    @property
    def environment(self) -> str:
        return "ROADSTEAD_" + self.name.upper().replace(".", "__")

    @property
    def key(self) -> str:
        """The last part of the name, as it stands in a YAML file."""
        return self.name.rpartition(".")[2]

    @property
    def depth(self) -> int:
        return self.name.count(".")


@functools.cache
def catalogue() -> Mapping[str, Setting]:
    """All settings and sections, in the order of `settings.py`."""
    return {setting.name: setting for setting in _walk(Settings, "")}


def values() -> Iterator[Setting]:
    """The settings that hold a value: all but the sections."""
    return (setting for setting in catalogue().values() if not setting.is_section)


def _walk(section: type[Section], prefix: str) -> Iterator[Setting]:
    comments = comments_of(section)
    for key, field in section.model_fields.items():
        name = prefix + key
        nested = _section_of(field)
        kind, optional = _without_none(field.annotation)
        yield Setting(
            name=name,
            type="section" if nested else _type_in_words(field),
            default=field.get_default(call_default_factory=True),
            comment=comments.get(key, ""),
            is_section=nested is not None,
            is_list=get_origin(kind) is tuple,
            is_secret=kind is SecretStr,
            optional=optional,
        )
        if nested:
            yield from _walk(nested, f"{name}.")


def comments_of(section: type[Section]) -> Mapping[str, str]:
    """The comment above each field of a section, as one line.

    The source travels in the wheel, so this holds for an installed program too.
    """
    source = textwrap.dedent(inspect.getsource(section))
    lines = source.splitlines()
    (definition,) = ast.parse(source).body
    if not isinstance(definition, ast.ClassDef):  # pragma: no cover - getsource of a class gives a class
        raise TypeError(section)
    found = {}
    for statement in definition.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = _comment_above(lines, statement.lineno - 1)
    return found


def _comment_above(lines: list[str], index: int) -> str:
    block: list[str] = []
    while index > 0 and lines[index - 1].lstrip().startswith("#"):
        index -= 1
        block.insert(0, lines[index].strip().removeprefix("#").strip())
    return " ".join(block)


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _without_none(kind: object) -> tuple[object, bool]:
    """`X | None` as (X, True); anything else as it is."""
    if get_origin(kind) in {Union, types.UnionType}:
        (rest,) = [part for part in get_args(kind) if part is not type(None)]
        return rest, True
    return kind, False


def _type_in_words(field: FieldInfo) -> str:
    kind, optional = _without_none(field.annotation)
    if get_origin(kind) is Literal:
        words = "one of " + ", ".join(str(choice) for choice in get_args(kind))
    elif get_origin(kind) is tuple:
        words = "list of text"
    else:
        words = _WORDS[kind]
    return words + _bounds_in_words(field) + (", or nothing" if optional else "")


def _bounds_in_words(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        match rule:
            case Ge(ge=bound):
                low = f"from {bound}"
            case Gt(gt=bound):
                low = f"above {bound}"
            case Le(le=bound):
                high = f"to {bound}" if low.startswith("from") else f"up to {bound}"
            case Lt(lt=bound):
                high = f"below {bound}"
            case MinLen():
                low = "not empty"
            case _:
                pass
    if low.startswith("from") and not high:
        low = low.replace("from", "at least", 1)
    return "".join(f" {words}" if words != "not empty" else f", {words}" for words in (low, high) if words)
