"""Sizes are said as Harbor says them, and uploads reserve ahead with measure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.quota.rules import KIB, MIB, is_nearly_full, spelled, step_ahead


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (535_508_173, "510.7 MiB"),
        (10 * 1024**3, "10.0 GiB"),
        (2**62, "4.0 EiB"),
    ],
)
def test_a_size_is_spelled_as_harbor_spells_it(size: int, text: str) -> None:
    assert spelled(size) == text


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_an_upload_never_reserves_more_than_a_share_of_the_limit_ahead(size: int, limit: int) -> None:
    assert 0 <= step_ahead(size, limit) <= limit // 64


def test_small_uploads_reserve_little_and_large_ones_an_eighth() -> None:
    plenty = 2**50
    assert step_ahead(KIB, plenty) == MIB
    assert step_ahead(100 * MIB, plenty) == 16 * MIB
    assert step_ahead(1024 * MIB, plenty) == 128 * MIB


def test_a_project_is_nearly_full_from_85_per_cent_on() -> None:
    assert not is_nearly_full(849, 1000)
    assert is_nearly_full(850, 1000)
    assert not is_nearly_full(850, -1)
