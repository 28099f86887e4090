"""Structured logs: one event a line, as JSON or for people, and never a secret."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    # Of the same floor: named here, never imported.
    from roadstead.config.settings import LogSettings

EventDict = MutableMapping[str, Any]

# The request that the present task works for; its id goes into every line.
request_id: ContextVar[str] = ContextVar("request_id", default="")

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_json_writer: Callable[[str], None] | None = None
_SECRET_WORDS = (
    "authorization",
    "password",
    "passwd",
    "secret",
    "token",
    "cookie",
    "credential",
    "private_key",
)
# Line ends in any reader's eyes, and what a terminal obeys.
_UNSAFE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029",
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}  # fmt: skip


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_WORDS)


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Drop the values of keys that sound like secrets, however the caller came to log them."""
    for key, value in event.items():
        if _is_secret(key) and not (value is None or isinstance(value, bool)):
            event[key] = "[redacted]"
        elif type(value) is dict:
            event[key] = redact(None, "", dict(value))
    return event


def timestamp() -> str:
    """Now, in UTC, to the millisecond."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


def json_writer() -> Callable[[str], None] | None:
    """Where finished JSON lines go, for what logs too often to make an event of it.

    None unless this process logs JSON at the level "info" or below it.
    """
    return _json_writer


def _stamp(_logger: Any, method: str, event: EventDict) -> EventDict:
    known = request_id.get()
    if known and "request_id" not in event:
        event["request_id"] = known
    event["time"] = timestamp()
    event["level"] = "error" if method == "exception" else method
    return event


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


# Built once: a call of json.dumps with options builds an encoder each time.
_encode = json.JSONEncoder(default=repr, separators=(",", ":")).encode


def _as_json(_logger: Any, _method: str, event: EventDict) -> str:
    # ASCII only: every control character and line separator comes out escaped.
    return _encode(event)


def escaped(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return text if text.isascii() and text.isprintable() else text.translate(_UNSAFE)


class _Console:
    """`12:30:01 info  upload.finished  digest=…`; a traceback follows on lines that no event can look like."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = {"warning": "\x1b[33m", "error": "\x1b[31m", "debug": "\x1b[2m"} if colours else {}

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> str:
        level = str(event.pop("level"))
        moment = str(event.pop("time"))[11:19]
        name = escaped(str(event.pop("event", "")))
        trace = event.pop("exception", None)
        fields = "  ".join(f"{escaped(str(key))}={self._value(value)}" for key, value in event.items())
        colour = self._colours.get(level, "")
        plain = "\x1b[0m" if colour else ""
        line = f"{moment} {colour}{level:<7}{plain} {name}  {fields}".rstrip()
        if trace:
            line += "".join(f"\n    | {escaped(part)}" for part in str(trace).splitlines())
        return line

    @staticmethod
    def _value(value: Any) -> str:
        text = escaped(str(value))
        return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


class _Lines:
    """Writes whole lines with one system call each, so that processes sharing a pipe do not mix them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            self._descriptor: int | None = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._descriptor = None

    def msg(self, message: str) -> None:
        if self._descriptor is None:
            self._stream.write(message + "\n")
            return
        # A log that cannot be written must not stop the registry.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, (message + "\n").encode("utf-8", "backslashreplace"))

    debug = info = warning = error = critical = exception = log = msg


class _FromStandardLibrary(logging.Handler):
    """Records of libraries become events: `library` names them, `message` is theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = structlog.stdlib.get_logger(record.name)
            fields: Mapping[str, Any] = {"library": record.name, "message": record.getMessage()}
            info = record.exc_info if record.exc_info and record.exc_info[0] else None
            level = record.levelname.lower() if record.levelname.lower() in LEVELS else "error"
            if info is not None:
                getattr(logger, level)("library.message", exc_info=info, **fields)
            else:
                getattr(logger, level)("library.message", **fields)
        except Exception:  # noqa: BLE001 - as logging itself does
            self.handleError(record)


def is_console(log: LogSettings, stream: TextIO) -> bool:
    return log.format == "console" or (log.format == "auto" and stream.isatty())


def configure(log: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog, the standard library's logging and warnings for this process.  Repeatable."""
    target = sys.stderr if stream is None else stream
    console = is_console(log, target)
    level = LEVELS[log.level]
    renderer = _Console(colours=target.isatty() and "NO_COLOR" not in os.environ) if console else _as_json
    lines = _Lines(target)
    global _json_writer  # noqa: PLW0603 - as structlog's own configuration, one for the process
    _json_writer = None if console or level > logging.INFO else lines.msg
    structlog.configure(
        processors=[_stamp, structlog.processors.format_exc_info, redact, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_FromStandardLibrary()]
    root.setLevel(max(level, logging.WARNING) if level > logging.DEBUG else logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # uvicorn tells of its life in sentences; ours are events of `server.`.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(capture=True)
    if not sys.warnoptions:
        warnings.simplefilter("default")
