"""The size of a blob is nothing to the server's memory.  `make soak` does the same with 10 GiB."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.system.big import Way, carry
from tests.system.content import Content
from tests.system.machine import MIB, registry

from roadstead.testing.running import RunningRegistry

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def server(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningRegistry]:
    with registry(tmp_path_factory.mktemp("big")) as running:
        yield running


@pytest.mark.parametrize("way", Way)
async def test_memory_stays_where_it_is_while_half_a_gibibyte_goes_up_and_down(
    server: RunningRegistry, way: Way
) -> None:
    result = await carry(server, way, Content(list(Way).index(way), 512 * MIB + 7))
    assert result.right, str(result)
    assert max(result.up_growth, result.down_growth) < 100 * MIB, str(result)
