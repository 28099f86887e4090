"""`roadstead serve`: listen, start the workers, wait for the end."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from roadstead.config.settings import Settings
from roadstead.server import sockets, systemd
from roadstead.server.proxies import TrustedProxies
from roadstead.server.supervisor import Supervisor
from roadstead.server.tls import server_context
from roadstead.server.worker import AppFactory, Told, run_server
from roadstead.telemetry import logs

log = structlog.stdlib.get_logger("roadstead.server")

# For blobs on their way, the database and ourselves, beside the connections.
SPARE_FILES = 1000


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the server can be reached, once it can."""

    # `http://127.0.0.1:5000`, with the real port; or `unix:PATH`.
    address: str
    workers: int


def worker_count(settings: Settings) -> int:
    return settings.workers or len(os.sched_getaffinity(0)) or 1


def raise_file_limit(connections: int) -> None:
    """Let this process and its workers open a file for each connection, and some more, if they may.

    Many systems give a process 1,024 at first and many times that when it asks.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def serve(
    settings: Settings,
    factory: AppFactory,
    *,
    ready: Callable[[Listening], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, finish what was begun, and return the exit code.

    `ready` is called once, when every worker answers.  Raises RoadsteadError when nothing can be listened on
    or the certificate is no good; nothing listens then.  `factory` must be importable: workers are spawned.
    """
    logs.configure(settings.log)
    # Both are built again where they are used; here they only have to be right.
    encrypted = server_context(settings.tls) is not None
    TrustedProxies(_nothing, settings.http.trusted_proxies)
    raise_file_limit(settings.http.max_connections)
    listeners = sockets.listen(settings)
    mark = sockets.mark_of(settings.unix_socket)
    workers = worker_count(settings)
    listening = Listening(sockets.address(listeners[0], encrypted=encrypted), workers)

    def all_ready() -> None:
        log.info("server.ready", address=listening.address, workers=workers, pid=os.getpid())
        systemd.notify("READY=1")
        if ready is not None:
            ready(listening)

    try:
        if workers == 1:
            return run_server(settings, factory, listeners, _alone(all_ready))
        return Supervisor(
            settings, factory, listeners, workers, ready=all_ready, draining=_say_draining
        ).run()
    finally:
        log.info("server.stopped")
        for listener in listeners:
            listener.close()
        # A server that takes its time to stop may have a successor on the same path by now.
        if settings.unix_socket is not None and sockets.mark_of(settings.unix_socket) == mark:
            settings.unix_socket.unlink(missing_ok=True)


def _alone(all_ready: Callable[[], None]) -> Callable[[Told], None]:
    def tell(told: Told) -> None:
        if told.what == "ready":
            all_ready()
        elif told.requests:
            _say_draining(told.requests)

    return tell


def _say_draining(requests: int) -> None:
    systemd.notify("STOPPING=1")
    log.info("server.draining", requests=requests)
    if sys.stderr.isatty():
        plural = "" if requests == 1 else "s"
        sys.stderr.write(f"Finishing {requests} request{plural} (Ctrl-C again to stop now)\n")


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    """Stands for an app where none is needed."""
