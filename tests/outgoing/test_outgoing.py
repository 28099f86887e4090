"""The one client by which the server asks others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.outgoing.peers import NAME, Names, Peer, open_peer

from roadstead.clients.outgoing import Outgoing, Unreachable, check_url
from roadstead.config.settings import OutgoingSettings
from roadstead.errors import RequestInvalid

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1"


@pytest.fixture
async def peer_and_ca(tmp_path: Path) -> AsyncIterator[tuple[Peer, Path]]:
    async with open_peer(tmp_path) as opened:
        yield opened


@pytest.fixture
def peer(peer_and_ca: tuple[Peer, Path]) -> Peer:
    return peer_and_ca[0]


@pytest.fixture
def ca(peer_and_ca: tuple[Peer, Path]) -> Path:
    return peer_and_ca[1]


@asynccontextmanager
async def client(ca: Path | None, names: Names | None = None, **settings: object) -> AsyncIterator[Outgoing]:
    given = {"allow": [f"{HERE}/32"], "ca": ca, "timeout": 5.0, **settings}
    opened = Outgoing(OutgoingSettings.model_validate(given), resolver=names or Names([[HERE]]))
    try:
        yield opened
    finally:
        await opened.close()


async def refused(opened: Outgoing, url: str, **more: int) -> str:
    with pytest.raises(Unreachable) as caught:
        await opened.get(url, limit=more.get("limit", 1000))
    return caught.value.message


async def test_a_page_is_fetched_with_nothing_of_ours_in_the_request(peer: Peer, ca: Path) -> None:
    peer.shows("/x", {"a": 1})
    async with client(ca) as opened:
        fetched = await opened.get(f"{peer.url}/x", limit=1000)
    assert (fetched.status, fetched.body) == (200, b'{"a": 1}')
    names = {line.partition(":")[0].lower() for line in peer.heads[0].splitlines()[1:] if line}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}


async def test_F3_a_denied_address_is_never_connected_to(peer: Peer, ca: Path) -> None:
    async with client(ca, allow=[]) as opened:
        by_name = await refused(opened, f"{peer.url}/x")
        by_address = await refused(opened, f"https://{HERE}:{peer.port}/x")
        await refused(opened, f"https://[::ffff:{HERE}]:{peer.port}/x")
        await refused(opened, f"https://2130706433:{peer.port}/x")
    assert peer.connections == 0
    assert by_name == f"no usable answer from '{NAME}'"
    assert by_address == f"no usable answer from '{HERE}'"


async def test_F1_denied_closed_and_wrong_are_told_in_the_same_words(
    peer: Peer, ca: Path, tmp_path: Path
) -> None:
    closed = await asyncio.start_server(lambda *_: None, HERE, 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    async with client(ca, Names([[HERE]])) as opened:
        of_closed = await refused(opened, f"https://{NAME}:{port}/")
    async with client(ca, Names([["169.254.169.254"]])) as opened:
        of_denied = await refused(opened, f"https://{NAME}:{peer.port}/")
    async with client(None, Names([[HERE]])) as opened:
        of_untrusted = await refused(opened, f"https://{NAME}:{peer.port}/")
    assert of_closed == of_denied == of_untrusted


async def test_F7_a_name_that_changes_its_mind_is_judged_each_time(peer: Peer, ca: Path) -> None:
    peer.shows("/x", {})
    names = Names([[HERE], ["127.0.0.2"], ["169.254.169.254"]])
    async with client(ca, names) as opened:
        assert (await opened.get(f"{peer.url}/x", limit=100)).status == 200
        await refused(opened, f"{peer.url}/x")
        await refused(opened, f"{peer.url}/x")
    assert (names.lookups, peer.connections) == (3, 1)


async def test_F7_of_several_addresses_only_those_allowed_are_connected_to(peer: Peer, ca: Path) -> None:
    peer.shows("/x", {})
    async with client(ca, Names([["::1", "127.0.0.2", HERE]])) as opened:
        assert (await opened.get(f"{peer.url}/x", limit=100)).status == 200
    async with client(ca, Names([["10.255.255.1", HERE]]), allow=[], deny=["10.0.0.0/8"]) as opened:
        await refused(opened, f"{peer.url}/x")
    assert peer.connections == 1


async def test_F9_a_redirect_is_not_followed(peer: Peer, ca: Path) -> None:
    peer.shows("/x", {}, status=302, head=f"Location: {peer.url}/y\r\n")
    async with client(ca) as opened:
        assert (await opened.get(f"{peer.url}/x", limit=100)).status == 302
    assert peer.asked == ["/x"]


async def test_F10_no_more_is_read_than_was_allowed(peer: Peer, ca: Path) -> None:
    peer.shows("/x", b"x" * 5_000_000)
    peer.shows("/zipped", b"x", head="Content-Encoding: gzip\r\n")
    peer.shows("/headers", b"x", head="".join(f"X-{n}: {'y' * 100}\r\n" for n in range(10_000)))
    async with client(ca) as opened:
        await refused(opened, f"{peer.url}/x", limit=65_536)
        await refused(opened, f"{peer.url}/zipped")
        await refused(opened, f"{peer.url}/headers")


async def test_a_peer_that_never_answers_is_given_up(ca: Path) -> None:
    held = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    server = await asyncio.start_server(silent, HERE, 0)
    async with server, client(ca, timeout=0.2, connect_timeout=0.2) as opened:
        await refused(opened, f"https://{NAME}:{server.sockets[0].getsockname()[1]}/")
        held.set()


async def test_a_proxy_is_asked_for_everything_but_denied_addresses(ca: Path) -> None:
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, HERE, 0)
    url = f"http://{HERE}:{server.sockets[0].getsockname()[1]}"
    async with server, client(ca, allow=[], proxy=url) as opened:
        await refused(opened, "https://gitlab.example/keys")
        await refused(opened, "https://169.254.169.254/keys")
        await refused(opened, "https://[::1]/keys")
    assert asked == [b"CONNECT gitlab.example:443 HTTP/1.1"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://issuer.example/",
        "file:///etc/passwd",
        "ftp://issuer.example/",
        "data:application/json,{}",
        "gopher://issuer.example/",
        "https://",
        "https:///path",
        "https://user@issuer.example/",
        "https://user:secret@issuer.example/",
        "https://issuer.example:0/",
        "https://issuer.example:99999/",
        "https://issuer.example/#fragment",
        "https://issuer.example/ path",
        "https://issuer.example/\r\nX: y",
        "https://issuer.example\\@evil.example/",
        "https://[::1/",
        "https://issu\u00e9r.example/",
        "https://issuer.example/" + "x" * 3000,
    ],
)
def test_A8_what_is_no_https_address_is_not_asked(url: str) -> None:
    with pytest.raises(RequestInvalid):
        check_url(url)
