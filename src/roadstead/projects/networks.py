"""From which addresses people may come, door by door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType

from roadstead.errors import RequestInvalid

DOORS = ("registry", "api", "portal")
MAX_NETWORKS = 1000
Network = IPv4Network | IPv6Network
# Door → the networks that may use it.  A door that is not named is open to all.
Rules = Mapping[str, tuple[Network, ...]]
NO_RULES: Rules = MappingProxyType({})


def check_rules(rules: Mapping[str, list[str]]) -> Rules:
    """What somebody wants the rules to be.  Raises `RequestInvalid`."""
    unknown = sorted(set(rules).difference(DOORS))
    if unknown:
        raise RequestInvalid(f"there is no door {unknown[0][:40]!r}", remedy=f"name {', '.join(DOORS)}")
    if sum(map(len, rules.values())) > MAX_NETWORKS:
        raise RequestInvalid(
            f"network rules hold at most {MAX_NETWORKS} networks", remedy="join some into larger networks"
        )
    return {door: tuple(map(_network, rules[door])) for door in DOORS if rules.get(door)}


def _network(text: str) -> Network:
    try:
        return ip_network(text.strip())
    except ValueError:
        raise RequestInvalid(
            f"{text[:60]!r} is not a network",
            remedy="write an address, or a network such as 10.0.0.0/8 or fd00::/8, without host bits",
        ) from None


def write_rules(rules: Rules) -> str:
    """The form in which rules are stored; empty for none."""
    named = {door: list(map(str, networks)) for door, networks in rules.items() if networks}
    return json.dumps(named, separators=(",", ":"), sort_keys=True) if named else ""


@lru_cache(maxsize=1024)
def read_rules(text: str) -> Rules:
    """The inverse of `write_rules`."""
    if not text:
        return NO_RULES
    return {door: tuple(map(ip_network, networks)) for door, networks in json.loads(text).items()}


@lru_cache(maxsize=8192)
def admits(text: str, door: str, address: str) -> bool:
    """Whether stored rules let somebody at this address through the door.

    Whoever has no address, as the peer of a Unix socket, is let through only where there is no rule.
    """
    networks = read_rules(text).get(door)
    if not networks:
        return True
    try:
        found = ip_address(address)
    except ValueError:
        return False
    # An IPv4 client of a socket for both families.
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
