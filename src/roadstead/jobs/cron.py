"""When a cron expression next says so.  Six fields, of which the first is seconds, as Harbor writes them; in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from roadstead.errors import Invalid

LONGEST = 100
_FIELDS = 6
# More often than once a minute is never meant.
_SECOND = re.compile(r"[0-9]{1,2}")
# For an expression that no date fits any more: the year 9999.
NEVER = 253_370_764_800_000


class CronInvalid(Invalid):
    def __init__(self) -> None:
        super().__init__(
            "a cron expression has six fields: a second, then minutes, hours, days, months and days of the week",
            remedy="write for example 0 0 2 * * * for two o'clock in the night, UTC",
        )


def check_cron(text: str) -> str:
    """The expression with single spaces.  Raises `CronInvalid`."""
    fields = text.split()
    # Some dialects write ? for "whatever the other says".
    fields = ["*" if field == "?" else field for field in fields]
    if len(text) > LONGEST or len(fields) != _FIELDS or _SECOND.fullmatch(fields[0]) is None:
        raise CronInvalid
    expression = " ".join(fields)
    try:
        CronSim(expression, datetime(2020, 1, 1, tzinfo=UTC))
    except CronSimError:
        raise CronInvalid from None
    return expression


def next_time(expression: str, after: int) -> int:
    """The first time after then, in milliseconds since 1970; `NEVER` when there is none."""
    try:
        found = next(CronSim(expression, datetime.fromtimestamp(after / 1000, UTC)))
    except (CronSimError, StopIteration):
        return NEVER
    return int(found.timestamp() * 1000)
