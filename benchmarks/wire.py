"""HTTP/1.1 as the load generator speaks it: ready-made requests, and answers read no further than needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Piece = bytes | memoryview

# What comes next in a chunked body.
_SIZE, _DATA, _TRAILER = range(3)


class WireError(Exception):
    """The server said something that is not HTTP, or hung up in the middle of it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, ready to be sent.  `expect` is the only status that does not end the run."""

    pieces: Sequence[Piece]
    expect: int
    without_body: bool = False


@dataclass(slots=True)
class Response:
    """The head of an answer.  Its body has been counted and thrown away."""

    status: int
    head: bytes
    length: int = 0

    def header(self, name: str) -> str:
        """The value of the first header line of that name, or an empty text."""
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n")[1:]:
            if line[: len(wanted)].lower() == wanted:
                return line[len(wanted) :].strip().decode("latin-1")
        return ""


def request(
    method: str,
    target: str,
    *,
    host: str,
    headers: Sequence[tuple[str, str]] = (),
    body: Sequence[Piece] | None = None,
    chunked: bool = False,
    expect: int = 200,
) -> Request:
    """`body` is sent as it is: with `chunked`, its pieces carry their framing already."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers if value]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    elif body is not None or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {sum(len(piece) for piece in body or ())}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    return Request([head, *(body or ())], expect, without_body=method == "HEAD")


@dataclass(slots=True)
class Chunks:
    """Follows chunked framing to its end.  `feed` answers how much of `data` belongs to the body."""

    ended: bool = False
    length: int = 0
    _state: int = _SIZE
    _left: int = 0
    _line: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.ended:
            at = self._skip(data, at) if self._state == _DATA else self._read_line(data, at)
        return at

    def _skip(self, data: bytes, at: int) -> int:
        # `_left` counts the CRLF that closes the chunk, too.
        taken = min(self._left, len(data) - at)
        self._left -= taken
        if not self._left:
            self._state = _SIZE
        return at + taken

    def _read_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._line += data[at:]
            return len(data)
        self._line += data[at:end]
        line = bytes(self._line).rstrip(b"\r")
        self._line.clear()
        if self._state == _TRAILER:
            self.ended = not line
        else:
            self._begin(line)
        return end + 1

    def _begin(self, line: bytes) -> None:
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise WireError(f"{line[:40]!r} is not the size of a chunk") from error
        self.length += size
        self._left = size + 2
        self._state = _DATA if size else _TRAILER
