"""Media types, and what clients accept."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.oci.media_types import (
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA_1_SIGNED,
    OCI_INDEX,
    OCI_MANIFEST,
    essence,
    is_acceptable,
)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, ""),
        ("", ""),
        (OCI_INDEX, OCI_INDEX),
        (f" {OCI_INDEX} ; charset=utf-8", OCI_INDEX),
        ("Application/JSON;a=b;c=d", "application/json"),
        (";charset=utf-8", ""),
    ],
)
def test_the_essence_is_the_type_alone_in_lower_case(content_type: str | None, expected: str) -> None:
    assert essence(content_type) == expected


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [""],
        [" , ,"],
        ["*/*"],
        ["application/*"],
        ["application/json"],
        [OCI_MANIFEST],
        [OCI_INDEX, OCI_MANIFEST],
        [f"{OCI_INDEX}, {OCI_MANIFEST}"],
        [f"{OCI_MANIFEST};q=0.5"],
        [f"{OCI_MANIFEST};q=banana"],
        [f"{OCI_MANIFEST};q="],
        [f"{OCI_MANIFEST};q=0.0001"],
        [f"{OCI_MANIFEST};charset=utf-8"],
        [OCI_MANIFEST.upper()],
        ["text/html, image/gif, *; q=.2, */*; q=.2"],
        ["*/*;q=0, " + OCI_MANIFEST],
        ["complete nonsense"],
        ['text/html;x="a,b"'],
    ],
)
def test_an_image_is_acceptable(accept: list[str]) -> None:
    assert is_acceptable(accept, OCI_MANIFEST)


@pytest.mark.parametrize(
    "accept",
    [
        [OCI_INDEX],
        [f"{OCI_INDEX}, {DOCKER_MANIFEST_LIST}"],
        [DOCKER_MANIFEST, DOCKER_SCHEMA_1_SIGNED],
        ["text/html"],
        ["text/*"],
        ["*/*;q=0"],
        [f"{OCI_MANIFEST};q=0, */*"],
        [f"{OCI_MANIFEST} ; Q = 0.000"],
        ["application/*;q=0, */*"],
    ],
)
def test_an_image_is_not_acceptable(accept: list[str]) -> None:
    assert not is_acceptable(accept, OCI_MANIFEST)


def test_a_docker_client_accepts_what_it_has_always_pulled() -> None:
    accept = [f"{DOCKER_MANIFEST_LIST}, {DOCKER_SCHEMA_1_SIGNED}, application/json, {DOCKER_MANIFEST}"]
    assert is_acceptable(accept, DOCKER_MANIFEST)
    assert is_acceptable(accept, DOCKER_MANIFEST_LIST)


@given(st.lists(st.text() | st.text(alphabet='*/aq=;,0."', max_size=30), max_size=5), st.text())
def test_no_header_breaks_the_choice(accept: list[str], media_type: str) -> None:
    assert is_acceptable(accept, media_type) in (True, False)


@pytest.mark.parametrize("piece", [",", ";", "a/b,", "a/b;q=0,", "*/*;q=", " ", "q=0;", "a"])
def test_a_hostile_header_costs_little(piece: str) -> None:
    begun = time.process_time()
    is_acceptable([piece * (32_768 // len(piece))], OCI_MANIFEST)
    assert time.process_time() - begun < 0.2
