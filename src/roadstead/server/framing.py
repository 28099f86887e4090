"""What a request's head may look like.  Pure checks; a head that breaks one is refused before the app.

Two servers that read one message differently let an attacker hide a request inside another (RFC 9112 §11.2).
So nothing here repairs: what is not exactly right is refused, and the connection ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from roadstead.errors import RequestInvalid, RequestTimeout, RoadsteadError, Unavailable, Unsupported
from roadstead.server.hosts import is_host

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_ALLOW = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

# Visible ASCII, without the fragment sign and the backslash.
_TARGET = re.compile(rb'[!"$-\[\]-~]+')
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(/[^?]*)?(\?.*)?", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOT_SEGMENT = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")


class Refused(Exception):
    """This request ends here, with a status and our reason."""

    def __init__(
        self, status: int, error: RoadsteadError, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers


def bad_request(message: str, remedy: str = "") -> Refused:
    return Refused(400, RequestInvalid(message, remedy=remedy))


def head_too_large(limit: int) -> Refused:
    return Refused(
        431,
        RequestInvalid(
            f"the request's head is larger than {limit} bytes",
            remedy="send fewer or shorter headers, or raise http.max_header_bytes",
            limit=limit,
        ),
    )


def too_many_headers(limit: int) -> Refused:
    return Refused(
        431,
        RequestInvalid(
            f"the request has more than {limit} header lines",
            remedy="send fewer headers, or raise http.max_headers",
            limit=limit,
        ),
    )


def too_slow(what: str, remedy: str) -> Refused:
    return Refused(408, RequestTimeout(what, remedy=remedy))


def method_refused(method: bytes | None) -> Refused:
    """A method that we know of and never serve, or (None) one that nobody knows."""
    if method is None:
        return Refused(501, Unsupported("the request's method is not known; methods are upper-case words"))
    error = Unsupported(f"{method.decode('ascii', 'replace')} is not served here")
    return Refused(405, error, ((b"allow", _ALLOW),))


def too_many_connections(limit: int) -> Refused:
    error = Unavailable(
        f"this worker already holds {limit} connections",
        remedy="try again in a moment, or raise http.max_connections",
        retry_after=1,
    )
    return Refused(503, error, ((b"retry-after", b"1"),))


def error_body(error: RoadsteadError) -> bytes:
    """The OCI specification's error document (distribution-spec, Error Codes)."""
    document: dict[str, object] = {"code": error.code, "message": error.message}
    if error.remedy:
        document["detail"] = {"remedy": error.remedy}
    return json.dumps({"errors": [document]}).encode()


def refusal(refused: Refused, default_headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The whole answer, as bytes; the connection ends after it."""
    body = error_body(refused.error)
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *refused.headers,
    ]
    lines = [b"HTTP/1.1 %d %s" % (refused.status, HTTPStatus(refused.status).phrase.encode())]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


class Head(NamedTuple):
    """What the framing headers say, checked."""

    content_length: int | None
    chunked: bool
    expects_continue: bool


# The headers that framing depends on; every other header only passes through.
FRAMING_HEADERS = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})


def check_head(version: str, special: list[tuple[bytes, bytes]]) -> tuple[Head, bytes | None]:
    """The framing of a request, and its Host.  `special` are its headers named in `FRAMING_HEADERS`.

    Raises `Refused`.  RFC 9112 §3.2 (Host) and §6 (body length).
    """
    by_name: dict[bytes, bytes] = {}
    for name, value in special:
        if name in by_name:
            raise bad_request(
                f"the request has more than one {name.decode('ascii')} header", "send exactly one"
            )
        by_name[name] = value
    host = _host(version, by_name.get(b"host"))
    length = _length(by_name.get(b"content-length"))
    chunked = _chunked(version, by_name.get(b"transfer-encoding"))
    if chunked and length is not None:
        raise bad_request("the request has both Content-Length and Transfer-Encoding", "send one of them")
    expects = version == "1.1" and by_name.get(b"expect", b"").lower() == b"100-continue"
    return Head(length, chunked, expects), host


def _host(version: str, value: bytes | None) -> bytes | None:
    if version not in {"1.0", "1.1"}:
        raise bad_request(f"HTTP/{version} is not served here", "speak HTTP/1.1")
    if value is None and version == "1.1":
        raise bad_request("the request has no Host header", "send exactly one")
    if value is not None and not is_host(value):
        raise bad_request("the Host header is not a host name with an optional port")
    return value


def _length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise bad_request("Content-Length is not one decimal number")
    return int(value)


def _chunked(version: str, value: bytes | None) -> bool:
    if value is None:
        return False
    if value.lower() != b"chunked":
        raise bad_request("Transfer-Encoding is not exactly 'chunked'", "send the body unencoded")
    if version == "1.0":
        raise bad_request("Transfer-Encoding has no meaning in HTTP/1.0", "speak HTTP/1.1")
    return True


def check_target(target: bytes, host: bytes | None) -> tuple[bytes, str, bytes]:
    """Raw path, decoded path and query of a request target.  Raises `Refused`.

    The path is never normalised: what a front proxy may have read differently is refused (RFC 9112 §3.2).
    """
    if not _TARGET.fullmatch(target):
        raise bad_request("the request target holds a character that must be percent-encoded")
    if target[0] != 0x2F:
        target = _origin_form(target, host)
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    if "%" in path:
        path = _decoded(raw_path)
    if "/." in path and _DOT_SEGMENT.search(path):
        raise bad_request("the request path holds a '.' or '..' segment", "send the path it stands for")
    return raw_path, path, query


def _origin_form(target: bytes, host: bytes | None) -> bytes:
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise bad_request("the request target must begin with '/'")
    authority, path, query = absolute.groups(b"")
    if host is None or authority.lower() != host.lower():
        raise bad_request("the request target names another host than the Host header")
    return (path or b"/") + query


def _decoded(raw_path: bytes) -> str:
    if _BROKEN_ESCAPE.search(raw_path):
        raise bad_request("the request path holds a broken percent-encoding")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request("the request path is not UTF-8 after percent-decoding") from None
    if _CONTROL.search(path):
        raise bad_request("the request path holds an encoded control character")
    return path
