"""The registry whose audit log is read."""

from __future__ import annotations

import socket

import pytest
from tests.registry.conftest import postgres_url, registry, registry_with, shared_postgres
from tests.registry.registries import Registry

__all__ = ["postgres_url", "registry", "registry_with", "shared_postgres"]


@pytest.fixture(autouse=True)
async def nothing_written_yet(registry: Registry) -> None:
    """Without what the set-up wrote."""
    await registry.change("DELETE FROM audit_log")


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
