"""The load generator against a small server of the standard library."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from benchmarks.load import LoadFailed, Operation, body_length, run_load
from benchmarks.wire import request

BODY = b"x" * 3_000_000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n0\r\n\r\n")
            return
        body = BODY if self.path == "/large" else b"small"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        taken = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Location", f"/taken/{len(taken)}")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "127.0.0.1", server.server_port
        finally:
            server.shutdown()
            thread.join()


def get(path: str) -> Operation:
    yield request("GET", path, host="h")


@pytest.mark.parametrize("path", ["/small", "/large", "/chunked"])
@pytest.mark.parametrize("processes", [1, 2])
def test_every_operation_is_done_once(address: tuple[str, int], path: str, processes: int) -> None:
    def script(part: int, parts: int) -> Iterator[Operation]:
        return (get(path) for _ in range(part, 7, parts))

    done = run_load(address, script, connections=3, processes=processes)
    assert done.operations == 7
    assert done.rate > 0
    assert 0 < done.percentile(0.5) <= done.percentile(0.99)


def test_an_operation_sees_the_answer_to_each_of_its_requests(address: tuple[str, int]) -> None:
    def upload() -> Operation:
        answer = yield request("PUT", "/", host="h", body=[BODY, BODY], expect=201)
        if answer.header("location") != f"/taken/{2 * len(BODY)}":
            raise LoadFailed(answer.header("location"))
        yield request("GET", "/small", host="h")

    done = run_load(address, lambda _part, _parts: iter([upload()]), connections=1)
    assert done.operations == 1


def test_an_unexpected_status_ends_the_run(address: tuple[str, int]) -> None:
    with pytest.raises(LoadFailed, match=r"'GET /missing HTTP/1\.1' was answered 404, not 200"):
        run_load(address, lambda _part, _parts: iter([get("/missing")]), connections=1)


def test_the_time_limit_ends_an_endless_script(address: tuple[str, int]) -> None:
    def script(_part: int, _parts: int) -> Iterator[Operation]:
        while True:
            yield get("/small")

    done = run_load(address, script, connections=2, seconds=0.2)
    assert done.operations > 0
    assert done.elapsed >= 0.2


def test_the_meter_is_read_before_and_after(address: tuple[str, int]) -> None:
    calls: list[None] = []
    run_load(
        address,
        lambda _part, _parts: iter([get("/small")]),
        connections=1,
        around=lambda: calls.append(None),
    )
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("line", "length"),
    [
        (b"Content-Length: 12", 12),
        (b"content-length: 12\r\nX: y", 12),
        (b"CONTENT-LENGTH:12", 12),
        (b"Transfer-encoding: chunked", -1),
        (b"X: y", 0),
    ],
)
def test_the_length_of_a_body_is_read_however_it_is_spelt(line: bytes, length: int) -> None:
    assert body_length(b"HTTP/1.1 200 OK\r\nA: b\r\n" + line) == length
