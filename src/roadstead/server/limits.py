"""What a connection may cost us: sizes and deadlines, as one value that every connection reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from roadstead.config.settings import HttpSettings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings of `http`, in the order a request meets them, and a few that nobody should need to set."""

    header_timeout: float = 10.0
    keep_alive_timeout: float = 75.0
    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    min_body_rate: int = 1024
    body_grace: float = 30.0
    write_timeout: float = 120.0
    max_connections: int = 10_000

    # A body message is handed to the app at this size, or when the client made us wait `body_gather` for it.
    body_message: int = MIB
    body_gather: float = 0.05
    # Above this much unread body the client is no longer read from.
    body_high_water: int = 2 * MIB
    # An answer before the end of the body: so much of the rest is read and thrown away.
    drain_bytes: int = 16 * MIB
    drain_seconds: float = 10.0
    # After a refusal, how long the client may take to read it before the connection goes away.
    linger_seconds: float = 2.0
    # Requests that may wait behind the one being answered.
    max_pipelined: int = 32

    @classmethod
    def of(cls, http: HttpSettings) -> Self:
        return cls(
            header_timeout=http.header_timeout,
            keep_alive_timeout=http.keep_alive_timeout,
            max_header_bytes=http.max_header_bytes,
            max_headers=http.max_headers,
            min_body_rate=http.min_body_rate,
            body_grace=http.body_grace,
            write_timeout=http.write_timeout,
            max_connections=http.max_connections,
        )
