"""One process that serves: uvicorn's server with our protocol around the app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

import structlog
import uvicorn

from roadstead.config.settings import Settings
from roadstead.errors import RoadsteadError
from roadstead.server.accepting import Acceptor, Board
from roadstead.server.limits import Limits
from roadstead.server.protocol import GuardedProtocol
from roadstead.server.proxies import TrustedProxies
from roadstead.server.sockets import BACKLOG
from roadstead.server.tls import CertificateInvalid, load_certificate, server_context
from roadstead.telemetry import logs
from roadstead.telemetry.requests import RequestLog

log = structlog.stdlib.get_logger("roadstead.server")

AppFactory = Callable[[Settings], Any]

STARTUP_FAILED = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells its supervisor."""

    what: str
    requests: int = 0


def wrapped(factory: AppFactory, settings: Settings) -> Any:
    """The app as the server runs it: proxies are settled first, so that the log knows the real client."""
    app = RequestLog(factory(settings), access=settings.log.access)
    return TrustedProxies(app, settings.http.trusted_proxies)


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration with nothing left to its defaults or to the environment."""

    def __init__(self, app: Callable[[], Any], settings: Settings) -> None:
        super().__init__(
            app,
            factory=True,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=GuardedProtocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            workers=1,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=max(1, round(settings.http.drain_timeout)),
        )
        self.limits = Limits.of(settings.http)
        self.tls = settings.tls

    def load(self) -> None:
        super().load()
        self.ssl = server_context(self.tls)


class WorkerServer(uvicorn.Server):
    """Serves until told to stop, finishes what was begun, and says how that goes."""

    def __init__(
        self, config: GuardedConfig, tell: Callable[[Told], None], *, board: Board | None = None
    ) -> None:
        super().__init__(config)
        self._tell = tell
        # There when other workers accept from the same sockets.
        self._board = board

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._board is None and self.config.ssl is None:
            await super().startup(sockets)
        else:
            # asyncio's own server lets as many as will take a minute each for a TLS handshake.
            await super().startup([])
            self._accept(sockets or [], self._board or Board([0], 0))
        if self.started:
            # The date header would be missing until the first tick.
            await self.on_tick(0)
            self._tell(Told("ready"))

    def _accept(self, sockets: list[socket.socket], board: Board) -> None:
        """What uvicorn's startup does with sockets, but sharing with the other workers."""
        config = self.config
        assert isinstance(config, GuardedConfig)  # noqa: S101 - given to the constructor

        def protocol() -> asyncio.Protocol:
            return GuardedProtocol(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        for listener in sockets:
            acceptor = Acceptor(
                listener,
                protocol,
                board,
                held=lambda: len(self.server_state.connections),
                context=config.ssl if isinstance(config.ssl, ssl.SSLContext) else None,
                handshake_timeout=config.limits.header_timeout,
                most_handshakes=config.limits.max_connections,
            )
            acceptor.start()
            self.servers.append(acceptor)  # type: ignore[arg-type]  # closed like one of asyncio's

    async def on_tick(self, counter: int) -> bool:
        if self._board is not None and not self.should_exit:
            self._board.post(len(self.server_state.connections))
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._tell(Told("draining", len(self.server_state.tasks)))
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: self.handle_exit,
            # Ctrl-C reaches the whole process group; for a worker, stopping is the supervisor's to say.
            signal.SIGINT: self.handle_exit if self._board is None else (lambda *_: None),
            signal.SIGHUP: self.handle_hangup,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal.signal calls it
        """The first signal asks to finish, the second to stop."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    def handle_hangup(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal.signal calls it
        """Read the certificate again; the connections there are keep the old one."""
        context, tls = self.config.ssl, getattr(self.config, "tls", None)
        if not isinstance(context, ssl.SSLContext) or tls is None:
            return
        try:
            load_certificate(context, tls)
        except CertificateInvalid as error:
            log.error("tls.reload_failed", reason=error.message)  # noqa: TRY400 - the reason says it all
        else:
            log.info("tls.reloaded")


def run_server(
    settings: Settings,
    factory: AppFactory,
    sockets: list[socket.socket],
    tell: Callable[[Told], None],
    *,
    board: Board | None = None,
) -> int:
    """Serve in this process and thread; returns the exit code.  `board` is there for one of several workers."""
    config = GuardedConfig(partial(wrapped, factory, settings), settings)
    server = WorkerServer(config, tell, board=board)
    try:
        server.run(sockets)
    except RoadsteadError as error:
        log.error("server.start_failed", reason=error.message, remedy=error.remedy)  # noqa: TRY400 - explained
        return STARTUP_FAILED
    except asyncio.CancelledError:
        # Requests that outlived the drain time were cancelled.
        return 0
    except SystemExit:
        return STARTUP_FAILED
    except Exception:
        log.exception("server.failed")
        return STARTUP_FAILED if not server.started else 1
    return 0


def worker_main(  # noqa: PLR0917 - spawned with positions only
    settings: Settings,
    factory: AppFactory,
    sockets: list[socket.socket],
    supervisor: Connection,
    lifeline: Connection,
    board: Board,
) -> None:
    """Where a spawned worker begins.  `lifeline` ends when the supervisor does, however it dies."""
    logs.configure(settings.log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(
        target=_outlive_nobody, args=(lifeline, settings.http.drain_timeout), daemon=True, name="lifeline"
    ).start()

    def tell(told: Told) -> None:
        with contextlib.suppress(OSError):
            supervisor.send(told)

    code = run_server(settings, factory, sockets, tell, board=board)
    # Threads that still work for cancelled requests must not hold the process.
    os._exit(code)


def _outlive_nobody(lifeline: Connection, patience: float) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(patience + 5)
    os._exit(1)
