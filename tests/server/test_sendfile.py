"""Files that the kernel sends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.serving import Serving, serving, until

SIZE = 24 * 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    return path


def ask(path: Path, offset: int, count: int, method: str = "GET") -> bytes:
    return f"{method} /file/{offset}/{count}{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("offset", "count"), [(0, SIZE), (7, SIZE - 7), (0, 1), (5, 64 * 1024), (5, 64 * 1024 + 1), (0, 0)]
)
def test_a_file_comes_whole(server: Serving, file: Path, offset: int, count: int) -> None:
    client = server.connect()
    client.send(ask(file, offset, count))
    response = client.response()
    assert response.headers["x-by"] == "kernel"
    assert response.body == file.read_bytes()[offset : offset + count]


def test_the_connection_goes_on_after_a_file(server: Serving, file: Path) -> None:
    client = server.connect()
    client.send(ask(file, 0, SIZE) + ask(file, 3, 10) + b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(client.response().body) == SIZE
    assert client.response().body == file.read_bytes()[3:13]
    assert client.response().seen["path"] == "/again"


def test_a_head_request_gets_no_file(server: Serving, file: Path) -> None:
    client = server.connect()
    client.send(ask(file, 0, SIZE, "HEAD") + b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.response(head_only=True).headers["content-length"] == str(SIZE)
    assert client.response().seen["path"] == "/again"


@pytest.mark.parametrize("count", [10, SIZE])
def test_a_file_that_is_too_short_breaks_the_connection(server: Serving, file: Path, count: int) -> None:
    client = server.connect()
    client.send(ask(file, SIZE - 5, count))
    with pytest.raises(EOFError):
        client.response()


def test_a_file_cut_under_us_breaks_the_connection(server: Serving, file: Path) -> None:
    client = server.connect(receive_buffer=4096)
    client.send(ask(file, 0, SIZE))
    assert client.response(head_only=True).status == 200
    os.truncate(file, 1 << 20)
    client.ended()
    assert until(lambda: server.app.seen == ["ClientDisconnected"])


def test_a_missing_file_breaks_the_connection(server: Serving, tmp_path: Path) -> None:
    client = server.connect()
    client.send(ask(tmp_path / "absent", 0, SIZE))
    with pytest.raises(EOFError):
        client.response()


def test_a_client_that_takes_nothing_of_a_file_is_cut(server: Serving, file: Path) -> None:
    client = server.connect(receive_buffer=4096)
    client.send(ask(file, 0, SIZE))
    assert until(lambda: server.app.seen == ["ClientDisconnected"])


def test_a_client_that_leaves_in_the_middle_of_a_file_is_noticed(server: Serving, file: Path) -> None:
    client = server.connect(receive_buffer=4096)
    client.send(ask(file, 0, SIZE))
    client.response(head_only=True)
    client.close()
    assert until(lambda: server.app.seen == ["ClientDisconnected"])


def test_files_leave_no_descriptor_behind(server: Serving, file: Path) -> None:
    client = server.connect()
    client.send(ask(file, 0, SIZE))
    client.response()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        client.send(ask(file, 0, SIZE))
        client.response()
    time.sleep(0.01)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
