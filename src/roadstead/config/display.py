"""Values of settings as people and machines may see them: secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from roadstead.config.catalogue import values
from roadstead.config.settings import Settings

MASK = "********"

Shown = str | int | float | bool | list[str] | None


def shown_values(settings: Settings) -> Mapping[str, Shown]:
    """Each setting's value by dotted name, ready to print."""
    return {setting.name: shown(value_of(settings, setting.name)) for setting in values()}


def value_of(settings: Settings, name: str) -> object:
    value: object = settings
    for key in name.split("."):
        value = getattr(value, key)
    return value


def shown(value: object) -> Shown:
    match value:
        case SecretStr():
            return masked(value.get_secret_value())
        case Path():
            return str(value)
        case tuple() | list():
            return [str(item) for item in value]
        case bool() | int() | float() | str() | None:
            return value
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} has no form to show")


def masked(secret: str) -> str:
    """A secret's outline.  Of an address, the scheme, host and path stay; account, password and query go."""
    try:
        parts = urlsplit(secret)
        port = parts.port
    except ValueError:
        return MASK
    if not secret:
        return ""
    if not parts.scheme or not (parts.netloc or parts.path.startswith("/")):
        return MASK
    place = (parts.hostname or "") + (f":{port}" if port else "")
    account = f"{MASK}@" if parts.username or parts.password else ""
    return f"{parts.scheme}://{account}{place}{parts.path}" + (f"?{MASK}" if parts.query else "")
