"""A YAML file as settings by dotted name, each with the line it stands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roadstead.config.catalogue import Setting, catalogue
from roadstead.config.problems import ConfigError, Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as somebody wrote it, and where."""

    value: object
    # "roadstead.yaml:12", "ROADSTEAD_PORT" or "--port".
    source: str


class Document:
    """One YAML file.  `values` are its settings; `problems` are its keys that cannot be right."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values: dict[str, Raw] = {}
        self.problems: list[Problem] = []
        self._loader = yaml.SafeLoader(_text(path))
        try:
            root = self._loader.get_single_node()
            if root is not None:
                self._section(root, "")
        except yaml.YAMLError as error:
            self.problems.append(_syntax_problem(path, error))
        finally:
            self._loader.dispose()

    def _where(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _section(self, node: yaml.Node, prefix: str) -> None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
            return  # `tls:` with every key under it commented out
        if not isinstance(node, yaml.MappingNode):
            name = prefix.rstrip(".") or "the file"
            self.problems.append(
                Problem(
                    self._where(node),
                    f"{name} must hold keys and values",
                    "Write `key: value` lines, indented under the section's name.",
                    prefix.rstrip("."),
                )
            )
            return
        self._loader.flatten_mapping(node)
        seen: set[str] = set()
        for key, value in node.value:
            word = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            name = prefix + word
            if name in seen:
                self._complain(key, f"{name} stands here a second time", "Keep one of the two.", name)
            seen.add(name)
            setting = catalogue().get(name)
            if setting is None:
                self._complain(key, f"unknown key {name}.", _suggestion(word, prefix), "")
            elif setting.is_section:
                self._section(value, f"{name}.")
            else:
                self._value(setting, key, value)

    def _value(self, setting: Setting, key: yaml.Node, node: yaml.Node) -> None:
        try:
            value: Any = self._loader.construct_object(node, deep=True)
        except ValueError:
            self._complain(
                node, f"{setting.name} is not a value that YAML knows", "Put it in quotes.", setting.name
            )
            return
        if value is None and not setting.optional:
            self._complain(
                key, f"{setting.name} has no value", "Give it one, or take the line away.", setting.name
            )
            return
        self.values[setting.name] = Raw(value, self._where(key))

    def _complain(self, node: yaml.Node, what: str, remedy: str, setting: str) -> None:
        self.problems.append(Problem(self._where(node), what, remedy, setting))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file", "Name an existing file with --config.") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "the file is not UTF-8 text", "Save it as UTF-8.") from None
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise _unreadable(
            path, reason, "Make the file readable for the account that runs roadstead."
        ) from None


def _unreadable(path: Path, what: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(str(path), what, remedy)])


def _syntax_problem(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    reason = getattr(error, "problem", None) or "it holds characters that YAML forbids"
    return Problem(
        where, f"not YAML: {reason}", "Look at the indentation and quotes of this line and the one before."
    )


def _suggestion(word: str, prefix: str) -> str:
    siblings = [s.key for s in catalogue().values() if s.name == prefix + s.key]
    return did_you_mean(word, siblings) or _elsewhere(word) or f"Known here: {', '.join(siblings)}."


def _elsewhere(word: str) -> str:
    """The place where a key of this name does exist."""
    homes = list(_homes(catalogue(), word))
    return f"Did you mean {' or '.join(homes)}?" if homes else ""


def _homes(settings: Mapping[str, Setting], word: str) -> Iterator[str]:
    return (setting.name for setting in settings.values() if setting.key == word)
