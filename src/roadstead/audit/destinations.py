"""Where audit entries are shipped: standard output, a file, a syslog server.

A destination takes a batch whole or raises, and may be given one entry twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from roadstead.audit import formats
from roadstead.audit.queries import Entry
from roadstead.errors import Unavailable

# Of a connection to a syslog server, in seconds.
TIMEOUT = 10.0
# A server that does not close after us had no complaint.
LAST_WORDS = 1.0
LARGEST_DATAGRAM = 60_000
# Facility 13, "log audit"; informational, and for refusals and failures, warning.
_SUCCESS, _OTHER = 13 * 8 + 6, 13 * 8 + 4
_UNPRINTABLE = re.compile(r"[^!-~]")


class Destination(Protocol):
    async def ship(self, entries: Sequence[Entry]) -> None:
        """Return when all of them are there, as far as can be known.  Raises `OSError` or `Unavailable`."""
        ...


def destination(address: str, *, ca: Path | None) -> Destination:
    """What `audit.forward`, or the configuration audit_log_forward_endpoint, names."""
    if address == "stdout":
        return StandardOutput()
    if address.startswith("file://"):
        return JsonLinesFile(Path(address.removeprefix("file://")))
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    host, port = parts.hostname or "", parts.port or 0
    if parts.scheme == "udp":
        return SyslogDatagrams(host, port)
    return SyslogStream(host, port, tls=parts.scheme == "tls", ca=ca)


class StandardOutput:
    async def ship(self, entries: Sequence[Entry]) -> None:
        await asyncio.to_thread(self._write, formats.json_lines(entries))

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class JsonLinesFile:
    """Opened for each batch, so that it may be moved away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ship(self, entries: Sequence[Entry]) -> None:
        await asyncio.to_thread(self._append, formats.json_lines(entries).encode())

    def _append(self, data: bytes) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "ab") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())


def syslog_message(entry: Entry) -> bytes:
    """RFC 5424, with the entry as JSON, which is ASCII in one line."""
    document = formats.json_line(entry).rstrip("\n")
    priority = _SUCCESS if entry.outcome == "success" else _OTHER
    kind = _word(f"{entry.operation}_{entry.resource_type}", 32)
    host = _word(socket.gethostname(), 255)
    head = f"<{priority}>1 {formats.instant(entry.at)} {host} roadstead {os.getpid()} {kind} - "
    return (head + document).encode("ascii")


def _word(text: str, most: int) -> str:
    return _UNPRINTABLE.sub("-", text)[:most] or "-"


class SyslogStream:
    """TCP or TLS, with the length before each message (RFC 6587 §3.4.1, RFC 5425)."""

    def __init__(self, host: str, port: int, *, tls: bool, ca: Path | None) -> None:
        self._host, self._port = host, port
        self._tls = tls
        self._ca = ca

    async def ship(self, entries: Sequence[Entry]) -> None:
        messages = map(syslog_message, entries)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._send(b"".join(b"%d %b" % (len(message), message) for message in messages))
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise Unavailable(
                f"the syslog server {self._host}:{self._port} does not take audit entries: {reason}",
                remedy="see that it runs; entries wait until it answers",
            ) from error

    async def _send(self, data: bytes) -> None:
        context = await asyncio.to_thread(self._context) if self._tls else None
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        try:
            writer.write(data)
            await writer.drain()
            if not self._tls:
                writer.write_eof()
            # Syslog has no receipts: but a connection that was reset took nothing.
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await reader.read(1)
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await writer.wait_closed()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None if self._ca is None else str(self._ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class SyslogDatagrams:
    """UDP: nobody learns what is lost on the way."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def ship(self, entries: Sequence[Entry]) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(self._host, self._port)
            )
        except OSError as error:
            raise Unavailable(
                f"the syslog server {self._host}:{self._port} cannot be found: {error.strerror}",
                remedy="check its name; entries wait",
            ) from error
        try:
            for entry in entries:
                transport.sendto(syslog_message(entry)[:LARGEST_DATAGRAM])
                # The socket's buffer empties while others run.
                await asyncio.sleep(0)
        finally:
            transport.close()
