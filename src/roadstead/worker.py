"""The background process: jobs, schedules and events, without a server."""

from __future__ import annotations

import asyncio
import signal

import structlog

from roadstead.config.settings import Settings
from roadstead.wiring import build, prepare

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Work until told to stop.  Returns the exit code."""
    prepare(settings)
    asyncio.run(_work(settings))
    return 0


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build(settings) as parts, parts.background(jobs=True):
        _log.info("worker.ready", concurrency=settings.jobs.concurrency)
        await stop.wait()
        _log.info("worker.draining")
