"""The registry whose quotas are tried."""

from __future__ import annotations

from tests.registry.conftest import postgres_url, registry, registry_with, shared_postgres

__all__ = ["postgres_url", "registry", "registry_with", "shared_postgres"]
