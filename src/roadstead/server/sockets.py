"""The listening socket, bound once and shared by every worker."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

from roadstead.config.settings import Settings
from roadstead.errors import Conflict, Invalid

BACKLOG = 2048


class AddressTaken(Conflict):
    """Somebody else listens where we should."""


class AddressUnusable(Invalid):
    """The system will not let us listen there."""


def listen(settings: Settings) -> list[socket.socket]:
    """Bound sockets that nobody accepts from yet: one for a port, or one for the Unix socket."""
    if settings.unix_socket is not None:
        return [_listen_unix(settings.unix_socket)]
    return [_listen_port(settings.host, settings.port)]


def mark_of(path: Path | None) -> tuple[int, int, int] | None:
    """What tells a Unix socket's file from another that takes its place; None where there is none."""
    try:
        status = path.lstat() if path is not None else None
    except OSError:
        return None
    # An inode's number is free again as soon as the socket is closed.
    return None if status is None else (status.st_dev, status.st_ino, status.st_mtime_ns)


def address(listener: socket.socket, *, encrypted: bool) -> str:
    """Where a client reaches the socket, as a URL or a path."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"{'https' if encrypted else 'http'}://{host}:{name[1]}"


def _listen_port(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise AddressUnusable(
            f"{host} is not an address of this machine: {error.strerror}", remedy="check the setting host"
        ) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted sockets inherit both: answers leave at once, and peers that vanished are noticed in the end.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind(where)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port, family, where) from error
    listener.setblocking(False)
    return listener


def _explained(
    error: OSError, host: str, port: int, family: socket.AddressFamily, where: object
) -> Conflict | Invalid:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(port)
        by = f" by process {holder[0]} ({holder[1]})" if holder else ""
        return AddressTaken(
            f"Port {port} on {host} is taken{by}",
            remedy=f"Try: roadstead serve --port {_free_port_after(port, family, where)}",
            port=port,
        )
    remedy = "ports below 1024 need a privilege; try --port 5000" if error.errno == errno.EACCES else ""
    return AddressUnusable(f"cannot listen on {host} port {port}: {error.strerror}", remedy=remedy)


def _free_port_after(port: int, family: socket.AddressFamily, where: object) -> int:
    assert isinstance(where, tuple)  # noqa: S101 - addresses of ports are
    for candidate in range(port + 1, min(port + 50, 65536)):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((where[0], candidate, *where[2:]))
                probe.listen(1)
                return candidate
    return 0


def _holder(port: int) -> tuple[int, str] | None:
    """Process and name of who listens on the port, as far as /proc tells us."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) in inodes:  # noqa: PTH115 - such links name no path
                        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                        return int(process.name), name
    return None


def _listen_unix(path: Path) -> socket.socket:
    _clear_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Nobody may connect in the moment between bind and chmod.
    before = os.umask(0o117)
    try:
        listener.bind(os.fspath(path))
        path.chmod(0o660)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressUnusable(
            f"cannot listen on {path}: {error.strerror or error}", remedy="check the setting unix_socket"
        ) from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _clear_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on any more, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressTaken(f"{path} exists and is not a socket", remedy="choose another unix_socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise AddressTaken(f"{path} is in use: {error.strerror or error}") from error
    raise AddressTaken(
        f"another process already listens on {path}", remedy="stop it, or choose another unix_socket"
    )
