"""The commands that stand in the checkout: make, and the scripts behind it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
OURS = ("setup", "lock", "fuzz", "generate")


def make(*words: str) -> str:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, env=environ
    )
    return done.stdout


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;]+)", text, re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~ ;]", line, maxsplit=1)[0].lower() for line in requirements}


def test_make_alone_lists_every_target() -> None:
    listed = re.findall(r"^  make ([a-z-]+) +\S", make(), re.MULTILINE)
    assert listed == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str) -> None:
    make("--dry-run", target)


def test_no_target_is_taken_for_a_file() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(TARGETS)


@pytest.mark.parametrize("name", OURS)
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / "scripts" / name, os.X_OK)


@pytest.mark.parametrize("name", ["setup", "lock", "fuzz"])
def test_shell_scripts_are_plain_sh(name: str) -> None:
    subprocess.run([shutil.which("dash") or "sh", "-n", ROOT / "scripts" / name], check=True)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    missing = "run: make lock"
    assert names(project["project"]["dependencies"]) <= set(pins("runtime")), missing
    assert names(project["dependency-groups"]["dev"]) <= set(pins("dev")), missing
    assert names(project["build-system"]["requires"]) <= set(pins("build")), missing


def test_the_three_files_agree_on_versions() -> None:
    dev = pins("dev")
    for other in (pins("runtime"), pins("build")):
        assert {name: dev[name] for name in other if name in dev} == {
            name: version for name, version in other.items() if name in dev
        }


@pytest.mark.parametrize("name", ["runtime", "dev", "build"])
def test_pins_carry_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(pins(name))
    assert str(ROOT) not in text


def test_setup_refuses_a_word_it_does_not_know() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "setup", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "'runtime' or 'dev'" in done.stderr
