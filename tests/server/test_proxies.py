"""Whose word about the client is believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roadstead.config.settings import Settings
from roadstead.errors import Invalid
from roadstead.server.hosts import external_base
from roadstead.server.proxies import TrustedProxies

pytestmark = pytest.mark.anyio


async def seen(
    *headers: tuple[bytes, bytes],
    trusted: tuple[str, ...] = ("10.0.0.0/8",),
    peer: tuple[str, int] | None = ("10.0.0.1", 99),
) -> dict[str, Any]:
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scopes.append(scope)

    scope = {"type": "http", "scheme": "http", "client": peer, "headers": [(b"host", b"a"), *headers]}
    await TrustedProxies(app, trusted)(scope, None, None)
    return scopes[0]


FORGED = (
    b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"forwarded", b"x-remote-user",
    b"x_forwarded_for", b"x-forwarded_proto", b"x_real_ip", b"x_remote_user", b"remote-user", b"x-forwarded-user",
)  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("peer", [("192.0.2.1", 9), None])
async def test_a_stranger_cannot_speak_for_a_client(name: bytes, peer: tuple[str, int] | None) -> None:
    scope = await seen((name, b"127.0.0.1"), (name, b"https"), peer=peer)
    assert scope["headers"] == [(b"host", b"a")]
    assert (scope["client"], scope["scheme"]) == (peer, "http")


async def test_a_trusted_proxy_speaks_for_its_client() -> None:
    scope = await seen(
        (b"x-forwarded-for", b"203.0.113.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"r.example"),
    )
    assert scope["client"] == ("203.0.113.7", 0)
    assert scope["scheme"] == "https"
    assert scope["headers"] == [(b"host", b"r.example")]


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ((b"127.0.0.1, 203.0.113.7",), "203.0.113.7"),
        ((b"127.0.0.1", b"203.0.113.7, 10.2.3.4"), "203.0.113.7"),
        ((b"203.0.113.7:4711",), "203.0.113.7"),
        ((b"[2001:db8::7]:4711",), "2001:db8::7"),
        ((b"2001:db8::7",), "2001:db8::7"),
        ((b"::ffff:203.0.113.7",), "203.0.113.7"),
        ((b"203.0.113.7, nonsense",), "10.0.0.1"),
        ((b"nonsense, 10.9.9.9",), "10.9.9.9"),
        ((b"",), "10.0.0.1"),
    ],
)
async def test_the_client_is_the_rightmost_address_we_do_not_trust(
    lines: tuple[bytes, ...], client: str
) -> None:
    scope = await seen(*((b"x-forwarded-for", line) for line in lines))
    assert scope["client"][0] == client


async def test_a_proxy_on_the_unix_socket_is_trusted_only_by_name() -> None:
    header = (b"x-forwarded-for", b"203.0.113.7")
    assert (await seen(header, peer=None))["client"] is None
    assert (await seen(header, peer=None, trusted=("unix",)))["client"] == ("203.0.113.7", 0)


async def test_a_malformed_forwarded_host_is_not_believed() -> None:
    assert (await seen((b"x-forwarded-host", b"a@evil/")))["headers"] == [(b"host", b"a")]


def test_a_setting_that_is_no_network_is_refused() -> None:
    with pytest.raises(Invalid, match="trusted_proxies"):
        TrustedProxies(lambda *_: None, ["everyone"])  # type: ignore[arg-type]  # never called


def base(host: bytes, *urls: str) -> str:
    scope = {"scheme": "http", "headers": [(b"host", host)], "server": ("::1", 5000)}
    return external_base(scope, Settings(data=Path("x"), external_urls=urls))


def test_without_external_urls_a_sane_host_is_believed() -> None:
    assert base(b"Registry:5000") == "http://registry:5000"
    assert base(b"[::1]:5000") == "http://[::1]:5000"


@pytest.mark.parametrize(
    "host", [b"evil/path", b"a@evil", b"evil?x", b"evil#", b"e vil", b"evil\r\nx: y", b""]
)
def test_a_malformed_host_is_never_repeated(host: bytes) -> None:
    assert base(host) == "http://[::1]:5000"


def test_external_urls_win_over_the_host() -> None:
    urls = ("https://one.example", "https://two.example:8443/")
    assert base(b"evil", *urls) == "https://one.example"
    assert base(b"TWO.example:8443", *urls) == "https://two.example:8443"
