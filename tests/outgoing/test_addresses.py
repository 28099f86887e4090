"""Where the server itself may connect to."""

from __future__ import annotations

import pytest

from roadstead.clients.addresses import AddressPolicy


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        # The same in disguise: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:db8::5efe:127.0.0.1",
        # No addresses, however a resolver would read them.
        "",
        "localhost",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
    ],
)
def test_F1_F6_this_machine_and_what_lives_on_the_link_are_not_connected_to(address: str) -> None:
    assert not AddressPolicy().admits(address)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "fd12:3456::1",
        "140.82.112.3",
        "2606:50c0:8000::154",
        "64:ff9b::8c52:7003",
    ],
)
def test_private_and_public_addresses_are_connected_to(address: str) -> None:
    assert AddressPolicy().admits(address)


def test_an_operator_opens_and_closes_networks() -> None:
    policy = AddressPolicy(allow=["127.0.0.0/8", "10.1.0.0/16"], deny=["10.0.0.0/8", "127.0.0.2/32"])
    assert policy.admits("127.0.0.1")
    assert policy.admits("::ffff:127.0.0.1")
    assert not policy.admits("127.0.0.2")
    assert not policy.admits("::ffff:127.0.0.2")
    assert not policy.admits("10.2.0.1")
    assert not policy.admits("10.1.0.1")
    assert not policy.admits("64:ff9b::10.2.0.1")
    assert not policy.admits("169.254.169.254")
