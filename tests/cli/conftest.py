"""Running the command line in this process, far from the environment of whoever runs the tests."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Protocol

import pytest
import structlog

from roadstead.cli.program import run


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    # Data.
    out: str
    # Talk.
    err: str


class Cli(Protocol):
    def __call__(self, *words: str, stdin: bytes = b"") -> Ran: ...


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty working directory, and no setting from outside."""
    for name in list(os.environ):
        if name.startswith("ROADSTEAD_") or name in {"CI", "NO_COLOR"}:
            monkeypatch.delenv(name)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    yield
    structlog.reset_defaults()


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("user", "list")` is `roadstead user list`, without a terminal."""

    def call(*words: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        capfd.readouterr()
        code = run(list(words))
        said = capfd.readouterr()
        return Ran(int(code), said.out, said.err)

    return call


def lines(text: str) -> Sequence[str]:
    return text.splitlines()


@pytest.fixture
def registry(sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder, where the command line looks for it."""
    folder = Path("roadstead-data")
    folder.mkdir()
    shutil.copy(sqlite_template, folder / "roadstead.db")
    return folder
