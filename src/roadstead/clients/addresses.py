"""Which addresses the server itself may connect to.

Whoever gives us a URL must not reach through us what they cannot reach: this machine, the metadata services of
clouds, the neighbours on the link.  Private networks are allowed, since companies run their CI there; `deny` names
those that are not.

An IPv4 address can hide in an IPv6 one, and some systems take it out again: each is judged by what it hides, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

Address = IPv4Address | IPv6Address

DENIED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; many systems take it for this machine
        "127.0.0.0/8",  # this machine
        "169.254.0.0/16",  # link-local, and the metadata services of most clouds
        "100.100.100.200/32",  # Alibaba's metadata service
        "168.63.129.16/32",  # Azure's
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata service
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",  # a NAT64 of the network's own: where in it the IPv4 address stands, nobody can tell
        "fd00:ec2::/32",  # Amazon's metadata service
        "fd20:ce::254/128",  # Google's
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, long given up
        "ff00::/8",  # multicast
    )
)
_LAST_32_BITS = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # mapped
        "::ffff:0:0:0/96",  # translated
        "64:ff9b::/96",  # NAT64
    )
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


class AddressPolicy:
    """`deny` wins over `allow`, which wins over what is denied always."""

    def __init__(self, *, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow = tuple(map(ip_network, allow))
        self._deny = tuple(map(ip_network, deny))

    def admits(self, text: str) -> bool:
        """Whether this address, as the resolver or a URL gives it, may be connected to."""
        try:
            # A zone says which link is meant, and every link-local address is denied whatever its link.
            forms = [*_forms(ip_address(text.partition("%")[0]))]
        except ValueError:
            return False
        if any(_within(form, self._deny) for form in forms):
            return False
        if any(_within(form, self._allow) for form in forms):
            return True
        return not any(_within(form, DENIED) for form in forms)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def _forms(address: Address) -> tuple[Address, ...]:
    """The address, and whatever it hides."""
    return (address, *_hidden(address)) if isinstance(address, IPv6Address) else (address,)


def _hidden(address: IPv6Address) -> Iterator[IPv4Address]:
    number = int(address)
    if any(address in network for network in _LAST_32_BITS) and number > 1:
        yield IPv4Address(number & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(number & 0xFFFFFFFF)
