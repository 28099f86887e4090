"""Every row of the framing table, on raw sockets: what a request may look like before an app sees it.

Two servers that disagree about where a request ends are how requests are smuggled (RFC 9112 §11.2).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.apps import Echo
from tests.server.serving import Serving, serving, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    limits = {"linger_seconds": 0.3, "drain_bytes": 1 << 20, "drain_seconds": 0.5, "max_pipelined": 8}
    with serving(tmp_path_factory.mktemp("framing"), limits=limits) as running:
        yield running


@pytest.fixture(autouse=True)
def hung_up(server: Serving) -> Iterator[None]:
    yield
    server.hang_up()


@pytest.fixture
def app(server: Serving) -> Echo:
    echo: Echo = server.app
    echo.seen.clear()
    return echo


GOOD = b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", target: bytes = b"/x") -> bytes:
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: a", *headers, b"", body]
    return b"\r\n".join(lines)


def get(target: bytes, *headers: bytes, host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", host, *headers, b"", b""])


CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = {
    "content-length with transfer-encoding": post(b"Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"),
    "transfer-encoding with content-length": post(CHUNKED, b"Content-Length: 3", body=b"0\r\n\r\n"),
    "two equal content-lengths": post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
    "a list of equal content-lengths": post(b"Content-Length: 3, 3", body=b"abc"),
    "differing content-lengths": post(b"Content-Length: 3", b"Content-Length: 4", body=b"abc"),
    "content-length with a plus": post(b"Content-Length: +3", body=b"abc"),
    "negative content-length": post(b"Content-Length: -1", body=b"abc"),
    "content-length of 2**70": post(b"Content-Length: 1180591620717411303424", body=b"abc"),
    "content-length of 2**63": post(b"Content-Length: 9223372036854775808", body=b"abc"),
    "empty content-length": post(b"Content-Length:", body=b"abc"),
    "transfer-encoding xchunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "transfer-encoding identity": post(b"Transfer-Encoding: identity", body=b"abc"),
    "transfer-encoding chunked, identity": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "transfer-encoding gzip, chunked": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "transfer-encoding in two lines": post(b"Transfer-Encoding: gzip", CHUNKED, body=b"0\r\n\r\n"),
    "transfer-encoding chunked twice": post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "space before the colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "transfer-encoding on http/1.0": b"POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "obs-fold": post(b"X-A: one", b" two", b"Content-Length: 0"),
    "bare line feeds": b"GET /x HTTP/1.1\nHost: a\n\n",
    "bare carriage return in a value": get(b"/x", b"X-A: one\rtwo"),
    "nul in a value": get(b"/x", b"X-A: one\0two"),
    "no host": b"GET /x HTTP/1.1\r\nX-A: b\r\n\r\n",
    "two hosts": get(b"/x", b"Host: a"),
    "empty host": get(b"/x", host=b"Host:"),
    "host with a path": get(b"/x", host=b"Host: a/admin?"),
    "host with a user": get(b"/x", host=b"Host: a@b"),
    "host with a space": get(b"/x", host=b"Host: a b"),
    "host with a large port": get(b"/x", host=b"Host: a:65536"),
    "target with an authority": get(b"@evil"),
    "target without a slash": get(b"v2/"),
    "absolute target for another host": get(b"http://evil/y"),
    "absolute target with a user": get(b"http://u@a/y"),
    "asterisk target": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment in the target": get(b"/x#frag"),
    "control character in the target": get(b"/x\x01"),
    "raw utf-8 in the target": get("/ä".encode()),
    "backslash in the target": get(b"/x\\y"),
    "broken percent-encoding": get(b"/v2/%zz"),
    "encoded nul": get(b"/v2/%00"),
    "encoded bytes that are not utf-8": get(b"/v2/%ff"),
    "encoded dot segments": get(b"/v2/a%2f..%2fb/%2e%2e/x"),
    "plain dot segments": get(b"/v2/a/../b"),
    "http/0.9 with a version": b"GET /a HTTP/0.9\r\n\r\n",
    "http/0.9": b"GET /a\r\n\r\n",
    "http/2.0": b"GET /a HTTP/2.0\r\nHost: a\r\n\r\n",
    "chunked upgrade": post(b"Connection: upgrade", b"Upgrade: h2c", CHUNKED, body=b"0\r\n\r\n"),
    "tls to a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
def test_an_ambiguous_request_is_refused_before_the_app(
    server: Serving, app: Echo, request_bytes: bytes
) -> None:
    calls = app.calls
    client = server.connect()
    client.send(request_bytes + GOOD)
    response = client.response()
    assert response.status == 400
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/json"
    assert response.seen["errors"][0]["message"]
    assert client.ended()
    assert app.calls == calls


BAD_CHUNKS = {
    "hexadecimal prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "signed size": b"+3\r\nabc\r\n0\r\n\r\n",
    "huge size": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "no line end after the data": b"3\r\nabcXX0\r\n\r\n",
    "line feed after the size": b"3\nabc\r\n0\r\n\r\n",
    "line feed after the data": b"3\r\nabc\n0\r\n\r\n",
}


@pytest.mark.parametrize("split", [False, True], ids=["same segment", "split segments"])
@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_bad_chunk_ends_the_request(server: Serving, app: Echo, body: bytes, split: bool) -> None:
    client = server.connect()
    client.send(post(CHUNKED))
    if split:
        time.sleep(0.02)
    client.send(body + GOOD)
    assert client.response().status == 400
    assert client.ended()
    assert until(lambda: app.seen == ["disconnect"])


TRAILERS = (
    b"Authorization: Basic YTpi", b"Cookie: a=b", b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: evil",
    b"Content-Type: text/evil",
)  # fmt: skip


@pytest.mark.parametrize("path", [b"/x", b"/headers-after-body"])
@pytest.mark.parametrize("split", [False, True], ids=["same segment", "split segments"])
@pytest.mark.parametrize("trailer", TRAILERS)
def test_a_trailer_never_becomes_a_header(server: Serving, trailer: bytes, split: bool, path: bytes) -> None:
    client = server.connect()
    client.send(post(CHUNKED, target=path))
    if split:
        time.sleep(0.02)
    client.send(b"3\r\nabc\r\n0\r\n")
    if split:
        time.sleep(0.02)
    client.send(trailer + b"\r\n\r\n")
    response = client.response()
    if response.status == 200:
        assert response.seen["headers"] == [["host", "a"], ["transfer-encoding", "chunked"]]
    else:
        # The parser refuses some of them by itself.
        assert response.status == 400
    client.close()


def test_5000_trailers_are_refused(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(post(CHUNKED, body=b"3\r\nabc\r\n0\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n"))
    assert client.response().status == 431
    assert until(lambda: app.seen == ["disconnect"])


def test_one_endless_trailer_is_refused(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(post(CHUNKED, body=b"3\r\nabc\r\n0\r\nX-A: "))
    assert _flood(client.sock.send, b"b" * 4096) < 8 << 20
    assert until(lambda: app.seen == ["disconnect"])


@pytest.mark.parametrize("split", [False, True], ids=["same segment", "split segments"])
def test_a_60_kb_chunk_extension_is_refused(server: Serving, app: Echo, split: bool) -> None:
    client = server.connect()
    client.send(post(CHUNKED))
    if split:
        time.sleep(0.02)
    client.send(b"3;" + b"x" * 60_000 + b"\r\nabc\r\n0\r\n\r\n")
    assert client.response().status == 400


def test_a_million_one_byte_chunks_end_early(server: Serving) -> None:
    client = server.connect()
    client.send(post(CHUNKED))
    time.sleep(0.02)
    assert _flood(client.sock.send, b"1\r\nx\r\n" * 1000) < 6_000_000


def test_5000_header_lines_are_refused(server: Serving) -> None:
    assert server.ask(get(b"/x", *[b"X-A: b"] * 5000)).status == 431


def test_a_large_head_is_refused(server: Serving) -> None:
    assert server.ask(get(b"/x", b"X-A: " + b"b" * 40_000)).status == 431


def test_a_long_target_is_refused(server: Serving) -> None:
    assert server.ask(get(b"/" + b"x" * 40_000)).status == 431


def test_an_endless_header_line_is_refused(server: Serving) -> None:
    client = server.connect()
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: ")
    assert _flood(client.sock.send, b"b" * 4096) < 8 << 20


def test_a_head_within_the_limits_passes(server: Serving) -> None:
    assert server.ask(get(b"/x", *[b"X-A: " + b"b" * 300] * 99)).status == 200


@pytest.mark.parametrize("method", [b"get", b"FOO", b"G@T", b"__class__"])
def test_an_unknown_method_is_not_implemented(server: Serving, app: Echo, method: bytes) -> None:
    calls = app.calls
    assert server.ask(method + b" /x HTTP/1.1\r\nHost: a\r\n\r\n").status == 501
    assert app.calls == calls


@pytest.mark.parametrize("method", [b"PURGE", b"TRACE", b"CONNECT", b"PROPFIND"])
def test_a_method_we_never_serve_is_not_allowed(server: Serving, app: Echo, method: bytes) -> None:
    calls = app.calls
    target = b"a:80" if method == b"CONNECT" else b"/x"
    response = server.ask(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.status == 405
    assert "GET" in response.headers["allow"]
    assert app.calls == calls


def test_an_absolute_target_for_our_host_is_a_path(server: Serving) -> None:
    response = server.ask(get(b"http://a/y?z=1"))
    assert (response.status, response.seen["path"], response.seen["query"]) == (200, "/y", "z=1")


def test_a_double_slash_stays_in_the_path(server: Serving) -> None:
    assert server.ask(get(b"//evil/y")).seen["path"] == "//evil/y"


def test_an_upgrade_is_ignored(server: Serving) -> None:
    client = server.connect()
    client.send(
        get(b"/first", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA") + GOOD
    )
    assert client.response().seen["path"] == "/first"
    assert client.response().seen["path"] == "/again"


def test_a_body_behind_an_upgrade_is_a_body(server: Serving) -> None:
    client = server.connect()
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    length = b"Content-Length: %d" % len(smuggled)
    client.send(post(b"Connection: upgrade", b"Upgrade: websocket", length, body=smuggled) + GOOD)
    assert client.response().seen["body"] == smuggled.decode()
    assert client.response().seen["path"] == "/again"


def test_connection_removes_no_header(server: Serving) -> None:
    seen = server.ask(
        get(b"/x", b"Authorization: Basic YTpi", b"Connection: close, Authorization, X-A", b"X-A: b")
    ).seen
    assert ["authorization", "Basic YTpi"] in seen["headers"]
    assert ["x-a", "b"] in seen["headers"]


@pytest.mark.parametrize("path", [b"/x", b"/unread"])
def test_a_get_with_a_body_does_not_disturb_the_next_request(server: Serving, path: bytes) -> None:
    client = server.connect()
    client.send(get(path, b"Content-Length: 5") + b"GET /" + GOOD)
    assert client.response().status in {200, 401}
    assert client.response().seen["path"] == "/again"


def test_pipelined_requests_are_answered_in_order(server: Serving) -> None:
    client = server.connect()
    client.send(b"".join(get(b"/%d" % number) for number in range(6)))
    assert [client.response().seen["path"] for _ in range(6)] == [f"/{number}" for number in range(6)]


def test_a_refusal_waits_for_the_answers_before_it(server: Serving) -> None:
    client = server.connect()
    client.send(get(b"/slow") + b"GET /x HTTP/1.1\r\n\r\n")
    assert client.response().body == b"slow"
    assert client.response().status == 400
    assert client.ended()


def test_100_000_pipelined_requests_are_not_queued(server: Serving, app: Echo) -> None:
    calls = app.calls
    client = server.connect()
    _flood(client.sock.send, get(b"/slow") + GOOD * 1000, times=100)
    assert app.calls - calls <= 9


def test_nothing_after_connection_close_is_read(server: Serving, app: Echo) -> None:
    client = server.connect()
    calls = app.calls
    client.send(get(b"/x", b"Connection: close") + GOOD)
    assert client.response().headers["connection"] == "close"
    assert client.ended()
    assert app.calls == calls + 1


def test_slow_headers_are_timed_out(server: Serving) -> None:
    client = server.connect()
    client.send(b"GET /x HTTP/1.1\r\n")
    for _ in range(4):
        time.sleep(0.08)
        client.send(b"X-A: b\r\n")
    response = client.response()
    assert response.status == 408
    assert client.ended()


def test_blank_lines_do_not_keep_a_connection(server: Serving) -> None:
    client = server.connect()
    client.send(b"\r\n")
    for _ in range(4):
        time.sleep(0.08)
        client.send(b"\r\n")
    assert client.response().status == 408


def test_a_silent_connection_is_closed(server: Serving) -> None:
    assert server.connect().ended()


def test_an_idle_connection_is_closed(server: Serving) -> None:
    client = server.connect()
    client.send(GOOD)
    assert client.response().status == 200
    assert client.ended()


@pytest.mark.parametrize("headers", [(b"Content-Length: 100000",), (CHUNKED,)], ids=["length", "chunked"])
def test_a_stalled_body_is_timed_out(server: Serving, app: Echo, headers: tuple[bytes, ...]) -> None:
    client = server.connect()
    client.send(post(*headers, body=b"5\r\nabcde\r\n"))
    assert client.response().status == 408
    assert client.ended()
    assert until(lambda: app.seen == ["disconnect"])


def test_a_stalled_body_ends_a_response_that_was_begun(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 10", target=b"/begun", body=b"abc"))
    assert client.response(head_only=True).status == 200
    assert client.ended()
    assert until(lambda: app.seen == ["disconnect"])


def test_the_body_clock_stands_still_while_the_app_does_not_read(server: Serving) -> None:
    size = 8 << 20
    client = server.connect()
    client.sock.setblocking(True)
    client.send(post(b"Content-Length: %d" % size, target=b"/late", body=b"x" * size))
    assert client.response().seen["length"] == size


def test_the_body_clock_stands_still_while_the_client_waits_for_us(server: Serving) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 3", b"Expect: 100-continue", target=b"/late"))
    assert client.response().status == 100
    client.send(b"abc")
    assert client.response().seen["body"] == "abc"


def test_100_continue_is_not_sent_for_an_unread_body(server: Serving) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 3", b"Expect: 100-continue", target=b"/unread"))
    response = client.response()
    assert (response.status, response.headers["connection"]) == (401, "close")
    assert client.ended()


def test_a_lying_content_length_is_a_disconnect(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 10", body=b"abc"))
    client.sock.shutdown(1)
    assert client.response().status == 400
    assert until(lambda: app.seen == ["disconnect"])


def test_an_app_hears_of_a_vanished_client(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(get(b"/wait"))
    time.sleep(0.05)
    client.close()
    assert until(lambda: app.seen == ["disconnect"])


def test_an_app_hears_of_a_vanished_client_behind_a_pipeline(server: Serving, app: Echo) -> None:
    client = server.connect()
    client.send(get(b"/big") + GOOD)
    time.sleep(0.05)
    client.close()
    assert until(lambda: app.seen == ["ClientDisconnected"])


def test_a_client_that_takes_nothing_is_cut(server: Serving, app: Echo) -> None:
    client = server.connect(receive_buffer=4096)
    client.send(get(b"/big"))
    assert until(lambda: app.seen == ["ClientDisconnected"])
    client.close()


def test_a_chunked_body_that_nobody_reads_is_drained_and_the_connection_goes_on(tmp_path: Path) -> None:
    """Its last read holds more than a head may: that is not the head of the next request."""
    chunk = b"%x\r\n" % 20_000 + b"x" * 20_000 + b"\r\n"
    with serving(tmp_path, limits={"max_header_bytes": 300}) as server:
        client = server.connect()
        client.send(post(b"Transfer-Encoding: chunked", target=b"/unread"))
        assert client.response().status == 401
        # Three reads, of which the second begins inside the body and ends with it.
        for part in (chunk, chunk + b"0\r\n\r\n", GOOD):
            client.send(part)
            time.sleep(0.1)
        assert client.response().seen["path"] == "/again"
        client.close()


def test_an_early_answer_is_readable_while_the_body_still_comes(server: Serving) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 900000", target=b"/unread", body=b"x" * 900_000) + GOOD)
    assert client.response().status == 401
    assert client.response().seen["path"] == "/again"


def test_an_early_answer_to_a_huge_body_closes(server: Serving) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 100000000", target=b"/unread"))
    client.send(b"x" * 500_000)
    response = client.response()
    assert (response.status, response.headers["connection"]) == (401, "close")
    assert client.ended()


def test_a_body_that_nobody_wants_is_not_waited_for(server: Serving) -> None:
    client = server.connect()
    client.send(post(b"Content-Length: 1000", target=b"/unread"))
    assert client.response().status == 401
    assert client.ended()
    assert until(lambda: server.connections() == 0)


def _flood(send: object, piece: bytes, *, times: int = 10_000) -> int:
    """Send until the server hangs up; returns the bytes it let us send."""
    assert callable(send)
    sent = 0
    try:
        for _ in range(times):
            sent += send(piece)
    except OSError:
        pass
    return sent
