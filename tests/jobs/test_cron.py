"""When a cron expression next says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from roadstead.jobs.cron import NEVER, CronInvalid, check_cron, next_time


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("expression", "after", "found"),
    [
        ("0 0 * * * *", "2026-01-01T00:00:00", "2026-01-01T01:00:00"),
        ("0 0 0 * * *", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 0 * * 0", "2026-01-01T00:00:00", "2026-01-04T00:00:00"),
        ("30 15 2 * * 1-5", "2026-01-02T02:15:30", "2026-01-05T02:15:30"),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time_is_in_utc(expression: str, after: str, found: str) -> None:
    assert next_time(check_cron(expression), at(after)) == at(found)


def test_a_question_mark_is_whatever() -> None:
    assert check_cron("0  0 0 ? * 1") == "0 0 0 * * 1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0 0 * * *",
        "* * * * * *",
        "*/5 * * * * *",
        "61 0 0 * * *",
        "0 0 25 * * *",
        "0 0 0 31 2 *",
        "@daily",
    ],
)
def test_what_is_no_expression_of_six_fields_is_refused(text: str) -> None:
    with pytest.raises(CronInvalid):
        check_cron(text)


def test_an_expression_that_is_no_longer_understood_never_comes() -> None:
    assert next_time("nonsense", at("2026-01-01T00:00:00")) == NEVER
