"""Background work on uploads: forgetting those that nobody will finish."""

from __future__ import annotations

import structlog

from roadstead.jobs.runner import JobContext
from roadstead.registry.uploads.service import Uploads

EXPIRE = "uploads.expire"

_log = structlog.get_logger(__name__)


class ExpireUploads:
    """Run again, it finds what is still there: nothing is done twice."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def __call__(self, _context: JobContext) -> None:
        expired = await self._uploads.expire()
        if expired:
            _log.info("uploads.expired", count=expired)
