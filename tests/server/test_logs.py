"""What the logs say, and what they must not."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from roadstead.config.settings import LogSettings
from roadstead.telemetry import logs
from roadstead.telemetry.requests import RequestLog

pytestmark = pytest.mark.anyio

NASTY = "one\r\ntwo\x1b[2J\u2028three\u202efour\x85five\x00"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(params=["json", "console"])
def output(request: pytest.FixtureRequest) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(LogSettings(format=request.param), stream)
    return stream


def test_an_event_is_one_line_whatever_it_holds(output: io.StringIO) -> None:
    structlog.get_logger().info("test.event", **{"value": NASTY, NASTY: NASTY})
    text = output.getvalue()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert text[:-1].isprintable()


def test_no_secret_is_written(output: io.StringIO) -> None:
    secret = "hunter2"
    structlog.get_logger().info(
        "test.event", password=secret, Authorization=secret, refresh_token=secret, nested={"cookie": secret}
    )
    assert secret not in output.getvalue()
    assert "[redacted]" in output.getvalue()


def test_libraries_speak_through_the_same_log(output: io.StringIO) -> None:
    logging.getLogger("some.library").error("it %s\nbroke", "really")
    warnings.warn("mind this", stacklevel=1)
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    assert "some.library" in lines[0]
    assert "mind this" in lines[1]


def test_a_traceback_cannot_look_like_an_event(output: io.StringIO) -> None:
    try:
        int("bad\n12:00:00 info forged.event\n")
    except ValueError:
        structlog.get_logger().exception("test.failed")
    assert not any(line.startswith("12:00:00 info") for line in output.getvalue().splitlines())


def test_less_severe_events_are_left_out() -> None:
    stream = io.StringIO()
    logs.configure(LogSettings(format="json", level="warning"), stream)
    structlog.get_logger().info("test.quiet")
    structlog.get_logger().warning("test.loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["test.loud"]


async def call(app: Any, *headers: tuple[bytes, bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The messages sent and the events logged."""
    stream = io.StringIO()
    logs.configure(LogSettings(format="json"), stream)
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "client": ("192.0.2.1", 1),
        "headers": list(headers),
    }
    await RequestLog(app)(scope, None, send)  # type: ignore[arg-type]  # no body
    # Access lines are written at the end of the event loop's turn.
    await asyncio.sleep(0)
    return sent, [json.loads(line) for line in stream.getvalue().splitlines()]


async def fine(scope: Any, _receive: Any, send: Any) -> None:
    scope["roadstead.user"] = "anna"
    structlog.get_logger().info("app.event")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": b"12345"})


async def test_a_request_is_one_line_in_the_access_log() -> None:
    sent, (inner, event) = await call(fine)
    identity = event["request_id"]
    assert inner["request_id"] == identity
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-request-id", identity.encode())]
    wanted = {"event": "request.finished", "method": "GET", "path": "/x", "status": 200, "bytes": 5}
    assert wanted.items() <= event.items()
    assert (event["client"], event["user"]) == ("192.0.2.1", "anna")


async def test_a_sane_request_id_is_kept() -> None:
    _, events = await call(fine, (b"x-request-id", b"abc-1"))
    assert events[-1]["request_id"] == "abc-1"


@pytest.mark.parametrize("identity", [b"", b"a b", b"a\nb", b"x" * 65, "ä".encode()])
async def test_another_request_id_is_replaced(identity: bytes) -> None:
    _, events = await call(fine, (b"x-request-id", identity))
    assert len(events[-1]["request_id"]) == 18


async def test_a_fault_is_logged_and_answered_without_details() -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("the inner reason")

    sent, events = await call(broken)
    assert sent[0]["status"] == 500
    assert b"inner reason" not in sent[1]["body"]
    assert json.loads(sent[1]["body"])["errors"][0]["code"] == "UNKNOWN"
    assert "the inner reason" in events[0]["exception"]
    assert events[1]["status"] == 500
