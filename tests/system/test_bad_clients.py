"""Clients that vanish, lie or play tricks are answered or cut, and nothing of theirs stays."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.system.client import SIGNED_IN
from tests.system.content import Content
from tests.system.inside import Inside, Inventory
from tests.system.machine import open_files, registry

from roadstead.testing.running import RunningRegistry

pytestmark = pytest.mark.timeout(300)

REPOSITORY = "library/bad"
BLOB = Content(700, 5000)
UPLOADS = f"/v2/{REPOSITORY}/blobs/uploads/"
# The server need not wait for another request, nor we for another answer.
CLOSE = "Connection: close"
# The next server's words, should it believe in a second request.
SMUGGLED = b"GET /v2/library/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    settings: dict[str, Any] = {
        "http__header_timeout": 3,
        "http__body_grace": 3,
        "http__keep_alive_timeout": 4,
    }
    with registry(tmp_path_factory.mktemp("bad"), workers=1, **settings) as running:
        # The repository, and the connection pools, are there before anything is counted.
        assert _speak(running, _request("POST", f"{UPLOADS}?digest={BLOB.digest}", BLOB.data())) == [201]
        assert _speak(running, _request("GET", f"/v2/{REPOSITORY}/blobs/{BLOB.digest}")) == [200]
        yield running


@pytest.fixture
def untouched(server: RunningRegistry) -> Iterator[None]:
    """What the test does leaves rows, files and descriptors as they were."""
    inside = Inside(server.data)
    before, descriptors = inside.inventory(), open_files(server)
    yield
    ends = time.monotonic() + 20
    while not _same(inside.inventory(), before) or open_files(server) > descriptors + 2:
        assert time.monotonic() < ends, (before, inside.inventory(), descriptors, open_files(server))
        time.sleep(0.1)
    assert inside.broken_promises() == []


def _same(one: Inventory, other: Inventory) -> bool:
    return one == other


def _request(method: str, target: str, body: bytes = b"", *lines: str) -> bytes:
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: registry",
        f"Authorization: {SIGNED_IN}",
        *(lines or [CLOSE]),
    ]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body


def _speak(
    server: RunningRegistry, data: bytes, *, patience: float = 30, half_close: bool = False
) -> list[int]:
    """Send, and return the statuses that come back until the server closes or has answered and falls silent."""
    received = b""
    with (
        socket.create_connection((server.host, server.port), timeout=patience) as sock,
        suppress(ConnectionError),
    ):
        with suppress(ConnectionError):
            sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        while True:
            with suppress(TimeoutError):
                piece = sock.recv(1 << 20)
                if piece:
                    received += piece
                    # An answer is there; a second one would follow at once.
                    sock.settimeout(0.5)
                    continue
            break
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def _upload(server: RunningRegistry) -> str:
    with socket.create_connection((server.host, server.port), timeout=30) as sock:
        sock.sendall(_request("POST", UPLOADS))
        text = sock.recv(65536).decode("latin-1")
    return next(line[10:] for line in text.split("\r\n") if line.lower().startswith("location: "))


# ── clients that vanish ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("after", [0, 1, 100_000])
@pytest.mark.parametrize("target", [f"{UPLOADS}?digest={BLOB.digest}", f"/v2/{REPOSITORY}/manifests/gone"])
def test_a_client_that_vanishes_in_a_single_request_leaves_nothing(
    server: RunningRegistry, target: str, after: int
) -> None:
    method = "PUT" if "manifests" in target else "POST"
    data = _request(method, target, bytes(after), "Content-Length: 2000000")
    assert _speak(server, data, half_close=True) in ([], [400])
    with socket.create_connection((server.host, server.port)) as sock:
        # With a reset, as when its machine is gone.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.sendall(data)


@pytest.mark.usefixtures("untouched")
def test_a_client_that_vanishes_in_an_upload_leaves_what_can_be_resumed_or_cancelled(
    server: RunningRegistry,
) -> None:
    location = _upload(server)
    data = bytes(300_000)
    assert _speak(server, _request("PATCH", location, data, "Content-Length: 2000000"), half_close=True) in (
        [],
        [400],
    )
    status = _speak(server, _request("GET", location))
    assert status == [204]
    assert _speak(server, _request("DELETE", location)) == [204]
    assert _speak(server, _request("GET", location)) == [404]


@pytest.mark.usefixtures("untouched")
def test_a_client_that_vanishes_in_a_download_is_forgotten(server: RunningRegistry) -> None:
    for _ in range(20):
        with socket.create_connection((server.host, server.port)) as sock:
            sock.sendall(_request("GET", f"/v2/{REPOSITORY}/blobs/{BLOB.digest}"))


# ── clients that lie ────────────────────────────────────────────────────────────────────────────────────

# Each of them with the statuses that may answer it.  None at all is a cut.
LIES = {
    "more than it sends": (["Content-Length: 6000"], BLOB.data(), {400, 408}),
    # What is left over is no request, nor a method that anybody knows.
    "less than it sends": (["Content-Length: 4000"], BLOB.data(), {400, 501}),
    "two lengths": (["Content-Length: 5000", "Content-Length: 4999"], BLOB.data(), {400}),
    "a negative length": (["Content-Length: -1"], BLOB.data(), {400}),
    "a signed length": (["Content-Length: +5000"], BLOB.data(), {400}),
    "a length in hexadecimal": (["Content-Length: 0x1388"], BLOB.data(), {400}),
    "a length beyond all numbers": (["Content-Length: " + "9" * 40], b"", {400, 413}),
    "a length and chunks": (
        ["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED, {400},
    ),
    "chunks that are not last": (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n", {400, 501}),
    "a chunk of a negative size": (["Transfer-Encoding: chunked"], b"-1\r\n\r\n", {400}),
    "a chunk beyond all numbers": (["Transfer-Encoding: chunked"], b"f" * 20 + b"\r\n", {400, 413}),
    "a chunk that does not end": (["Transfer-Encoding: chunked"], b"5\r\nabcdefgh\r\n0\r\n\r\n", {400}),
}  # fmt: skip


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_the_length_is_refused(server: RunningRegistry, lie: str) -> None:
    lines, body, allowed = LIES[lie]
    other = Content(701, BLOB.size)
    target = f"{UPLOADS}?digest={other.digest}"
    body = other.data() if body == BLOB.data() else body
    statuses = _speak(server, _request("POST", target, body, *lines), patience=10)
    assert set(statuses) <= allowed, statuses
    # Nothing after the lie was taken for a request that is served.
    assert len(statuses) <= 2


RANGES = {
    "100-4999": {416},
    "0-4998": {400},
    "0-5000": {400},
    "4999-0": {400, 416},
    "0-": {400, 416},
    "-1-4999": {400, 416},
    "0-99999999999999999999999999": {400, 416},
    "bytes 0-4999/5000": {400, 416, 202},
    "0-4999, 0-4999": {400, 416},
    "\u0660-4999": {400, 416},
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("claim", RANGES)
def test_a_lie_about_the_range_is_refused_and_nothing_of_it_is_kept(
    server: RunningRegistry, claim: str
) -> None:
    location = _upload(server)
    sent = claim.encode().decode("latin-1")
    statuses = _speak(server, _request("PATCH", location, BLOB.data(), f"Content-Range: {sent}", CLOSE))
    assert len(statuses) == 1
    assert statuses[0] in RANGES[claim]
    if statuses != [202]:
        # It stands where it stood, and goes on.
        assert _speak(server, _request("PATCH", location, BLOB.data(), "Content-Range: 0-4999", CLOSE)) == [
            202
        ]
    assert _speak(server, _request("DELETE", location)) == [204]


@pytest.mark.usefixtures("untouched")
def test_a_head_that_is_too_large_is_refused(server: RunningRegistry) -> None:
    assert _speak(server, _request("GET", "/v2/", b"", "X-Large: " + "x" * 200_000)) == [431]
    assert _speak(server, _request("GET", "/v2/", b"", *[f"X-{n}: y" for n in range(2000)])) == [431]
    assert _speak(server, _request("GET", "/v2/" + "a" * 200_000)) in ([414], [431])


# ── clients that play tricks ────────────────────────────────────────────────────────────────────────────

HEX = "a" * 64
TRICKS = [
    "/v2/../../etc/passwd/blobs/uploads/",
    "/v2/library/../../secret/blobs/uploads/",
    "/v2/library/%2e%2e/secret/blobs/uploads/",
    "/v2/library%2fbad/blobs/uploads/",
    "/v2/library/bad%00/blobs/uploads/",
    "/v2/library//bad/blobs/uploads/",
    "/v2/library/./bad/blobs/uploads/",
    "/v2/LIBRARY/Bad/blobs/uploads/",
    "/v2/library/bad;x=1/blobs/uploads/",
    "/v2/library/bad\\..\\x/blobs/uploads/",
    "/v2/" + "a/" * 200 + "b/blobs/uploads/",
    f"{UPLOADS}?digest=sha256:../../../../etc/passwd",
    f"{UPLOADS}?digest=sha256:{HEX}/../x",
    f"{UPLOADS}?digest=sha256:{HEX.upper()}",
    f"{UPLOADS}?digest=sha256:{HEX}%00",
    f"{UPLOADS}?digest=md5:{'a' * 32}",
    f"{UPLOADS}?digest=sha256:{HEX}&digest=sha256:{'b' * 64}",
    f"{UPLOADS}../../../../etc/passwd",
    f"{UPLOADS}?mount=sha256:../../x&from=../../y",
    f"/v2/{REPOSITORY}/blobs/sha256:../../../../roadstead.db",
    f"/v2/{REPOSITORY}/blobs/sha256:..%2f..%2froadstead.db",
    f"/v2/{REPOSITORY}/manifests/../../../../etc/passwd",
    f"/v2/{REPOSITORY}/manifests/..",
    f"/v2/{REPOSITORY}/manifests/%2e%2e%2f",
    f"/v2/{REPOSITORY}/manifests/" + "t" * 129,
]  # fmt: skip


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_in_a_path_or_a_digest_is_refused(server: RunningRegistry, trick: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        statuses = _speak(server, _request(method, trick, b"{}"))
        assert len(statuses) == 1, (method, statuses)
        assert 400 <= statuses[0] < 500, (method, statuses)


def test_the_folder_of_the_blobs_holds_nothing_but_blobs(server: RunningRegistry) -> None:
    inside = Inside(server.data)
    names = {path.name for path in inside.blobs.rglob("*") if path.is_file()}
    assert names == set(inside.files())
    others = {path.name for path in Path(server.data).iterdir()} - {"blobs"}
    assert all(name.startswith("roadstead.db") for name in others), others
