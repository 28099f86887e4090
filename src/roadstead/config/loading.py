"""From files, the environment and the command line to `Settings`.

Order of strength: default < YAML file < `ROADSTEAD_…` environment < command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roadstead.config.catalogue import Setting, catalogue, values
from roadstead.config.document import Document, Raw
from roadstead.config.environment import read_environment
from roadstead.config.problems import ConfigError, Problem, did_you_mean
from roadstead.config.settings import Settings

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings, and for each dotted name where its value came from."""

    settings: Settings
    # "default", "roadstead.yaml:12", "ROADSTEAD_PORT" or "--port", for each setting that is no section.
    sources: Mapping[str, str]
    config_file: Path | None


def load(
    config_file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedSettings:
    """Read the configuration; raise `ConfigError` with everything that is wrong with it.

    `overrides` are values by dotted name; None means that nothing was said.  `flags` gives the option's name
    where it is not the setting's own (`external_urls` is set by `--external-url`).
    """
    environ = os.environ if environ is None else environ
    path = config_file or (Path(environ["ROADSTEAD_CONFIG"]) if environ.get("ROADSTEAD_CONFIG") else None)
    found: dict[str, Raw] = {}
    problems: list[Problem] = []
    if path is not None:
        document = Document(path)
        found |= document.values
        problems += document.problems
    from_environment, mistakes = read_environment(environ)
    found |= from_environment
    problems += mistakes
    found |= {
        name: Raw(value, (flags or {}).get(name) or flag_of(name))
        for name, value in (overrides or {}).items()
        if value is not None
    }
    settings = _validate(found, problems)
    sources = {s.name: found[s.name].source if s.name in found else DEFAULT for s in values()}
    return LoadedSettings(settings, sources, path)


def flag_of(name: str) -> str:
    """`tls.client_ca` is set by `--tls-client-ca`."""
    return "--" + name.replace(".", "-").replace("_", "-")


def _validate(found: Mapping[str, Raw], problems: list[Problem]) -> Settings:
    try:
        settings = Settings.model_validate(_nested(found))
    except ValidationError as error:
        problems = [*problems, *_wrong_values(error, found)]
    if problems:
        raise ConfigError(problems)
    return settings


def _nested(found: Mapping[str, Raw]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, raw in found.items():
        *sections, key = name.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[key] = raw.value
    return tree


def _wrong_values(error: ValidationError, found: Mapping[str, Raw]) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        setting = _setting_at(detail["loc"])
        rule = _rule(detail["type"], detail.get("ctx", {}), detail["msg"])
        if setting.is_section:
            # A rule about several values together: point to the first of them that was set.
            members = [raw.source for name, raw in found.items() if name.startswith(f"{setting.name}.")]
            yield Problem(
                members[0] if members else setting.name, f"{setting.name} {rule}", _see(setting), setting.name
            )
            continue
        source = found[setting.name].source
        shown = "" if setting.is_secret else f", not {_short(detail['input'])}"
        choice = did_you_mean(str(detail["input"]), _choices(setting)) if not setting.is_secret else ""
        yield Problem(source, f"{setting.name} {rule}{shown}", choice or _see(setting), setting.name)


def _setting_at(loc: tuple[int | str, ...]) -> Setting:
    """The setting that an error's place lies in: `external_urls[0]` is in `external_urls`."""
    settings = catalogue()
    name = ".".join(str(part) for part in loc)
    while name not in settings:
        name = name.rpartition(".")[0]
    return settings[name]


def _choices(setting: Setting) -> list[str]:
    words = setting.type.removesuffix(", or nothing")
    return words.removeprefix("one of ").split(", ") if words.startswith("one of ") else []


def _see(setting: Setting) -> str:
    return f"See: roadstead config explain {setting.name}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# Pydantic's findings in our words, to follow the setting's name.  {} are filled from the finding's context.
_RULES: Mapping[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_type": "must be a whole number",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "path_type": "must be a path",
    "string_sub_type": "must be text (put it in quotes)",
    "string_too_short": "must not be empty",
    "string_type": "must be text (put it in quotes)",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}


def _rule(kind: str, context: Mapping[str, Any], message: str) -> str:
    words = _RULES.get(kind)
    return words.format_map(context) if words else f"is not right: {message}"
