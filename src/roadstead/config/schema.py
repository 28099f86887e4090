"""A JSON Schema of the YAML file, for editors and for `roadstead config schema`."""

from __future__ import annotations

from typing import Any

from roadstead.config.catalogue import comments_of
from roadstead.config.settings import Section, Settings


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12, with the comments of `settings.py` as descriptions."""
    made = Settings.model_json_schema()
    sections: dict[str, type[Section]] = {Settings.__name__: Settings}
    sections |= {name: _section_named(name) for name in made["$defs"]}
    for name, section in sections.items():
        part = made if section is Settings else made["$defs"][name]
        for key, comment in comments_of(section).items():
            part["properties"][key]["description"] = comment
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "Roadstead's settings",
    }


def _section_named(name: str) -> type[Section]:
    return next(section for section in Section.__subclasses__() if section.__name__ == name)
