"""What administrators may change while the registry runs: every key, its default, and what it may be.

The names are Harbor's, and so are the defaults, save where the configuration file has the setting.  Keys of ways to
sign in that are not built are kept and shown, as Harbor keeps them, and have no effect while `auth_mode` is
`db_auth`, which cannot be changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.config.settings import Settings
from roadstead.errors import Invalid

Value = bool | int | str
Check = Callable[[str, Value], Value]

LONGEST_TEXT = 4096
# Of storage, in bytes: Harbor's.
MOST_BYTES = 2**50
MOST_ROWS = 10**12
MOST_DAYS = 36_500
MOST_MINUTES = 10 * 366 * 24 * 60
# Whoever stops the writing of entries leaves an entry that says so.
ALWAYS_WRITTEN = "update_configuration"

_ENDPOINT = re.compile(
    r"(?:(?:udp|tcp|tls)://)?(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})"
)
_EVENT_TYPE = re.compile(r"[a-z]+(?:[-_][a-z]+)*_[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    default: Value
    # The value as it is kept.  Raises `Invalid`.
    check: Check
    # What to do in place of changing it here; empty where it can be changed.
    fixed: str = ""

    @property
    def editable(self) -> bool:
        return not self.fixed

    @property
    def kind(self) -> type[Value]:
        return type(self.default)


def catalogue(settings: Settings) -> Mapping[str, Key]:
    """Every key by its name.  Raises nothing: the settings were checked."""
    keys = (*_own(settings), *_counts(), *_audit(settings), *_other_ways_to_sign_in())
    return {key.name: key for key in keys}


def _own(settings: Settings) -> tuple[Key, ...]:
    restricted = settings.registry.project_creation == "administrators"
    return (
        Key(
            "project_creation_restriction",
            "adminonly" if restricted else "everyone",
            _one_of("everyone", "adminonly"),
        ),
        Key("self_registration", default=False, check=_any),
        Key("read_only", default=False, check=_any),
        Key("banner_message", "", _text()),
        Key("session_timeout", 60, _between(1, MOST_MINUTES)),
        Key(
            "token_expiration",
            -(-settings.auth.token_lifetime // 60),
            _any,
            fixed="set auth.token_lifetime in the configuration file, and restart",
        ),
        Key("robot_token_duration", 30, _between(1, MOST_DAYS)),
        Key("robot_name_prefix", "robot$", _any, fixed="robots keep their prefix: leave it out"),
        Key("storage_per_project", -1, _limit(MOST_BYTES)),
        Key(
            "quota_per_project_enable",
            default=True,
            check=_any,
            fixed="usage is always counted: for no limit, set storage_per_project to -1",
        ),
        Key(
            "notification_enable", default=True, check=_any, fixed="webhooks are not built yet: leave it out"
        ),
        Key(
            "scanner_skip_update_pulltime",
            default=False,
            check=_any,
            fixed="scanners are not built yet: leave it out",
        ),
        Key("auth_mode", "db_auth", _any, fixed="accounts are kept here: leave it out"),
        Key("primary_auth_mode", default=False, check=_any, fixed="accounts are kept here: leave it out"),
    )


def _counts() -> tuple[Key, ...]:
    names = (
        "count_quota_projects",
        "count_quota_projects_per_user",
        "count_quota_repositories_public_per_project",
        "count_quota_repositories_private_per_project",
        "count_quota_repositories_public_per_user",
        "count_quota_repositories_private_per_user",
        "count_quota_tags",
        "count_quota_network_rules",
    )
    return tuple(Key(name, -1, _limit(MOST_ROWS)) for name in names)


def _audit(_settings: Settings) -> tuple[Key, ...]:
    return (
        Key("audit_log_forward_endpoint", "", _endpoint),
        Key("skip_audit_log_database", default=False, check=_any),
        Key("disabled_audit_log_event_types", "", _event_types),
    )


def _other_ways_to_sign_in() -> tuple[Key, ...]:
    numbers = {"ldap_scope": 2, "ldap_group_search_scope": 2, "ldap_timeout": 5}
    switched_on = ("ldap_verify_cert", "oidc_verify_cert", "http_authproxy_verify_cert")
    switched_off = (
        "ldap_group_attach_parallel",
        "uaa_verify_cert",
        "http_authproxy_skip_search",
        "oidc_auto_onboard",
        "oidc_logout",
    )
    texts = {
        "ldap_uid": "cn",
        "ldap_group_membership_attribute": "memberof",
        "oidc_extra_redirect_parms": "{}",
        **dict.fromkeys(_EMPTY_TEXTS, ""),
    }
    return (
        *(Key(name, default, _between(0, 100_000)) for name, default in numbers.items()),
        *(Key(name, default=True, check=_any) for name in switched_on),
        *(Key(name, default=False, check=_any) for name in switched_off),
        *(Key(name, default, _text()) for name, default in texts.items()),
        *(Key(name, "", _any, fixed="nothing here would use this secret: leave it out") for name in SECRETS),
    )


_EMPTY_TEXTS = (
    "ldap_base_dn",
    "ldap_filter",
    "ldap_group_base_dn",
    "ldap_group_admin_dn",
    "ldap_group_attribute_name",
    "ldap_group_search_filter",
    "ldap_search_dn",
    "ldap_url",
    "uaa_client_id",
    "uaa_endpoint",
    "http_authproxy_endpoint",
    "http_authproxy_tokenreview_endpoint",
    "http_authproxy_admin_groups",
    "http_authproxy_admin_usernames",
    "http_authproxy_server_certificate",
    "oidc_name",
    "oidc_endpoint",
    "oidc_client_id",
    "oidc_groups_claim",
    "oidc_admin_group",
    "oidc_group_filter",
    "oidc_scope",
    "oidc_user_claim",
)
# Never kept, and never shown.
SECRETS = ("ldap_search_password", "oidc_client_secret", "uaa_client_secret")


# ── what a value may be ─────────────────────────────────────────────────────────────────────────────────


class ConfigurationInvalid(Invalid):
    """A configuration cannot have that value."""


def _any(_key: str, value: Value) -> Value:
    return value


def _one_of(*choices: str) -> Check:
    def check(key: str, value: Value) -> Value:
        if value not in choices:
            raise ConfigurationInvalid(f"{key} is one of {', '.join(choices)}", remedy="give one of these")
        return value

    return check


def _between(least: int, most: int) -> Check:
    def check(key: str, value: Value) -> Value:
        if not isinstance(value, int) or not least <= value <= most:
            raise ConfigurationInvalid(
                f"{key} is from {least} to {most}", remedy="give a number in that range", limit=most
            )
        return value

    return check


def _limit(most: int) -> Check:
    def check(key: str, value: Value) -> Value:
        if value == -1:
            return value
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ConfigurationInvalid(
                f"{key} is from 1 to {most}, or -1 for no limit", remedy="give such a number", limit=most
            )
        return value

    return check


def _text(most: int = LONGEST_TEXT) -> Check:
    def check(key: str, value: Value) -> Value:
        if len(str(value)) > most:
            raise ConfigurationInvalid(
                f"{key} has at most {most} characters", remedy="give a shorter text", limit=most
            )
        return value

    return check


def _endpoint(key: str, value: Value) -> Value:
    text = str(value).strip()
    found = _ENDPOINT.fullmatch(text)
    if text and (found is None or not 1 <= int(found["port"]) <= 65_535):
        raise ConfigurationInvalid(
            f"{key} is HOST:PORT of a syslog server, after udp://, tcp:// or tls:// if it is not TCP",
            remedy="give such an address, or an empty text to stop forwarding",
        )
    return text


def _event_types(key: str, value: Value) -> Value:
    """Normal form: sorted, separated by commas."""
    types = sorted({part.strip() for part in str(value).split(",")} - {""})
    for found in types:
        if _EVENT_TYPE.fullmatch(found) is None or found == ALWAYS_WRITTEN:
            raise ConfigurationInvalid(
                f"{key} cannot hold {found[:80]!r}: it is no event type, or one that is always written",
                remedy="GET /api/v2.0/auditlog-exts/events lists the event types",
            )
    return _text()(key, ",".join(types))
