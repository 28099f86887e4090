"""Started by a test and killed by it: claims jobs, says so, and never finishes one."""

from __future__ import annotations

import asyncio
import sys

from roadstead.db.engine import open_database
from roadstead.jobs.runner import JobContext, JobRunner


async def hang(context: JobContext) -> None:
    sys.stdout.write(f"{context.job_id}\n")
    sys.stdout.flush()
    await asyncio.sleep(3600)


async def main() -> None:
    database = open_database(sys.argv[1], pool_size=4, pool_timeout=10)
    await JobRunner(database, {"work": hang}, owner="doomed", concurrency=2, lease=1.5).run()


if __name__ == "__main__":
    asyncio.run(main())
