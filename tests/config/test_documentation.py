"""What is said about the settings is true, and nothing is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadstead.config.catalogue import Setting, catalogue, values
from roadstead.config.example import example
from roadstead.config.explain import default_in_words, find, reference_page
from roadstead.config.loading import load
from roadstead.config.problems import ConfigError
from roadstead.config.schema import schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("setting", list(catalogue().values()), ids=lambda setting: setting.name)
def test_every_setting_has_a_comment_that_is_a_sentence(setting: Setting) -> None:
    assert re.fullmatch(r'[A-Z"a-z].+\.', setting.comment), setting.comment


@pytest.mark.parametrize("setting", list(values()), ids=lambda setting: setting.name)
def test_every_setting_can_be_set_from_the_environment(setting: Setting) -> None:
    text = setting.type
    value = {"true or false": "false", "path": "x", "list of text": "[]"}.get(
        text.removesuffix(", or nothing")
    )
    if value is None:
        words = default_in_words(setting).strip("'")
        value = words or {"audit.forward": "stdout", "outgoing.proxy": "http://proxy:3128"}.get(
            setting.name, "sqlite:////x"
        )
    if setting.name.startswith("tls."):
        environ = {f"ROADSTEAD_TLS__{key}": "x" for key in ("CERTIFICATE", "KEY")}
    else:
        environ = {}
    assert load(environ=environ | {setting.environment: value}).sources[setting.name] == setting.environment


def test_the_example_is_what_the_source_makes() -> None:
    assert (ROOT / "config.example.yaml").read_text(encoding="utf-8") == example(), "run: make generated"


def test_the_reference_page_is_what_the_source_makes() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run: make generated"


def test_the_example_loads_as_it_is() -> None:
    assert load(ROOT / "config.example.yaml", environ={}).settings == load(environ={}).settings


def test_the_example_with_every_key_uncommented_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "roadstead.yaml"
    path.write_text(re.sub(r"^( *)#(\w)", r"\1\2", example(), flags=re.MULTILINE), encoding="utf-8")
    loaded = load(path, environ={})
    assert loaded.settings == load(environ={}).settings
    assert "default" not in loaded.sources.values()


def test_the_reference_page_names_every_setting_and_variable() -> None:
    page = reference_page()
    for setting in values():
        assert f"`{setting.name}`<br>`{setting.environment}`" in page


def test_the_schema_describes_every_setting_and_forbids_others() -> None:
    made = schema()
    sections = [made, *made["$defs"].values()]
    assert all(section["additionalProperties"] is False for section in sections)
    described: list[dict[str, Any]] = [
        part for section in sections for part in section["properties"].values()
    ]
    assert all(part["description"] for part in described)
    assert len(described) == len(catalogue())


def test_a_section_is_explained_with_all_it_holds() -> None:
    assert [setting.name for setting in find("tls")][:2] == ["tls", "tls.certificate"]


@pytest.mark.parametrize("word", ["http.drain_timeout", "ROADSTEAD_HTTP__DRAIN_TIMEOUT"])
def test_a_setting_is_found_by_its_name_or_variable(word: str) -> None:
    assert [setting.name for setting in find(word)] == ["http.drain_timeout"]


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("drain_timeout", "Did you mean http.drain_timeout?"),
        ("http.drain_timeot", "Did you mean http.drain_timeout?"),
        ("~~~", "See: roadstead config explain"),
    ],
)
def test_a_word_that_is_no_setting_gets_a_suggestion(word: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find(word)
    assert caught.value.remedy == remedy


def test_types_are_told_with_their_bounds() -> None:
    told = {setting.name: setting.type for setting in values()}
    assert told["port"] == "whole number from 0 to 65535"
    assert told["http.drain_timeout"] == "number above 0 up to 31622400"
    assert told["tls.key"] == "path, or nothing"
    assert told["log.level"] == "one of debug, info, warning, error"


def test_the_example_is_yaml_of_sections_only() -> None:
    assert all(value is None or isinstance(value, dict) for value in yaml.safe_load(example()).values())
