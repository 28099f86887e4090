"""Where `roadstead login` keeps what it was told: one file, readable by its owner alone."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

_OTHERS_MAY = 0o077


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str


def logins_path(environ: Mapping[str, str] = os.environ) -> Path:
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "roadstead" / "logins.json"


def saved_login(server: str) -> Login | None:
    found = _read().get(server)
    return Login(found["username"], found["password"]) if found else None


def save_login(server: str, login: Login) -> None:
    _write(_read() | {server: {"username": login.username, "password": login.password}})


def forget_login(server: str) -> bool:
    """Returns whether there was one."""
    logins = _read()
    if logins.pop(server, None) is None:
        return False
    _write(logins)
    return True


def _read() -> dict[str, dict[str, str]]:
    path = logins_path()
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS_MAY:
                raise click.ClickException(
                    f"{path} holds passwords, and others may read it. Run: chmod 600 {path}"
                )
            logins: dict[str, dict[str, str]] = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError:
        raise click.ClickException(f"{path} is no JSON. Delete it, and sign in again.") from None
    return logins


def _write(logins: Mapping[str, Mapping[str, str]]) -> None:
    path = logins_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A new file under the old name: nobody reads half of it, and it is never open to others.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".logins-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(logins, file, indent=2)
    Path(name).replace(path)
