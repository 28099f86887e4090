"""Replicas that start on an empty database at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from pydantic import SecretStr

from roadstead.config.settings import DatabaseSettings, Settings
from roadstead.wiring import FirstRun, prepare

REPLICAS = 4


def test_one_of_several_first_starts_makes_the_administrator(tmp_path: Path, fresh_database: str) -> None:
    database = DatabaseSettings(url=SecretStr(fresh_database))
    settings = Settings(data=tmp_path / "data", database=database)
    together = Barrier(REPLICAS)

    def start() -> FirstRun:
        together.wait()
        return prepare(settings)

    with ThreadPoolExecutor(REPLICAS) as pool:
        runs = [future.result() for future in [pool.submit(start) for _ in range(REPLICAS)]]
    # And only it has a password to show.
    assert sorted(run.created for run in runs) == [False] * (REPLICAS - 1) + [True]
    assert [run.created for run in runs] == [run.admin_password is not None for run in runs]
