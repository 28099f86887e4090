"""Medians, ratios and tables."""

from __future__ import annotations

import json

import pytest
from benchmarks.report import Measurement, Result, Row, ratio, replace_between_marks

ROW = Row("get", "manifest GET", "requests/s", "µs", 1e6)


def measured(peer: str, amount: float, *, number: int = 0, cpu: float = 1.0) -> Measurement:
    return Measurement("get", peer, number, amount, 1.0, cpu, 0.1, 0.01, 0.02, 50 * 1024**2, 1, 1)


def result(*measurements: Measurement) -> Result:
    return Result(
        environment={"cores": 2},
        command="python -m benchmarks",
        versions={"roadstead": "1", "other": "2"},
        titles={"roadstead": "Roadstead", "other": "Other"},
        rows=[ROW],
        measurements=measurements,
        failures=["x"],
        left_out=["y"],
    )


def test_the_middle_round_counts() -> None:
    rounds = [measured("other", amount, number=number) for number, amount in enumerate((5, 900, 10))]
    assert result(*rounds).median("get", "other", lambda one: one.rate) == 10


def test_a_higher_rate_and_a_lower_cost_are_both_above_one() -> None:
    text = result(measured("roadstead", 2000), measured("other", 1000)).markdown()
    assert "| manifest GET | 2,000 requests/s | 1,000 requests/s | 2.00 |" in text
    assert "| manifest GET | 500 µs | 1,000 µs | 2.00 |" in text
    assert "Against Other: ahead on every line measured." in text


def test_the_lines_behind_are_named() -> None:
    text = result(measured("roadstead", 1), measured("other", 2)).markdown()
    assert "Against Other: behind on manifest GET." in text


def test_what_was_not_measured_is_not_claimed() -> None:
    text = result(measured("roadstead", 1)).markdown()
    assert "n/a | n/a |" in text
    assert "ahead on every line" not in text


def test_failures_and_what_was_left_out_are_told() -> None:
    text = result(measured("roadstead", 1)).markdown()
    assert "- Left out: y" in text
    assert "- Failed: x" in text


def test_the_document_is_json() -> None:
    document = json.loads(json.dumps(result(measured("roadstead", 4), measured("other", 2)).document()))
    assert document["lines"][0]["peers"]["other"]["ratio"] == 2


def test_nothing_is_divided_by_nothing() -> None:
    assert ratio(1, 0) is None
    assert ratio(None, 1) is None


def test_only_the_part_between_the_marks_changes() -> None:
    page = "a\n<!-- benchmarks: begin -->\nold\n<!-- benchmarks: end -->\nz\n"
    changed = replace_between_marks(page, "new\n")
    assert changed == "a\n<!-- benchmarks: begin -->\n\nnew\n\n<!-- benchmarks: end -->\nz\n"
    assert replace_between_marks(changed, "new") == changed


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        replace_between_marks("a", "b")
