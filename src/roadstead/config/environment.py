"""Settings from `ROADSTEAD_…` environment variables.  A name that is none of ours is a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from roadstead.config.catalogue import Setting, catalogue, values
from roadstead.config.document import Raw
from roadstead.config.problems import Problem, did_you_mean

PREFIX = "ROADSTEAD_"

# Read by the command line or the first start, and no settings.
OTHERS = frozenset(
    {
        "ROADSTEAD_CONFIG",
        "ROADSTEAD_ADMIN_PASSWORD",
        "ROADSTEAD_ADMIN_PASSWORD_FILE",
        "ROADSTEAD_SERVER",
        "ROADSTEAD_USERNAME",
        "ROADSTEAD_PASSWORD",
        "ROADSTEAD_CA_FILE",
    }
)
_OTHER_PREFIXES = ("ROADSTEAD_TEST_",)

# Kubernetes gives every pod variables that describe the services of its namespace.  A service named
# `roadstead` yields ROADSTEAD_SERVICE_HOST, ROADSTEAD_PORT=tcp://10.0.0.7:5000, ROADSTEAD_PORT_5000_TCP …
_SERVICE_LINK = re.compile(
    r"_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Raw], list[Problem]]:
    """The settings that `environ` holds, by dotted name, and what is wrong with its names.

    An empty variable counts as not set.
    """
    by_variable = {setting.environment: setting for setting in catalogue().values()}
    found: dict[str, Raw] = {}
    problems: list[Problem] = []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or not text or _is_no_setting(name, text):
            continue
        setting = by_variable.get(name)
        if setting is None:
            problems.append(_unknown(name))
        elif setting.is_section:
            remedy = f"Set its members one by one, such as {_member(setting)}."
            problems.append(
                Problem(name, f"{setting.name} is a section and takes no value", remedy, setting.name)
            )
        else:
            try:
                found[setting.name] = Raw(_parse(setting, text), name)
            except ValueError:
                problems.append(_not_a_list(name, setting))
    return found, problems


def _is_no_setting(name: str, text: str) -> bool:
    if name in OTHERS or name.startswith(_OTHER_PREFIXES) or _SERVICE_LINK.search(name):
        return True
    return name.endswith("_PORT") and _SERVICE_ADDRESS.match(text) is not None


def _parse(setting: Setting, text: str) -> object:
    """Lists are JSON or separated by commas; every other value is text for the model to read."""
    if not setting.is_list:
        return text
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def _unknown(name: str) -> Problem:
    known = [*(setting.environment for setting in values()), *OTHERS]
    suggestion = did_you_mean(name, known)
    return Problem(name, "there is no such setting.", suggestion or "See: roadstead config explain")


def _not_a_list(name: str, setting: Setting) -> Problem:
    remedy = 'Write a,b or ["a", "b"].'
    return Problem(name, f"{setting.name} is not a list that can be read", remedy, setting.name)


def _member(section: Setting) -> str:
    return next(s.environment for s in values() if s.name.startswith(f"{section.name}."))
